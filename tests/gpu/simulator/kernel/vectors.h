// CUDA's vectors, with the alignment that CUDA gives them.
#pragma once
#include "bfloat16.h"
#include "half.h"

#define SIMULATED_VECTORS(T, name, align2, align4)                                            \
  struct name##1 {                                                                            \
    T x;                                                                                      \
  };                                                                                          \
  struct alignas(align2) name##2 {                                                            \
    T x, y;                                                                                   \
  };                                                                                          \
  struct name##3 {                                                                            \
    T x, y, z;                                                                                \
  };                                                                                          \
  struct alignas(align4) name##4 {                                                            \
    T x, y, z, w;                                                                             \
  };                                                                                          \
  static inline name##1 make_##name##1(T x) { return {x}; }                                   \
  static inline name##2 make_##name##2(T x, T y) { return {x, y}; }                           \
  static inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                   \
  static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

SIMULATED_VECTORS(signed char, char, 2, 4)
SIMULATED_VECTORS(unsigned char, uchar, 2, 4)
SIMULATED_VECTORS(short, short, 4, 8)
SIMULATED_VECTORS(unsigned short, ushort, 4, 8)
SIMULATED_VECTORS(int, int, 8, 16)
SIMULATED_VECTORS(unsigned, uint, 8, 16)
SIMULATED_VECTORS(long, longlong, 16, 16)
SIMULATED_VECTORS(unsigned long, ulonglong, 16, 16)
SIMULATED_VECTORS(float, float, 8, 16)
SIMULATED_VECTORS(double, double, 16, 16)
#undef SIMULATED_VECTORS

struct alignas(4) half2 {
  half x, y;
};
struct alignas(8) half4 {
  half x, y, z, w;
};
struct alignas(4) nv_bfloat162 {
  nv_bfloat16 x, y;
};
struct alignas(8) nv_bfloat164 {
  nv_bfloat16 x, y, z, w;
};
typedef half2 __half2;
typedef nv_bfloat162 __nv_bfloat162;

static inline half2 make_half2(half x, half y) { return {x, y}; }
static inline half4 make_half4(half x, half y, half z, half w) { return {x, y, z, w}; }
static inline half2 __halves2half2(half x, half y) { return {x, y}; }
static inline nv_bfloat162 make_bfloat162(nv_bfloat16 x, nv_bfloat16 y) { return {x, y}; }
static inline nv_bfloat162 __halves2bfloat162(nv_bfloat16 x, nv_bfloat16 y) { return {x, y}; }
