// What goes wrong with a simulated machine on demand.
//
//   SIMULATED_REFUSES          CUDA's first answer, as 802 (not ready) or 999 (unknown)
//   SIMULATED_LOST             a file with the numbers of GPUs that have fallen off the bus, one a
//                              line; it may change at any time
//   SIMULATED_LOST_AT          module of a process, from 1, whose loading adds its GPU to that file
//   SIMULATED_HANGS_AT         launch of a process, from 1, that does not end for an hour
//   SIMULATED_CAPTURE          CUDA's answer at the end of a capture, which then gives no graph
//   SIMULATED_REPLAYS          "nothing": a launch of a graph does nothing, and says that all is well
//   SIMULATED_CONTEXT_SECONDS  seconds that a process waits for when it begins to use a GPU
//   SIMULATED_EXCLUSIVE        a file that the one process locks that may use the GPU at a time, as
//                              where the compute mode of the GPU is EXCLUSIVE_PROCESS
//   SIMULATED_DIVIDED          1: all GPUs are divided into instances (MIG); CUDA takes the first
//                              one for a GPU
//   SIMULATED_SILENT           1: the management library does not answer for an hour
//   SIMULATED_TRACE            a file that gets a line with the number of every process that begins
//   SIMULATED_STOP             a file; the first process to launch something once it is there takes it
//                              away and is stopped
#pragma once

namespace simulated {

// Whether a GPU, by its number on the bus, has fallen off the bus by now.
bool lost(int number);

// Notes that the process begins to use CUDA, and waits as long as that is to take.
void begin();

// Whether another process uses the GPU, and this one may not.
bool occupied();

// Notes that a module was loaded on a GPU, which may lose it.
void loaded(int number);

// Notes a launch, which may take an hour or stop the process.
void launched();

// What CUDA's first call answers.
int refusal();

int capture_error();
bool replays_nothing();

}  // namespace simulated
