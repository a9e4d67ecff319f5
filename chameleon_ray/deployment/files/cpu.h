// Which of the features that code was compiled for a CPU has, and its system lets a program use.
//
// CPUID answers, and not /proc/cpuinfo: in an emulator that is still the host's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace chameleon {

struct Feature {
  const char* flag;  // Linux's name of it
  uint32_t leaf, subleaf;
  int word;  // 0 to 3: eax, ebx, ecx, edx
  int bit;
  uint64_t state;  // registers that the system has to save, as bits of XCR0
};

constexpr uint64_t kAvx = 0x6, kAvx512 = 0xe6;
inline const std::vector<Feature> features = {
    {"pni", 1, 0, 2, 0, 0},
    {"ssse3", 1, 0, 2, 9, 0},
    {"fma", 1, 0, 2, 12, kAvx},
    {"sse4_1", 1, 0, 2, 19, 0},
    {"sse4_2", 1, 0, 2, 20, 0},
    {"movbe", 1, 0, 2, 22, 0},
    {"popcnt", 1, 0, 2, 23, 0},
    {"avx", 1, 0, 2, 28, kAvx},
    {"f16c", 1, 0, 2, 29, kAvx},
    {"bmi1", 7, 0, 1, 3, 0},
    {"avx2", 7, 0, 1, 5, kAvx},
    {"bmi2", 7, 0, 1, 8, 0},
    {"avx512f", 7, 0, 1, 16, kAvx512},
    {"avx512dq", 7, 0, 1, 17, kAvx512},
    {"avx512ifma", 7, 0, 1, 21, kAvx512},
    {"avx512cd", 7, 0, 1, 28, kAvx512},
    {"avx512bw", 7, 0, 1, 30, kAvx512},
    {"avx512vl", 7, 0, 1, 31, kAvx512},
    {"avx512vbmi", 7, 0, 2, 1, kAvx512},
    {"avx512_vbmi2", 7, 0, 2, 6, kAvx512},
    {"gfni", 7, 0, 2, 8, 0},
    {"avx512_vnni", 7, 0, 2, 11, kAvx512},
    {"avx512_bitalg", 7, 0, 2, 12, kAvx512},
    {"avx512_vpopcntdq", 7, 0, 2, 14, kAvx512},
    {"avx512_fp16", 7, 0, 3, 23, kAvx512},
    {"avx_vnni", 7, 1, 0, 4, kAvx},
    {"avx512_bf16", 7, 1, 0, 5, kAvx512},
    {"abm", 0x80000001, 0, 2, 5, 0},
};

// Returns whether this CPU has a feature; one that is not listed above it has not.
inline bool Has(const std::string& flag) {
#if defined(__x86_64__)
  uint32_t words[4], low = 0, high = 0;
  bool saves = __get_cpuid(1, &words[0], &words[1], &words[2], &words[3]) && (words[2] >> 27 & 1);
  // Without `volatile` a compiler may execute it before it asks whether there is such a thing.
  if (saves) __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  for (const Feature& one : features) {
    if (flag != one.flag) continue;
    return __get_cpuid_count(one.leaf, one.subleaf, &words[0], &words[1], &words[2], &words[3]) &&
           (words[one.word] >> one.bit & 1) && (low & one.state) == one.state;
  }
#endif
  return false;
}

}  // namespace chameleon
