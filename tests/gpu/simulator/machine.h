// The simulated machine: which GPUs it has, which of them this process sees, and what is wrong.
//
// All of it comes from the environment, so that child processes have the same machine:
//   SIMULATED_GPUS    models by number, as "H100,H100,T4"; empty or unset: no GPU
//   SIMULATED_MEMORY  bytes of memory of every GPU, in place of the model's
//   SIMULATED_MACHINE a number, so that the GPUs of different machines have different UUIDs
//   SIMULATED_DRIVER  version of the driver, in place of 580.95.05
#pragma once
#include <string>
#include <vector>

#include "models.h"

namespace simulated {

struct Gpu {
  int number;  // on the bus
  const Model* model;
  size_t memory;
  std::string uuid;
};

// All GPUs, in the bus's order. A model that is not known ends the process.
const std::vector<Gpu>& gpus();

// The GPUs that CUDA shows to this process, in its order.
const std::vector<Gpu>& visible();

// The driver's version, as 580.95.05.
std::string driver();

// The latest version of CUDA that the driver knows, as 13000.
int cuda_version();

// A whole number of the environment.
long long number_of(const char* variable, long long otherwise);

// Says something on standard error, in one line.
void tell(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace simulated
