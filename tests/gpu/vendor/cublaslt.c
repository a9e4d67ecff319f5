/* A stand-in for libcublasLt.so.13 on the simulated device: the functions that the glue calls.

   It says nothing of speed. It has as many algorithms as VENDOR_ALGORITHMS says, which all compute
   the same, and takes what it is told of at its word: the first one needs all of the workspace, and
   memory aligned as was said. Unless that is ruled out, the best by its own estimate is one that
   sums in the output's type. Like the library it takes a bias of the output's type only. */
#include "numbers.h"

enum { R_32F = 0, R_16F = 2, R_16BF = 14 };
enum { IN_PLACE = 1, OUTPUT_TYPE = 4, ALL_SCHEMES = 7, HASTY = 99 };
enum { FAST_TF32 = 77, RELU = 2, BIAS = 4, GELU = 32, SUCCESS = 0, INVALID = 7, UNSUPPORTED = 15 };

typedef struct {
  int compute, left_turned, right_turned, epilogue, bias_type;
  const void *bias;
} Desc;

typedef struct {
  int type;
  int64_t rows, columns, leading, stride;
  int32_t batch;
} Layout;

typedef struct {
  uint64_t workspace;
  uint32_t schemes, alignments[4];
} Preference;

/* Of an algorithm: its number, its workspace, and how a, b, c and d are aligned. */
typedef struct {
  uint64_t algo[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
} Result;

typedef struct {
  Desc desc;
  Layout left, right, output;
  float alpha, beta;
  const void *a, *b, *c;
  void *d;
  int hasty;
} Product;

const char *cublasLtGetStatusString(int status) {
  return status == UNSUPPORTED ? "the functionality is not supported"
         : status              ? "an unsupported value or parameter was passed to the function"
                               : "success";
}

size_t cublasLtGetVersion(void) { return 131000; }

int cublasLtCreate(void **handle) {
  *handle = malloc(1);
  return SUCCESS;
}

int cublasLtMatmulDescCreate(void **made, int compute, int scale) {
  Desc *desc = *made = calloc(1, sizeof *desc);
  desc->compute = compute;
  desc->epilogue = 1;
  desc->bias_type = -1;
  return scale == R_32F ? SUCCESS : INVALID;
}

int cublasLtMatmulDescSetAttribute(void *of, int attribute, const void *value, size_t size) {
  Desc *desc = of;
  if (size != (attribute == 8 ? sizeof(void *) : sizeof(int))) return INVALID;
  switch (attribute) {
    case 3: desc->left_turned = *(const int *)value; return SUCCESS;
    case 4: desc->right_turned = *(const int *)value; return SUCCESS;
    case 7: desc->epilogue = *(const int *)value; return SUCCESS;
    case 8: desc->bias = *(void *const *)value; return SUCCESS;
    case 26: desc->bias_type = *(const int *)value; return SUCCESS;
  }
  return INVALID;
}

int cublasLtMatrixLayoutCreate(void **made, int type, uint64_t rows, uint64_t columns,
                               int64_t leading) {
  Layout *layout = *made = calloc(1, sizeof *layout);
  *layout = (Layout){type, (int64_t)rows, (int64_t)columns, leading, 0, 1};
  return leading < (int64_t)rows ? INVALID : SUCCESS;
}

int cublasLtMatrixLayoutSetAttribute(void *of, int attribute, const void *value, size_t size) {
  Layout *layout = of;
  if (attribute == 5 && size == 4) return layout->batch = *(const int32_t *)value, SUCCESS;
  if (attribute == 6 && size == 8) return layout->stride = *(const int64_t *)value, SUCCESS;
  return INVALID;
}

int cublasLtMatmulPreferenceCreate(void **made) {
  Preference *preference = *made = calloc(1, sizeof *preference);
  *preference = (Preference){0, ALL_SCHEMES, {256, 256, 256, 256}};
  return SUCCESS;
}

int cublasLtMatmulPreferenceDestroy(void *made) {
  free(made);
  return SUCCESS;
}

int cublasLtMatmulDescDestroy(void *made) {
  free(made);
  return SUCCESS;
}

int cublasLtMatrixLayoutDestroy(void *made) {
  free(made);
  return SUCCESS;
}

int cublasLtMatmulPreferenceSetAttribute(void *of, int attribute, const void *value, size_t size) {
  Preference *preference = of;
  if (size != (attribute == 1 ? 8 : 4)) return INVALID;
  if (attribute == 1) return preference->workspace = *(const uint64_t *)value, SUCCESS;
  uint32_t number = *(const uint32_t *)value;
  if (attribute == 3) return preference->schemes = number, SUCCESS;
  if (attribute < 5 || attribute > 8) return INVALID;
  return preference->alignments[attribute - 5] = number, SUCCESS;
}

/* Whether the extents of two operands and of the result are those of one product. */
static int fit(const Desc *desc, const Layout *left, const Layout *right, const Layout *output) {
  int64_t rows = desc->left_turned ? left->columns : left->rows;
  int64_t columns = desc->right_turned ? right->rows : right->columns;
  int64_t depth = desc->left_turned ? left->rows : left->columns;
  return rows == output->rows && columns == output->columns &&
         depth == (desc->right_turned ? right->columns : right->rows) &&
         left->batch == output->batch && right->batch == output->batch;
}

int cublasLtMatmulAlgoGetHeuristic(void *handle, void *described, void *left, void *right, void *c,
                                   void *d, void *preference, int wanted, Result *results,
                                   int *returned) {
  (void)handle;
  const char *count = getenv("VENDOR_ALGORITHMS");
  const Preference *asked = preference;
  const Desc *desc = described;
  const Layout *output = d, *summand = c;
  if (!fit(desc, left, right, output) || summand->type != output->type) return INVALID;
  if (desc->epilogue & BIAS && desc->bias_type != output->type) return UNSUPPORTED;
  *returned = count ? atoi(count) : 2;
  if (*returned > wanted) *returned = wanted;
  memset(results, 0, (size_t)*returned * sizeof *results);
  for (int n = 0; n < *returned; ++n) {
    Result *one = &results[n];
    int hasty = !n && asked->schemes & (IN_PLACE | OUTPUT_TYPE);
    one->workspace = n ? 0 : asked->workspace;
    one->algo[0] = hasty ? HASTY : (uint64_t)n + 1, one->algo[1] = one->workspace;
    for (int operand = 0; operand < 4; ++operand) one->algo[2 + operand] = asked->alignments[operand];
  }
  return SUCCESS;
}

static int number_of(int type) {
  return type == R_32F ? NUMBER_FLOAT : type == R_16F ? NUMBER_HALF : NUMBER_BFLOAT16;
}

/* Copies a matrix as floats, all elements with one `inner` index side by side. */
static float *copied(const Layout *layout, const void *data, int turned, int64_t batch, int rounded) {
  int64_t outer = turned ? layout->rows : layout->columns;
  int64_t inner = turned ? layout->columns : layout->rows;
  float *made = malloc(sizeof *made * (size_t)(outer * inner));
  for (int64_t n = 0; n < outer; ++n)
    for (int64_t m = 0; m < inner; ++m) {
      int64_t at = (turned ? n + m * layout->leading : m + n * layout->leading);
      float value = read_number(data, number_of(layout->type), at + batch * layout->stride);
      made[n * inner + m] = rounded ? tf32(value) : value;
    }
  return made;
}

static float finished(const Product *p, int64_t row, int64_t at, float sum) {
  sum *= p->alpha;
  if (p->beta) sum += read_number(p->c, number_of(p->output.type), at);
  if (p->desc.epilogue & BIAS) sum += read_number(p->desc.bias, number_of(p->desc.bias_type), row);
  if (p->desc.epilogue & RELU) sum = sum < 0 ? 0 : sum;
  return p->desc.epilogue & GELU ? gelu_tanh(sum) : sum;
}

static void multiply(void *fields) {
  const Product *p = fields;
  int64_t depth = p->desc.left_turned ? p->left.rows : p->left.columns;
  int64_t rows = p->output.rows, columns = p->output.columns;
  int rounded = p->desc.compute == FAST_TF32, type = number_of(p->output.type);
  dawdle();
  for (int64_t batch = 0; batch < p->output.batch; ++batch) {
    float *a = copied(&p->left, p->a, p->desc.left_turned, batch, rounded);
    float *b = copied(&p->right, p->b, p->desc.right_turned, batch, rounded);
    float *sums = malloc(sizeof *sums * (size_t)rows);
    for (int64_t column = 0; column < columns; ++column) {
      memset(sums, 0, sizeof *sums * (size_t)rows);
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t row = 0; row < rows; ++row) {
          sums[row] += a[k * rows + row] * b[column * depth + k];
          if (p->hasty) write_number(&sums[row], type, 0, sums[row]);
          if (p->hasty) sums[row] = read_number(&sums[row], type, 0);
        }
      for (int64_t row = 0; row < rows; ++row) {
        int64_t at = row + column * p->output.leading + batch * p->output.stride;
        write_number(p->d, number_of(p->output.type), at, finished(p, row, at, sums[row]));
      }
    }
    free(a), free(b), free(sums);
  }
  written(p->d);
}

int cublasLtMatmul(void *handle, void *desc, const float *alpha, const void *a, void *left,
                   const void *b, void *right, const float *beta, const void *c, void *c_layout,
                   void *d, void *output, const uint64_t *algo, void *workspace, size_t size,
                   void *stream) {
  (void)handle, (void)c_layout;
  const void *operands[] = {a, b, c, d};
  if (!algo[0] || size < algo[1]) return INVALID;
  for (int n = 0; n < 4; ++n)
    if ((uintptr_t)operands[n] % algo[2 + n]) return INVALID;
  if (size) ((unsigned char *)workspace)[0] = ((unsigned char *)workspace)[size - 1] = 0xff;
  Product product = {*(Desc *)desc, *(Layout *)left, *(Layout *)right, *(Layout *)output,
                     *alpha, *beta, a, b, c, d, algo[0] == HASTY};
  launch(stream, multiply, &product, sizeof product);
  return SUCCESS;
}
