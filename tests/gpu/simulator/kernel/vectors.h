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

#define SIMULATED_PAIRS(T, pair, four, make_pair, make_four)                     \
  struct alignas(4) pair {                                                       \
    T x, y;                                                                      \
    pair() = default;                                                            \
    pair(T x, T y) : x(x), y(y) {}                                               \
  };                                                                             \
  struct alignas(8) four {                                                       \
    T x, y, z, w;                                                                \
    four() = default;                                                            \
    four(T x, T y, T z, T w) : x(x), y(y), z(z), w(w) {}                         \
  };                                                                             \
  static inline pair make_pair(T x, T y) { return {x, y}; }                      \
  static inline four make_four(T x, T y, T z, T w) { return {x, y, z, w}; }

SIMULATED_PAIRS(half, half2, half4, make_half2, make_half4)
SIMULATED_PAIRS(nv_bfloat16, nv_bfloat162, nv_bfloat164, make_nv_bfloat162, make_nv_bfloat164)
#undef SIMULATED_PAIRS
typedef half2 __half2;
typedef nv_bfloat162 __nv_bfloat162;

static inline half2 __halves2half2(half x, half y) { return {x, y}; }
static inline nv_bfloat162 make_bfloat162(nv_bfloat16 x, nv_bfloat16 y) { return {x, y}; }
static inline nv_bfloat162 __halves2bfloat162(nv_bfloat16 x, nv_bfloat16 y) { return {x, y}; }

// What TVM defines before its kernels: two numbers in one word, and functions that CUDA lacks.
static inline unsigned __pack_half2(half x, half y) { return x.bits | unsigned{y.bits} << 16; }
static inline unsigned __pack_nv_bfloat162(nv_bfloat16 x, nv_bfloat16 y) {
  return x.bits | unsigned{y.bits} << 16;
}
static inline half hpow(half a, half b) { return half(powf(a, b)); }
static inline half htan(half a) { return half(tanf(a)); }
static inline half hatan(half a) { return half(atanf(a)); }
static inline half herf(half a) { return half(erff(a)); }

// Sums of four products of bytes.
template <class A, class B>
static inline int simulated_dot(A a, B b, int sum) {
  using Left = std::conditional_t<std::is_signed_v<A>, signed char, unsigned char>;
  using Right = std::conditional_t<std::is_signed_v<B>, signed char, unsigned char>;
  for (int n = 0; n < 4; ++n) sum += int(Left(a >> 8 * n)) * int(Right(b >> 8 * n));
  return sum;
}
static inline int __dp4a(int a, int b, int sum) { return simulated_dot(a, b, sum); }
static inline int __dp4a(unsigned a, unsigned b, unsigned sum) { return simulated_dot(a, b, sum); }
