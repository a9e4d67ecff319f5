// Launches of kernels: CUDA's limits, and what becomes of a kernel that goes wrong.
#pragma once
#include "kernel/threads.h"
#include "module.h"
#include "stream.h"

namespace simulated {

struct LaunchConfig {
  dim3_simulated grid, block;
  unsigned dynamic_shared;  // bytes
  Stream* stream;
};

int launch(const LaunchConfig& config, const Function& function, void** arguments);

}  // namespace simulated
