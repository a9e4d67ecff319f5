// Instructions of PTX that kernels contain as inline assembly; assembly.py translates them to these.
//
// Where the elements of a matrix lie in the registers of a warp's lanes is told in the PTX manual,
// section "Matrix Fragments for mma" of each shape.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <utility>

#include "ptx_copies.h"
#include "wmma.h"

// Shared memory's addresses are pointers here, and variables of 32 bits are too short for them.
template <class T>
static inline unsigned long __cvta_generic_to_shared(const T* pointer) {
  return reinterpret_cast<unsigned long>(pointer);
}

namespace simulated {

inline void store(unsigned long to, std::initializer_list<unsigned> words) {
  unsigned* at = reinterpret_cast<unsigned*>(to);
  for (unsigned word : words) *at++ = word;
}

inline void demand_all(void** lanes) {
  for (int n = 0; n < kLanes; ++n)
    if (!lanes[n]) simulated_trap("a lane takes no part in an instruction of its whole warp");
}

// ldmatrix: each lane gives the address of a row of eight; lane n gets elements of row n / 4.
struct Load {
  const unsigned short* row;
  unsigned words[4];
};

template <bool transposed, int count>
void load_lanes(void** lanes) {
  demand_all(lanes);
  for (int lane = 0; lane < kLanes; ++lane)
    for (int matrix = 0; matrix < count; ++matrix) {
      unsigned word = 0;
      for (int half = 0; half < 2; ++half) {
        int row = lane / 4, column = lane % 4 * 2 + half;
        if (transposed) std::swap(row, column);
        const Load* source = static_cast<Load*>(lanes[matrix * 8 + row]);
        word |= unsigned{source->row[column]} << 16 * half;
      }
      static_cast<Load*>(lanes[lane])->words[matrix] = word;
    }
}

template <bool transposed>
void load_matrices(unsigned long row, std::initializer_list<unsigned*> to) {
  if (row % 16) simulated_trap("ldmatrix: the address of a row is no multiple of 16");
  Load mine = {reinterpret_cast<const unsigned short*>(row), {}};
  if (unsigned(lane()) < 8 * to.size()) simulated_count_access(mine.row, 16, false);
  auto operation = to.size() == 4   ? load_lanes<transposed, 4>
                   : to.size() == 2 ? load_lanes<transposed, 2>
                                    : load_lanes<transposed, 1>;
  simulated_warp_operation(operation, &mine);
  unsigned* from = mine.words;
  for (unsigned* word : to) *word = *from++;
}

// Types of operands: how many of them are in a register, and the value of the n-th.
struct f16 {
  static constexpr int packed = 2;
  static float value(unsigned word, int n) { return _cvtsh_ss(word >> 16 * n); }
};
struct bf16 {
  static constexpr int packed = 2;
  static float value(unsigned word, int n) { return __uint_as_float(word >> 16 * n << 16); }
};
struct tf32 {
  static constexpr int packed = 1;
  static float value(unsigned word, int) { return __uint_as_float(word & 0xffffe000u); }
};

// mma: a is 16 x K by rows, b is K x 8 by columns, c is 16 x 8.
struct Product {
  unsigned a[4], b[2];
  float c[4];
};

// Two rows, eight apart, and as many columns of K as four lanes hold, are one register each.
template <class Type, int K>
float element_of_a(void** lanes, int row, int k) {
  constexpr int width = 4 * Type::packed;
  const Product* owner = static_cast<Product*>(lanes[row % 8 * 4 + k % width / Type::packed]);
  return Type::value(owner->a[row / 8 + k / width * 2], k % Type::packed);
}

template <class Type, int K>
float element_of_b(void** lanes, int k, int column) {
  constexpr int width = 4 * Type::packed;
  const Product* owner = static_cast<Product*>(lanes[column * 4 + k % width / Type::packed]);
  return Type::value(owner->b[k / width], k % Type::packed);
}

template <class Type, int K>
void multiply_lanes(void** lanes) {
  demand_all(lanes);
  simulated_count_product(16 * 8 * K);
  float a[16][K], b[K][8];
  for (int k = 0; k < K; ++k) {
    for (int row = 0; row < 16; ++row) a[row][k] = element_of_a<Type, K>(lanes, row, k);
    for (int column = 0; column < 8; ++column) b[k][column] = element_of_b<Type, K>(lanes, k, column);
  }
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      Product* owner = static_cast<Product*>(lanes[row % 8 * 4 + column / 2]);
      float& sum = owner->c[row / 8 * 2 + column % 2];
      for (int k = 0; k < K; ++k) sum += a[row][k] * b[k][column];
    }
}

template <class Type, int K>
void multiply(std::initializer_list<float*> to, std::initializer_list<unsigned> a,
              std::initializer_list<unsigned> b, std::initializer_list<float> c) {
  Product mine = {};
  std::copy(a.begin(), a.end(), mine.a);
  std::copy(b.begin(), b.end(), mine.b);
  std::copy(c.begin(), c.end(), mine.c);
  simulated_warp_operation(multiply_lanes<Type, K>, &mine);
  float* from = mine.c;
  for (float* result : to) *result = *from++;
}

// The same with sums in half precision, two to a register.
template <int K>
void multiply_half(std::initializer_list<unsigned*> to, std::initializer_list<unsigned> a,
                   std::initializer_list<unsigned> b, std::initializer_list<unsigned> c) {
  const unsigned* words = c.begin();
  float sums[4];
  float* results[4];
  for (int n = 0; n < 4; ++n) {
    sums[n] = f16::value(words[n / 2], n % 2);
    results[n] = &sums[n];
  }
  multiply<f16, K>({results[0], results[1], results[2], results[3]}, a, b,
                   {sums[0], sums[1], sums[2], sums[3]});
  int n = 0;
  for (unsigned* word : to) {
    *word = half(sums[n]).bits | unsigned{half(sums[n + 1]).bits} << 16;
    n += 2;
  }
}

}  // namespace simulated
