// Keywords, types and built-in variables.
#pragma once
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "threads.h"

#define __global__
#define __device__ static inline
#define __host__
#define __forceinline__
#define __launch_bounds__(...)
#define __restrict__
#define __align__(bytes) alignas(bytes)
#define __shared__ static  // blocks run one after the other

typedef unsigned int uint;  // TVM defines these as macros, which come later
typedef unsigned char uchar;
typedef unsigned short ushort;

static inline void __syncthreads() { simulated_block_barrier(); }

static inline void __threadfence() {}
static inline void __threadfence_block() {}

// Cycles of a clock of 1 GHz, which goes on while a kernel hangs.
static inline long long clock64() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

template <class T>
static inline T __ldg(const T* from) {
  return *from;
}

// Threads run one at a time, so that nothing is needed for an operation to be atomic.
template <class T, class U>
static inline T atomicAdd(T* to, U value) {
  T old = *to;
  *to = T(old + T(value));
  return old;
}

static inline float __int_as_float(int bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline int __float_as_int(float value) {
  int bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float __uint_as_float(unsigned bits) { return __int_as_float(static_cast<int>(bits)); }
static inline unsigned __float_as_uint(float value) { return __float_as_int(value); }
