#include "counters.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
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

// What a thread has touched since the block began, in its order. It keeps what it has read, but of
// shared memory only until the next barrier, when another thread may have written it.
struct Trace {
  std::vector<Access> global, shared;
  std::unordered_set<uintptr_t> read, read_shared;
};

static Trace traces[kMostThreads];
static Counts counts;
static std::map<std::string, Counts> launches;
static bool recording, operating;

static bool clock_is(const char* name) {
  const char* clock = getenv("SIMULATED_CLOCK");
  return clock && !strcmp(clock, name);
}

bool counting() { return clock_is("formula") || clock_is("sample"); }

bool enough() { return counts.blocks >= kSample && clock_is("sample"); }

void begin_counting() { counts = {}; }

void begin_block(unsigned threads) {
  recording = counting() && counts.blocks < kSample;
  for (unsigned n = 0; recording && n < threads; ++n) traces[n] = {};
}

void pass_barrier(unsigned threads) {
  for (unsigned n = 0; recording && n < threads; ++n) traces[n].read_shared.clear();
}

void operate_uncounted(void (*operation)(void**), void** lanes) {
  operating = true;
  operation(lanes);
  operating = false;
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

bool recall(const std::string& launch) {
  auto found = launches.find(launch);
  if (found == launches.end()) return false;
  counts = found->second;
  return true;
}

void remember(const std::string& launch) {
  if (clock_is("sample")) launches[launch] = counts;
}

void forget_launches() { launches.clear(); }

static void reached(uintptr_t address, unsigned size, bool write) {
  Trace& trace = traces[simulated_thread];
  bool global = is_device_memory(address);
  auto& read = global ? trace.read : trace.read_shared;
  if (!write && !read.insert(address).second) return;  // it is in a register
  (global ? trace.global : trace.shared).push_back({address, size});
}

static void touched(uintptr_t address, unsigned size, bool write) {
  if (!recording || operating) return;
  if (!on_stack(address)) reached(address, size, write);
  else if (write) counts.arithmetic += size / 4.0;
}

}  // namespace simulated

void simulated_count_product(int multiply_adds) {
  if (simulated::recording) simulated::counts.tensor += multiply_adds;
}

void simulated_count_access(const void* address, int size, int write) {
  if (simulated::recording) simulated::reached(reinterpret_cast<uintptr_t>(address), size, write);
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
