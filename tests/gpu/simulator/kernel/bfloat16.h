// bfloat16: arithmetic is float32's, rounded to nearest, ties to even.
#pragma once
#include "arithmetic.h"

struct nv_bfloat16 {
  unsigned short bits;

  nv_bfloat16() = default;
  nv_bfloat16(const nv_bfloat16&) = default;
  nv_bfloat16(const volatile nv_bfloat16& other) : bits(other.bits) {}
  nv_bfloat16& operator=(const nv_bfloat16&) = default;
  void operator=(const nv_bfloat16& other) volatile { bits = other.bits; }
  nv_bfloat16(float value) {
    unsigned whole = __float_as_uint(value);
    bool number = !std::isnan(value);
    bits = number ? (whole + 0x7fff + (whole >> 16 & 1)) >> 16 : 0x7fff;
  }
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  explicit nv_bfloat16(T value) : nv_bfloat16(static_cast<float>(value)) {}
  operator float() const { return __uint_as_float(unsigned{bits} << 16); }
  operator float() const volatile { return __uint_as_float(unsigned{bits} << 16); }
  nv_bfloat16& operator+=(nv_bfloat16 other) {
    return *this = nv_bfloat16(float(*this) + float(other));
  }
};
typedef nv_bfloat16 __nv_bfloat16;

static inline nv_bfloat16 operator+(nv_bfloat16 a, nv_bfloat16 b) { return float(a) + float(b); }
static inline nv_bfloat16 operator-(nv_bfloat16 a, nv_bfloat16 b) { return float(a) - float(b); }
static inline nv_bfloat16 operator*(nv_bfloat16 a, nv_bfloat16 b) { return float(a) * float(b); }
static inline nv_bfloat16 operator/(nv_bfloat16 a, nv_bfloat16 b) { return float(a) / float(b); }
static inline nv_bfloat16 operator-(nv_bfloat16 a) { return -float(a); }
static inline bool operator<(nv_bfloat16 a, nv_bfloat16 b) { return float(a) < float(b); }
static inline bool operator>(nv_bfloat16 a, nv_bfloat16 b) { return float(a) > float(b); }
static inline bool operator<=(nv_bfloat16 a, nv_bfloat16 b) { return float(a) <= float(b); }
static inline bool operator>=(nv_bfloat16 a, nv_bfloat16 b) { return float(a) >= float(b); }
static inline bool operator==(nv_bfloat16 a, nv_bfloat16 b) { return float(a) == float(b); }
static inline bool operator!=(nv_bfloat16 a, nv_bfloat16 b) { return float(a) != float(b); }

static inline nv_bfloat16 __float2bfloat16_rn(float value) { return value; }
static inline nv_bfloat16 __float2bfloat16(float value) { return value; }
static inline float __bfloat162float(nv_bfloat16 value) { return value; }
static inline nv_bfloat16 __hadd(nv_bfloat16 a, nv_bfloat16 b) { return a + b; }
static inline nv_bfloat16 __hsub(nv_bfloat16 a, nv_bfloat16 b) { return a - b; }
static inline nv_bfloat16 __hmul(nv_bfloat16 a, nv_bfloat16 b) { return a * b; }
static inline nv_bfloat16 __hdiv(nv_bfloat16 a, nv_bfloat16 b) { return a / b; }
static inline nv_bfloat16 __hneg(nv_bfloat16 a) { return -a; }
static inline nv_bfloat16 __hfma(nv_bfloat16 a, nv_bfloat16 b, nv_bfloat16 c) {
  return fmaf(a, b, c);
}
static inline nv_bfloat16 __hmax(nv_bfloat16 a, nv_bfloat16 b) { return a > b ? a : b; }
static inline nv_bfloat16 __hmin(nv_bfloat16 a, nv_bfloat16 b) { return a < b ? a : b; }
static inline bool __hlt(nv_bfloat16 a, nv_bfloat16 b) { return a < b; }
static inline bool __hgt(nv_bfloat16 a, nv_bfloat16 b) { return a > b; }
static inline bool __hisnan(nv_bfloat16 a) { return std::isnan(float(a)); }
static inline nv_bfloat16 hexp(nv_bfloat16 a) { return expf(a); }
static inline nv_bfloat16 hlog(nv_bfloat16 a) { return logf(a); }
static inline nv_bfloat16 hsqrt(nv_bfloat16 a) { return sqrtf(a); }
static inline nv_bfloat16 hrsqrt(nv_bfloat16 a) { return rsqrtf(a); }
static inline nv_bfloat16 hrcp(nv_bfloat16 a) { return 1.0f / float(a); }
static inline nv_bfloat16 hfloor(nv_bfloat16 a) { return floorf(a); }
static inline nv_bfloat16 hceil(nv_bfloat16 a) { return ceilf(a); }
static inline nv_bfloat16 hcos(nv_bfloat16 a) { return cosf(a); }
static inline nv_bfloat16 hsin(nv_bfloat16 a) { return sinf(a); }
static inline nv_bfloat16 htanh(nv_bfloat16 a) { return tanhf(a); }
static inline nv_bfloat16 __habs(nv_bfloat16 a) { return fabsf(a); }
static inline nv_bfloat16 max(nv_bfloat16 a, nv_bfloat16 b) { return __hmax(a, b); }
static inline nv_bfloat16 min(nv_bfloat16 a, nv_bfloat16 b) { return __hmin(a, b); }
static inline unsigned short __bfloat16_as_ushort(nv_bfloat16 a) { return a.bits; }
static inline nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
  nv_bfloat16 value;
  value.bits = bits;
  return value;
}
