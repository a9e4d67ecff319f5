/* Matrix products by cuBLASLt: output = activation(scale left right + residual + bias).

   cuBLASLt's matrices have contiguous columns and TVM's contiguous rows. So it is given the operands
   in reverse order, and computes the transposed product. */
#include "cublaslt.h"

#include <stdlib.h>
#include <string.h>

#include "glue.h"

/* Numbers of the function. Strides are between the matrices of a batch, in elements; the scale has
   the bits of a double. */
enum { BATCH = OWN, ROWS, COLUMNS, DEPTH, LEFT_TURNED, RIGHT_TURNED,
       LEFT_STRIDE, RIGHT_STRIDE, SCALE, NUMBERS };
enum { MOST_ALGORITHMS = 64 };

Library cublaslt = {.people = "cuBLASLt", .file = "libcublasLt.so.13", .wheel = "nvidia-cublas",
                    .major = 13, .others = {"libcublasLt.so.12", "libcublasLt.so.14"}};

typedef struct {
  void *desc, *left, *right, *output;
  LtAlgo algo;
  size_t workspace;
} Product;

static Lt lt;
static void *handles[DEVICES];
static Plan *plans;

static int ready(int device) {
  if (handles[device]) return 0;
  if (opened(&cublaslt)) {
    const struct { const char *name; void *place; } functions[] = {
        {"cublasLtGetStatusString", &lt.words}, {"cublasLtCreate", &lt.create},
        {"cublasLtMatmulDescCreate", &lt.desc_create},
        {"cublasLtMatmulDescSetAttribute", &lt.desc_set},
        {"cublasLtMatrixLayoutCreate", &lt.layout_create},
        {"cublasLtMatrixLayoutSetAttribute", &lt.layout_set},
        {"cublasLtMatmulPreferenceCreate", &lt.preference_create},
        {"cublasLtMatmulPreferenceSetAttribute", &lt.preference_set},
        {"cublasLtMatmulPreferenceDestroy", &lt.preference_destroy},
        {"cublasLtMatmulDescDestroy", &lt.desc_destroy},
        {"cublasLtMatrixLayoutDestroy", &lt.layout_destroy},
        {"cublasLtMatmulAlgoGetHeuristic", &lt.heuristic}, {"cublasLtMatmul", &lt.matmul}};
    for (size_t n = 0; n < sizeof functions / sizeof *functions; ++n)
      *(void **)functions[n].place = function_of(&cublaslt, functions[n].name);
  }
  if (cublaslt.trouble[0]) return fail(UNAVAILABLE, "%s", cublaslt.trouble);
  int status = lt.create(&handles[device]);
  return status ? fail("RuntimeError", "cuBLASLt cannot be used: %s", lt.words(status)) : 0;
}

static int type_of(const Call *call, int which) {
  static const int types[] = {LT_R_32F, LT_R_16F, LT_R_16BF};
  return types[type_at(call, which)];
}

static int laid_out(void **layout, int type, int64_t rows, int64_t columns,
                    int64_t batch, int64_t stride) {
  int32_t count = (int32_t)batch;
  int status = lt.layout_create(layout, type, columns, rows, columns);
  if (status || batch == 1) return status;
  status = lt.layout_set(*layout, LT_LAYOUT_BATCH_COUNT, &count, sizeof count);
  return status ? status
                : lt.layout_set(*layout, LT_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride);
}

static int described(const Call *call, Product *product) {
  const int64_t *n = call->numbers;
  int left = n[LEFT_TURNED] ? LT_OP_T : LT_OP_N, right = n[RIGHT_TURNED] ? LT_OP_T : LT_OP_N;
  int compute = n[TF32] ? LT_COMPUTE_32F_FAST_TF32 : LT_COMPUTE_32F, epilogue = 0, status;
  if (n[ACTIVATION] == RELU) epilogue |= LT_EPILOGUE_RELU;
  if (n[ACTIVATION] == GELU || n[ACTIVATION] == GELU_TANH) epilogue |= LT_EPILOGUE_GELU;
  if (n[OPERANDS] & HAS_BIAS) epilogue |= LT_EPILOGUE_BIAS;
  epilogue = epilogue ? epilogue : LT_EPILOGUE_DEFAULT;
  if ((status = lt.desc_create(&product->desc, compute, LT_R_32F))) return status;
  if ((status = lt.desc_set(product->desc, LT_DESC_TRANSA, &right, sizeof right))) return status;
  if ((status = lt.desc_set(product->desc, LT_DESC_TRANSB, &left, sizeof left))) return status;
  status = lt.desc_set(product->desc, LT_DESC_EPILOGUE, &epilogue, sizeof epilogue);
  if (!status && n[OPERANDS] & HAS_BIAS) {
    int type = type_of(call, BIAS);
    void *bias = data_of(call->tensors[BIAS]);
    status = lt.desc_set(product->desc, LT_DESC_BIAS_DATA_TYPE, &type, sizeof type);
    if (!status) status = lt.desc_set(product->desc, LT_DESC_BIAS_POINTER, &bias, sizeof bias);
  }
  if (status) return status;
  int64_t m = n[ROWS], c = n[COLUMNS], k = n[DEPTH], batch = n[BATCH];
  status = laid_out(&product->left, type_of(call, LEFT), n[LEFT_TURNED] ? k : m, n[LEFT_TURNED] ? m : k,
                    batch, n[LEFT_STRIDE]);
  if (!status)
    status = laid_out(&product->right, type_of(call, RIGHT), n[RIGHT_TURNED] ? c : k,
                      n[RIGHT_TURNED] ? k : c, batch, n[RIGHT_STRIDE]);
  return status ? status : laid_out(&product->output, type_of(call, OUTPUT), m, c, batch, m * c);
}

/* Asks for the algorithm; the best ones by the library's own estimate come first. */
static int chosen(const Call *call, Product *product) {
  LtResult results[MOST_ALGORITHMS];
  int returned = 0, rank = (int)call->numbers[ALGORITHM];
  int is_wide = type_of(call, OUTPUT) == LT_R_32F;
  uint32_t alignment = ALIGNMENT, sums = is_wide ? LT_REDUCTION_ANY : LT_REDUCTION_COMPUTE_TYPE;
  uint64_t most = (uint64_t)call->tensors[WORKSPACE]->shape[0];
  void *preference = NULL, *handle = handles[call->device];
  int status = lt.preference_create(&preference);
  if (!status)
    status = lt.preference_set(preference, LT_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most);
  if (!status)
    status = lt.preference_set(preference, LT_PREF_REDUCTION_SCHEMES, &sums, sizeof sums);
  for (int n = LT_PREF_MIN_ALIGNMENT_A_BYTES; !status && n <= LT_PREF_MIN_ALIGNMENT_D_BYTES; ++n)
    status = lt.preference_set(preference, n, &alignment, sizeof alignment);
  if (!status) {
    status = lt.heuristic(handle, product->desc, product->right, product->left, product->output,
                          product->output, preference, MOST_ALGORITHMS, results, &returned);
    if (status == LT_NOT_SUPPORTED) status = returned = 0;
  }
  if (preference) lt.preference_destroy(preference);
  if (status) return fail("RuntimeError", "cuBLASLt: %s", lt.words(status));
  if (rank >= returned || results[rank].state)
    return fail(UNAVAILABLE, "cuBLASLt has %d algorithms for this layer.", returned);
  product->algo = results[rank].algo;
  product->workspace = results[rank].workspace;
  return 0;
}

static void *forgotten(Product *product) {
  if (product->desc) lt.desc_destroy(product->desc);
  void *layouts[] = {product->left, product->right, product->output};
  for (int n = 0; n < 3; ++n)
    if (layouts[n]) lt.layout_destroy(layouts[n]);
  free(product);
  return NULL;
}

/* Makes what a product needs; NULL, with the error set, where it cannot be done. */
static Product *prepared(const Call *call) {
  Product *product = calloc(1, sizeof *product);
  if (!product) {
    fail("MemoryError", "no memory is left for a plan of cuBLASLt");
    return NULL;
  }
  int status = described(call, product);
  if (status) fail("RuntimeError", "cuBLASLt: %s", lt.words(status));
  return status || chosen(call, product) ? forgotten(product) : product;
}

int vendor_matmul(const Call *call) {
  const int64_t *n = call->numbers;
  const float beta = n[OPERANDS] & HAS_RESIDUAL ? 1 : 0;
  double scale;
  memcpy(&scale, &n[SCALE], sizeof scale);
  const float alpha = (float)scale;
  int64_t key[KEY];
  if (ready(call->device)) return -1;
  key_of(call, NUMBERS, key);
  Plan *plan = plan_of(&plans, key);
  if (!plan) return fail("MemoryError", "no memory is left for a plan of cuBLASLt");
  if (!plan->state) plan->state = prepared(call);
  Product *product = plan->state;
  if (!product) return -1;
  void *bias = data_of(call->tensors[BIAS]), *output = data_of(call->tensors[OUTPUT]);
  int status = 0;
  if (n[OPERANDS] & HAS_BIAS)
    status = lt.desc_set(product->desc, LT_DESC_BIAS_POINTER, &bias, sizeof bias);
  if (!status)
    status = lt.matmul(handles[call->device], product->desc, &alpha, data_of(call->tensors[RIGHT]), product->right,
                       data_of(call->tensors[LEFT]), product->left, &beta,
                       data_of(call->tensors[RESIDUAL]), product->output, output, product->output,
                       &product->algo, data_of(call->tensors[WORKSPACE]), product->workspace,
                       call->stream);
  return status ? fail("RuntimeError", "cuBLASLt: %s", lt.words(status)) : 0;
}
