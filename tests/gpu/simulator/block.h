// The threads of a block as coroutines on one CPU thread.
#pragma once
#include "kernel/threads.h"

namespace simulated {

using Body = void (*)(void** arguments);

// Runs all blocks of a grid one after the other.
void run_grid(Body body, void** arguments, dim3_simulated grid, dim3_simulated block,
              unsigned dynamic_shared);

// Whether an address is on the stack of the running thread.
bool on_stack(unsigned long address);

}  // namespace simulated
