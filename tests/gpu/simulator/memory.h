// Memory of the simulated GPUs: CPU memory, with pages around each piece that nobody may touch.
#pragma once
#include <cstddef>

namespace simulated {

int allocate(int device, void** pointer, size_t size);
int release(void* pointer);

// Bytes that are neither taken by this process nor by the driver itself.
size_t free_memory(int device);

// Copies between any two places. Memory of a GPU that was never written holds nothing in
// particular, so a copy of it is not made.
void copy(void* to, const void* from, size_t size);

// Notes that a kernel may write what a pointer points into.
void touch(const void* pointer);

// Whether an address is in a piece.
bool is_device_memory(unsigned long address);

}  // namespace simulated
