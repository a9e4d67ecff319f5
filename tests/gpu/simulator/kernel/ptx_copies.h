// Asynchronous copies, which copies.cpp makes.
#pragma once

extern "C" {
// Notes so many multiply-adds of tensor cores, for the clock.
void simulated_count_product(int multiply_adds);

// Notes that the running thread reads or writes so many bytes by an instruction of a warp.
void simulated_count_access(const void* address, int size, int write);

// Queues a copy of 4, 8 or 16 bytes, which happens when the thread waits for its group.
void simulated_copy_async(void* to, const void* from, int size);
void simulated_commit_copies();
void simulated_wait_for_copies(int groups_left);  // at most so many groups are then still queued
void simulated_wait_for_all_copies();
}
