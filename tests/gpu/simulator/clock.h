// The clock of the simulated GPUs.
#pragma once

namespace simulated {

// Seconds since some moment.
double now();

}  // namespace simulated
