/* The part of cuBLASLt 13 that the glue calls, after the library's documentation. */
#ifndef CHAMELEON_CUBLASLT_H
#define CHAMELEON_CUBLASLT_H

#include <stddef.h>
#include <stdint.h>

enum { LT_R_32F = 0, LT_R_16F = 2, LT_R_16BF = 14 };
enum { LT_COMPUTE_32F = 68, LT_COMPUTE_32F_FAST_TF32 = 77 };
enum { LT_OP_N = 0, LT_OP_T = 1 };
enum { LT_DESC_TRANSA = 3, LT_DESC_TRANSB = 4, LT_DESC_EPILOGUE = 7, LT_DESC_BIAS_POINTER = 8,
       LT_DESC_BIAS_DATA_TYPE = 26 };
enum { LT_EPILOGUE_DEFAULT = 1, LT_EPILOGUE_RELU = 2, LT_EPILOGUE_BIAS = 4, LT_EPILOGUE_GELU = 32 };
enum { LT_LAYOUT_BATCH_COUNT = 5, LT_LAYOUT_STRIDED_BATCH_OFFSET = 6 };
enum { LT_PREF_MAX_WORKSPACE_BYTES = 1, LT_PREF_REDUCTION_SCHEMES = 3, LT_PREF_MIN_ALIGNMENT_A_BYTES = 5,
       LT_PREF_MIN_ALIGNMENT_D_BYTES = 8 };
/* How sums in parts are added up: in float32, or in any type, such as the output's. */
enum { LT_REDUCTION_COMPUTE_TYPE = 2, LT_REDUCTION_ANY = 7 };
enum { LT_SUCCESS = 0, LT_NOT_SUPPORTED = 15 };

typedef struct {
  uint64_t data[8];
} LtAlgo;

typedef struct {
  LtAlgo algo;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
} LtResult;

typedef struct {
  const char *(*words)(int status);
  int (*create)(void **handle);
  int (*desc_create)(void **desc, int compute, int scale);
  int (*desc_set)(void *desc, int attribute, const void *value, size_t size);
  int (*layout_create)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading);
  int (*layout_set)(void *layout, int attribute, const void *value, size_t size);
  int (*preference_create)(void **preference);
  int (*preference_destroy)(void *preference);
  int (*desc_destroy)(void *desc);
  int (*layout_destroy)(void *layout);
  int (*preference_set)(void *preference, int attribute, const void *value, size_t size);
  int (*heuristic)(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference,
                   int wanted, LtResult *results, int *returned);
  int (*matmul)(void *handle, void *desc, const void *alpha, const void *a, void *a_layout,
                const void *b, void *b_layout, const void *beta, const void *c, void *c_layout,
                void *d, void *d_layout, const LtAlgo *algo, void *workspace, size_t size,
                void *stream);
} Lt;

#endif
