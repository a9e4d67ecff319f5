// The models of GPU that can be simulated, as their data sheets describe them.
#pragma once
#include <cstddef>

namespace simulated {

constexpr size_t KiB = 1024, MiB = 1024 * KiB, GiB = 1024 * MiB;

struct Model {
  const char* key;  // what the environment calls it
  const char* name;
  int major, minor;  // compute capability
  int multiprocessors;
  int threads;              // most resident threads of a multiprocessor
  int blocks;               // most resident blocks of a multiprocessor
  size_t shared;            // bytes of shared memory of a multiprocessor
  size_t shared_opt_in;     // most that one block may ask for at launch
  size_t l2;                // bytes of cache
  size_t memory;            // bytes
  int clock_mhz;            // of the multiprocessors, boosted
  int memory_mhz;
  int bus_bits;             // width of the memory's bus
  int float32_per_cycle;    // fused multiply-adds of a multiprocessor per cycle
  int tensor_per_cycle;     // the same on tensor cores, half precision
};

constexpr Model kModels[] = {
    {"H100", "NVIDIA H100 80GB HBM3", 9, 0, 132, 2048, 32, 228 * KiB, 227 * KiB, 50 * MiB,
     80 * GiB, 1980, 2619, 5120, 128, 2048},
    {"A100", "NVIDIA A100-SXM4-80GB", 8, 0, 108, 2048, 32, 164 * KiB, 163 * KiB, 40 * MiB,
     80 * GiB, 1410, 1593, 5120, 64, 1024},
    {"T4", "Tesla T4", 7, 5, 40, 1024, 16, 64 * KiB, 64 * KiB, 4 * MiB, 15 * GiB, 1590, 5001, 256,
     64, 512},
};

constexpr size_t kStaticShared = 48 * KiB;  // what a block may use without asking
constexpr int kRegisters = 65536;           // of a multiprocessor, and of a block
constexpr unsigned kMostThreads = 1024;     // of a block
constexpr unsigned kWarp = 32;

}  // namespace simulated
