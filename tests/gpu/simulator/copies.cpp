// cp.async: a copy lies in its thread's queue until the thread waits for the copy's group. A kernel
// that reads without having waited finds old values. With SIMULATED_EARLY set a copy is made at
// once, so that a kernel which still reads what the copy replaces finds new ones.
#include "copies.h"

#include <cstring>
#include <deque>

#include "kernel/ptx_copies.h"
#include "kernel/threads.h"
#include "machine.h"

namespace simulated {

struct Copy {
  void* to;
  const void* from;
  int size;
  int group;
};

struct Queue {
  std::deque<Copy> copies;
  int group = 0;  // that the next copy belongs to
};

static Queue queues[kMostThreads];

void forget_copies(unsigned threads) {
  for (unsigned n = 0; n < threads; ++n) {
    queues[n].copies.clear();
    queues[n].group = 0;
  }
}

static void finish_before(int group) {
  std::deque<Copy>& copies = queues[simulated_thread].copies;
  for (; !copies.empty() && copies.front().group < group; copies.pop_front())
    memcpy(copies.front().to, copies.front().from, copies.front().size);
}

}  // namespace simulated

using namespace simulated;

void simulated_copy_async(void* to, const void* from, int size) {
  static const bool early = number_of("SIMULATED_EARLY", 0);
  if (reinterpret_cast<size_t>(to) % size || reinterpret_cast<size_t>(from) % size)
    simulated_trap("cp.async: an address is no multiple of the copy's size");
  simulated_count_access(from, size, false);
  simulated_count_access(to, size, true);
  if (early)
    memcpy(to, from, size);
  else
    queues[simulated_thread].copies.push_back({to, from, size, queues[simulated_thread].group});
}

void simulated_commit_copies() { ++queues[simulated_thread].group; }

void simulated_wait_for_copies(int groups_left) {
  finish_before(queues[simulated_thread].group - groups_left);
}

void simulated_wait_for_all_copies() {
  simulated_commit_copies();
  simulated_wait_for_copies(0);
}
