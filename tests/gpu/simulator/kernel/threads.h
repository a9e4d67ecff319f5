// What a kernel's thread asks of the scheduler of its block, which is in block.cpp.
#pragma once

struct dim3_simulated {
  unsigned x, y, z;
};

extern "C" {
extern dim3_simulated simulated_block_index, simulated_thread_index;
extern dim3_simulated simulated_block_size, simulated_grid_size;
extern unsigned char* simulated_dynamic_shared;

// Number of the running thread in its block.
extern unsigned simulated_thread;

// Stops the thread until all threads of the block have come here, or have ended.
void simulated_block_barrier();

// Does something that the lanes of a warp do together. The thread stops until no lane of its warp
// can go on; then `operation` is called once, with what each lane has given, or null for lanes that
// do not take part.
void simulated_warp_operation(void (*operation)(void** lanes), void* given);

// Ends the kernel as an instruction would that cannot be executed, after saying why.
[[noreturn]] void simulated_trap(const char* why);
}

#define blockIdx simulated_block_index
#define threadIdx simulated_thread_index
#define blockDim simulated_block_size
#define gridDim simulated_grid_size
