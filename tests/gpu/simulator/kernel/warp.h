// What the lanes of a warp do together: barriers and shuffles.
#pragma once
#include "language.h"

namespace simulated {

constexpr int kLanes = 32;

inline int lane() { return simulated_thread % kLanes; }

inline void nothing(void**) {}

template <class T>
struct Shuffle {
  T value, result;
  int from;  // lane of whose value this is the copy; the lane's own where there is none
};

template <class T>
void shuffle_lanes(void** lanes) {
  for (int n = 0; n < kLanes; ++n) {
    if (!lanes[n]) continue;
    Shuffle<T>* mine = static_cast<Shuffle<T>*>(lanes[n]);
    void* other = lanes[mine->from];
    if (other) mine->result = static_cast<Shuffle<T>*>(other)->value;
  }
}

struct Ballot {
  bool cast;
  unsigned result;
};

inline void count_ballots(void** lanes) {
  unsigned found = 0;
  for (int n = 0; n < kLanes; ++n)
    if (lanes[n] && static_cast<Ballot*>(lanes[n])->cast) found |= 1u << n;
  for (int n = 0; n < kLanes; ++n)
    if (lanes[n]) static_cast<Ballot*>(lanes[n])->result = found;
}

// The value of another lane of the same group of `width`; the own one where it is outside.
template <class T>
T shuffle(T value, int from, int width) {
  int low = lane() / width * width;
  if (from < low || from >= low + width) from = lane();
  Shuffle<T> mine = {value, value, from};
  simulated_warp_operation(shuffle_lanes<T>, &mine);
  return mine.result;
}

}  // namespace simulated

static inline void __syncwarp(unsigned = 0xffffffffu) {
  simulated_warp_operation(simulated::nothing, &simulated_thread);
}

static inline unsigned __ballot_sync(unsigned, int cast) {
  simulated::Ballot mine = {cast != 0, 0};
  simulated_warp_operation(simulated::count_ballots, &mine);
  return mine.result;
}

static inline unsigned __activemask() { return 0xffffffffu; }

template <class T>
static inline T __shfl_sync(unsigned, T value, int from, int width = 32) {
  return simulated::shuffle(value, simulated::lane() / width * width + from % width, width);
}

template <class T>
static inline T __shfl_down_sync(unsigned, T value, int distance, int width = 32) {
  return simulated::shuffle(value, simulated::lane() + distance, width);
}

template <class T>
static inline T __shfl_up_sync(unsigned, T value, int distance, int width = 32) {
  return simulated::shuffle(value, simulated::lane() - distance, width);
}

template <class T>
static inline T __shfl_xor_sync(unsigned, T value, int mask, int width = 32) {
  return simulated::shuffle(value, simulated::lane() ^ mask, width);
}
