// Half precision: arithmetic is float32's, rounded.
#pragma once
#include <immintrin.h>

#include "arithmetic.h"

struct half {
  unsigned short bits;

  half() = default;
  half(const half&) = default;
  half(const volatile half& other) : bits(other.bits) {}
  half& operator=(const half&) = default;
  void operator=(const half& other) volatile { bits = other.bits; }
  half(float value) : bits(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)) {}
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  explicit half(T value) : half(static_cast<float>(value)) {}
  operator float() const { return _cvtsh_ss(bits); }
  operator float() const volatile { return _cvtsh_ss(bits); }
  half& operator+=(half other) { return *this = half(float(*this) + float(other)); }
};
typedef half __half;

static inline half operator+(half a, half b) { return half(float(a) + float(b)); }
static inline half operator-(half a, half b) { return half(float(a) - float(b)); }
static inline half operator*(half a, half b) { return half(float(a) * float(b)); }
static inline half operator/(half a, half b) { return half(float(a) / float(b)); }
static inline half operator-(half a) { return half(-float(a)); }
static inline bool operator<(half a, half b) { return float(a) < float(b); }
static inline bool operator>(half a, half b) { return float(a) > float(b); }
static inline bool operator<=(half a, half b) { return float(a) <= float(b); }
static inline bool operator>=(half a, half b) { return float(a) >= float(b); }
static inline bool operator==(half a, half b) { return float(a) == float(b); }
static inline bool operator!=(half a, half b) { return float(a) != float(b); }

static inline half __float2half_rn(float value) { return half(value); }
static inline half __float2half(float value) { return half(value); }
static inline float __half2float(half value) { return value; }
static inline half __hadd(half a, half b) { return a + b; }
static inline half __hsub(half a, half b) { return a - b; }
static inline half __hmul(half a, half b) { return a * b; }
static inline half __hdiv(half a, half b) { return a / b; }
static inline half __hneg(half a) { return -a; }
static inline half __hfma(half a, half b, half c) { return half(fmaf(a, b, c)); }
static inline half __hmax(half a, half b) { return a > b ? a : b; }
static inline half __hmin(half a, half b) { return a < b ? a : b; }
static inline bool __hlt(half a, half b) { return a < b; }
static inline bool __hgt(half a, half b) { return a > b; }
static inline bool __hisnan(half a) { return std::isnan(float(a)); }
static inline half hexp(half a) { return half(expf(a)); }
static inline half hlog(half a) { return half(logf(a)); }
static inline half hsqrt(half a) { return half(sqrtf(a)); }
static inline half hrsqrt(half a) { return half(rsqrtf(a)); }
static inline half hrcp(half a) { return half(1.0f / float(a)); }
static inline half hfloor(half a) { return half(floorf(a)); }
static inline half hceil(half a) { return half(ceilf(a)); }
static inline half hcos(half a) { return half(cosf(a)); }
static inline half hsin(half a) { return half(sinf(a)); }
static inline half htanh(half a) { return half(tanhf(a)); }
static inline half __habs(half a) { return half(fabsf(a)); }
static inline half max(half a, half b) { return __hmax(a, b); }
static inline half min(half a, half b) { return __hmin(a, b); }
static inline unsigned short __half_as_ushort(half a) { return a.bits; }
static inline half __ushort_as_half(unsigned short bits) {
  half value;
  value.bits = bits;
  return value;
}
