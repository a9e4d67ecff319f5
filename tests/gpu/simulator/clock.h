// The clock of the simulated GPUs: the CPU's, or a formula where SIMULATED_CLOCK is "formula" or "sample".
//
// The formula is for tests of searches. It orders kernels by what a GPU would take them for, roughly;
// it is always the same for the same launch, and its seconds are nobody's.
#pragma once
#include "launch.h"

namespace simulated {

// Seconds since some moment.
double now();

// Lets the time pass that a launch takes, after its blocks were counted.
void pass_launch(const LaunchConfig& config, const Function& function);

}  // namespace simulated
