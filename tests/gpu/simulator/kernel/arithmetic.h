// Functions of CUDA's mathematics that the C library lacks, or names otherwise.
#pragma once
#include "language.h"

template <class T>
static inline T max(T a, T b) {
  return a > b ? a : b;
}

template <class T>
static inline T min(T a, T b) {
  return a < b ? a : b;
}

static inline float rsqrtf(float value) { return 1.0f / sqrtf(value); }
static inline double rsqrt(double value) { return 1.0 / sqrt(value); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float value) { return 1.0f / value; }
static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline int __clz(int bits) { return bits ? __builtin_clz(bits) : 32; }

// The C library has functions of these names that only it may call.
#define __expf(value) expf(value)
#define __exp10f(value) powf(10.0f, value)
#define __logf(value) logf(value)
#define __log2f(value) log2f(value)
#define __log10f(value) log10f(value)
#define __powf(a, b) powf(a, b)
#define __sinf(value) sinf(value)
#define __cosf(value) cosf(value)
#define __tanf(value) tanf(value)
