#include "counters.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <set>
#include <unordered_set>
#include <vector>

#include "block.h"
#include "memory.h"
#include "models.h"

namespace simulated {

constexpr int kSample = 2, kBanks = 32, kWord = 4, kSector = 32;

struct Access {
  uintptr_t address;
  unsigned size;
};

// What a thread has touched since the block began, in its order; what it has read before it keeps.
struct Trace {
  std::vector<Access> global, shared;
  std::unordered_set<uintptr_t> read;
};

static Trace traces[kMostThreads];
static Counts counts;
static bool recording;

bool counting() {
  const char* clock = getenv("SIMULATED_CLOCK");
  return clock && !strcmp(clock, "formula");
}

void begin_counting() { counts = {}; }

void begin_block(unsigned threads) {
  recording = counting() && counts.blocks < kSample;
  for (unsigned n = 0; recording && n < threads; ++n) traces[n] = {};
}

// Sectors that one access of all lanes touches.
static double sectors_of(const std::vector<Access>& lanes) {
  std::set<uintptr_t> touched;
  for (const Access& one : lanes)
    for (uintptr_t at = one.address / kSector; at <= (one.address + one.size - 1) / kSector; ++at)
      touched.insert(at);
  return static_cast<double>(touched.size());
}

// How often the fullest bank has to be asked.
static double conflicts_of(const std::vector<Access>& lanes) {
  std::set<uintptr_t> words;
  for (const Access& one : lanes)
    for (uintptr_t at = one.address / kWord; at <= (one.address + one.size - 1) / kWord; ++at)
      words.insert(at);
  int banks[kBanks] = {};
  for (uintptr_t word : words) ++banks[word % kBanks];
  return *std::max_element(banks, banks + kBanks);
}

using Log = std::vector<Access> Trace::*;

// Adds up something over the accesses of a warp; the n-th of each lane belong together.
static double over_warp(unsigned first, unsigned end, Log log,
                        double (*measure)(const std::vector<Access>&)) {
  double sum = 0;
  for (size_t n = 0;; ++n) {
    std::vector<Access> lanes;
    for (unsigned lane = first; lane < end; ++lane)
      if (n < (traces[lane].*log).size()) lanes.push_back((traces[lane].*log)[n]);
    if (lanes.empty()) return sum;
    sum += measure(lanes);
  }
}

void end_block(unsigned threads) {
  if (!recording) return;
  recording = false;
  for (unsigned first = 0; first < threads; first += kWarp) {
    unsigned end = std::min(first + kWarp, threads);
    counts.sectors += over_warp(first, end, &Trace::global, sectors_of);
    counts.conflicts += over_warp(first, end, &Trace::shared, conflicts_of);
  }
  ++counts.blocks;
}

Counts counted() { return counts; }

static void touched(uintptr_t address, unsigned size, bool write) {
  if (!recording) return;
  Trace& trace = traces[simulated_thread];
  if (on_stack(address)) {
    counts.arithmetic += write ? size / 4.0 : 0;
    return;
  }
  if (!write && !trace.read.insert(address).second) return;  // it is in a register
  (is_device_memory(address) ? trace.global : trace.shared).push_back({address, size});
}

}  // namespace simulated

void simulated_count_product(int multiply_adds) {
  if (simulated::recording) simulated::counts.tensor += multiply_adds;
}

#define SIMULATED_ACCESS(size)                                              \
  extern "C" void __asan_load##size##_noabort(uintptr_t address) {          \
    simulated::touched(address, size, false);                               \
  }                                                                         \
  extern "C" void __asan_store##size##_noabort(uintptr_t address) {         \
    simulated::touched(address, size, true);                                \
  }
SIMULATED_ACCESS(1)
SIMULATED_ACCESS(2)
SIMULATED_ACCESS(4)
SIMULATED_ACCESS(8)
SIMULATED_ACCESS(16)

extern "C" void __asan_loadN_noabort(uintptr_t address, size_t size) {
  simulated::touched(address, static_cast<unsigned>(size), false);
}
extern "C" void __asan_storeN_noabort(uintptr_t address, size_t size) {
  simulated::touched(address, static_cast<unsigned>(size), true);
}
extern "C" void __asan_handle_no_return() {}
