// What the first blocks of a kernel do, counted while they run, where SIMULATED_CLOCK is "formula".
//
// Where it is "sample", no other blocks run, and those of a launch that was counted before do not run
// again: the same times, and outputs that are not computed.
// Kernels are then compiled with a call before each access to memory, as for a sanitizer.
#pragma once
#include <cstddef>
#include <string>

namespace simulated {

// Sums over the blocks that were counted.
struct Counts {
  double blocks = 0;
  double sectors = 0;     // of 32 bytes of a GPU's memory, as warps touch them together
  double conflicts = 0;   // accesses of warps to shared memory, each as often as its banks conflict
  double arithmetic = 0;  // results that threads put into their own variables, 4 bytes each
  double tensor = 0;      // products of tensor cores, multiply-adds
};

bool counting();  // whether the clock is a formula
bool enough();    // whether the rest of a launch's blocks need not run

void begin_counting();              // of a launch
void begin_block(unsigned threads);
void pass_barrier(unsigned threads);
void end_block(unsigned threads);

// Does what the lanes of a warp do together; what that touches is told by simulated_count_access.
void operate_uncounted(void (*operation)(void**), void** lanes);

Counts counted();

// Takes what was counted of the same launch before, for "sample"; false where nothing was.
bool recall(const std::string& launch);
void remember(const std::string& launch);
void forget_launches();  // as binaries come and go, and others lie where they were

}  // namespace simulated

extern "C" void simulated_count_product(int multiply_adds);  // of one warp
extern "C" void simulated_count_access(const void* address, int size, int write);
