// nvcuda::wmma, tensor cores as C++ has them. A fragment is kept whole by the warp's first lane.
#pragma once
#include "ptx_copies.h"
#include "vectors.h"
#include "warp.h"

namespace nvcuda {
namespace wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

template <class Use, int M, int N, int K>
struct Extent;
template <int M, int N, int K>
struct Extent<matrix_a, M, N, K> {
  static constexpr int rows = M, columns = K;
};
template <int M, int N, int K>
struct Extent<matrix_b, M, N, K> {
  static constexpr int rows = K, columns = N;
};
template <int M, int N, int K>
struct Extent<accumulator, M, N, K> {
  static constexpr int rows = M, columns = N;
};

template <class Use, int M, int N, int K, class T, class Layout = row_major>
struct fragment : Extent<Use, M, N, K> {
  using Size = Extent<Use, M, N, K>;
  T x[Size::rows * Size::columns];
  T& at(int row, int column) { return x[row * Size::columns + column]; }
  const T& at(int row, int column) const { return x[row * Size::columns + column]; }
};

// Runs a statement in the warp's first lane once all lanes have come here.
template <class Statement>
void by_first_lane(Statement statement) {
  auto operation = [](void** lanes) {
    for (int n = 0; n < simulated::kLanes; ++n)
      if (!lanes[n]) simulated_trap("a lane takes no part in a tensor core's operation");
    (*static_cast<Statement*>(lanes[0]))();
  };
  simulated_warp_operation(operation, &statement);
}

template <class F, class V>
static void fill_fragment(F& to, V value) {
  for (auto& element : to.x) element = value;
}

template <class T>
static void count_rows(const T* start, int rows, int length, unsigned stride, bool write) {
  for (int row = 0; row < rows; ++row)
    simulated_count_access(start + row * stride, length * sizeof(T), write);
}

template <class F, class T>
static void load(F& to, const T* from, unsigned stride, bool by_columns) {
  by_first_lane([&to, from, stride, by_columns] {
    count_rows<T>(from, by_columns ? F::columns : F::rows, by_columns ? F::rows : F::columns, stride,
                  false);
    for (int row = 0; row < F::rows; ++row)
      for (int column = 0; column < F::columns; ++column)
        to.at(row, column) = by_columns ? from[column * stride + row] : from[row * stride + column];
  });
}

template <class U, int M, int N, int K, class T, class L>
static void load_matrix_sync(fragment<U, M, N, K, T, L>& to, const T* from, unsigned stride) {
  load(to, from, stride, std::is_same_v<L, col_major>);
}

template <int M, int N, int K, class T>
static void load_matrix_sync(fragment<accumulator, M, N, K, T>& to, const T* from, unsigned stride,
                             layout_t layout) {
  load(to, from, stride, layout == mem_col_major);
}

template <int M, int N, int K, class T>
static void store_matrix_sync(T* to, const fragment<accumulator, M, N, K, T>& from,
                              unsigned stride, layout_t layout) {
  by_first_lane([to, &from, stride, layout] {
    bool by_columns = layout == mem_col_major;
    count_rows<T>(to, by_columns ? N : M, by_columns ? M : N, stride, true);
    for (int row = 0; row < M; ++row)
      for (int column = 0; column < N; ++column)
        (by_columns ? to[column * stride + row] : to[row * stride + column]) =
            from.at(row, column);
  });
}

// Products are exact; they are added up in float32, or in int32 where the operands are integers.
template <class D, class A, class B, class C>
static void mma_sync(D& to, const A& a, const B& b, const C& c) {
  using Element = std::decay_t<decltype(c.x[0])>;
  using Sum = std::conditional_t<std::is_integral_v<Element>, int, float>;
  by_first_lane([&to, &a, &b, &c] {
    simulated_count_product(A::rows * B::columns * A::columns);
    D result;
    for (int row = 0; row < A::rows; ++row)
      for (int column = 0; column < B::columns; ++column) {
        Sum sum = static_cast<Sum>(c.at(row, column));
        for (int k = 0; k < A::columns; ++k)
          sum += static_cast<Sum>(a.at(row, k)) * static_cast<Sum>(b.at(k, column));
        result.at(row, column) = static_cast<Element>(sum);
      }
    to = result;
  });
}

}  // namespace wmma
}  // namespace nvcuda
