/* A stand-in for libcudnn.so.9 on the simulated device: the functions that the glue calls.

   A descriptor is a list of attributes. A graph is run operation by operation, with virtual tensors
   in float32. Of its engines every second one uses tensor cores, and every fourth one says that it
   also sums in less than float32. It says nothing of speed. */
#include "numbers.h"

#include <stdbool.h>

enum { BAD = 2000, UNSUPPORTED = 3000, MOST = 24, ENGINES = 4 };
enum { PLAN = 5, FORWARD = 10 };
enum { OUTPUT = 4 }; /* the glue's id of the output */

typedef struct {
  int name, type;
  int64_t count;
  unsigned char values[256];
} Attribute;

/* A configuration of an engine also has its number, and the graph that it is for. */
typedef struct Descriptor {
  int type, count, engine;
  bool final;
  const struct Descriptor *graph;
  Attribute attributes[MOST];
} Descriptor;

static void *current;

static size_t size_of(int type) {
  return type == 2 ? 1 : type == 1 || type == 4 || type == 7 || type == 8 || type == 11 || type == 14
             ? 4 : 8;
}

static const void *values(const Descriptor *of, int name) {
  for (int n = 0; n < of->count; ++n)
    if (of->attributes[n].name == name) return of->attributes[n].values;
  abort();
}

static int64_t count_of(const Descriptor *of, int name) {
  for (int n = 0; n < of->count; ++n)
    if (of->attributes[n].name == name) return of->attributes[n].count;
  return 0;
}

static Descriptor *descriptor(const Descriptor *of, int name) {
  return *(Descriptor *const *)values(of, name);
}

static int number(const Descriptor *of, int name) { return *(const int *)values(of, name); }

static const int64_t *longs(const Descriptor *of, int name) { return values(of, name); }

const char *cudnnGetErrorString(int status) {
  return status == UNSUPPORTED ? "CUDNN_STATUS_NOT_SUPPORTED" : "CUDNN_STATUS_BAD_PARAM";
}

void cudnnGetLastErrorString(char *text, size_t size) {
  if (size) *text = 0;
}

int cudnnCreate(void **handle) {
  *handle = malloc(1);
  return 0;
}

int cudnnSetStream(void *handle, void *stream) {
  (void)handle;
  current = stream;
  return 0;
}

int cudnnBackendCreateDescriptor(int type, void **made) {
  Descriptor *of = *made = calloc(1, sizeof *of);
  of->type = type;
  return 0;
}

int cudnnBackendDestroyDescriptor(void *of) {
  free(of);
  return 0;
}

int cudnnBackendSetAttribute(void *in, int name, int type, int64_t count, const void *given) {
  Descriptor *of = in;
  size_t bytes = size_of(type) * (size_t)count;
  if (of->final || of->count == MOST || bytes > sizeof of->attributes->values) return BAD;
  Attribute *attribute = &of->attributes[of->count++];
  *attribute = (Attribute){name, type, count, {0}};
  memcpy(attribute->values, given, bytes);
  return 0;
}

int cudnnBackendFinalize(void *in) {
  Descriptor *of = in;
  if (of->final) return BAD;
  of->final = true;
  return of->type == PLAN && getenv("VENDOR_REFUSES") ? UNSUPPORTED : 0;
}

int cudnnBackendGetAttribute(void *in, int name, int type, int64_t wanted, int64_t *count,
                             void *taken) {
  const Descriptor *of = in;
  (void)type;
  if (name == 202) {
    const char *given = getenv("VENDOR_ALGORITHMS");
    int64_t engines = given ? 2 * atoi(given) : ENGINES;
    *count = engines < wanted ? engines : wanted;
    for (int64_t n = 0; n < *count; ++n) {
      ((Descriptor **)taken)[n]->engine = (int)n;
      ((Descriptor **)taken)[n]->graph = descriptor(of, 201);
    }
    return number(of, 200) == 3 ? 0 : UNSUPPORTED;
  }
  *count = 1;
  if (name == 300) return (*(Descriptor **)taken)->engine = of->engine, 0;
  if (name == 1303) {
    ((int *)taken)[0] = 0, ((int *)taken)[1] = 2; /* tensor cores, and reduced precision */
    return *count = of->engine % 4 == 3 ? 2 : of->engine % 2, 0;
  }
  if (name == 402) return *(int64_t *)taken = 1 << 20, 0;
  return BAD;
}

typedef struct {
  const Descriptor *graph;
  int64_t count, ids[8];
  void *pointers[8];
} Run;

typedef struct {
  const Descriptor *tensor;
  float *data;
} Virtual;

static int64_t place(const Descriptor *tensor, const int64_t at[4]) {
  const int64_t *extents = longs(tensor, 902), *strides = longs(tensor, 903);
  int64_t sum = 0;
  for (int axis = 0; axis < 4; ++axis) sum += extents[axis] > 1 ? at[axis] * strides[axis] : 0;
  return sum;
}

static int64_t span(const Descriptor *tensor) {
  const int64_t *n = longs(tensor, 902);
  return n[0] * n[1] * n[2] * n[3];
}

static int kind(const Descriptor *tensor) {
  int type = number(tensor, 901);
  return type == 0 ? NUMBER_FLOAT : type == 2 ? NUMBER_HALF : NUMBER_BFLOAT16;
}

static void *data_of(const Run *run, Virtual *kept, const Descriptor *tensor) {
  int64_t id = *longs(tensor, 906);
  if (!*(const bool *)values(tensor, 907)) {
    for (int64_t n = 0; n < run->count; ++n)
      if (run->ids[n] == id) return run->pointers[n];
    abort();
  }
  for (int n = 0; n < 8; ++n) {
    if (kept[n].tensor && *longs(kept[n].tensor, 906) == id) return kept[n].data;
    if (kept[n].tensor) continue;
    kept[n] = (Virtual){tensor, malloc(sizeof(float) * (size_t)span(tensor))};
    return kept[n].data;
  }
  abort();
}

static void convolve(const Run *run, Virtual *kept, const Descriptor *operation) {
  const Descriptor *how = descriptor(operation, 702), *w = descriptor(operation, 703);
  const Descriptor *x = descriptor(operation, 704), *y = descriptor(operation, 705);
  const int64_t *step = longs(how, 103), *before = longs(how, 105), *spread = longs(how, 102);
  const int64_t *in = longs(x, 902), *out = longs(y, 902), *kernel = longs(w, 902);
  const void *image = data_of(run, kept, x), *weights = data_of(run, kept, w);
  void *result = data_of(run, kept, y);
  for (int64_t n = 0; n < span(y); ++n) {
    int64_t at[4] = {n / (out[1] * out[2] * out[3]), n / (out[2] * out[3]) % out[1],
                     n / out[3] % out[2], n % out[3]};
    float sum = 0;
    for (int64_t k = 0; k < kernel[1] * kernel[2] * kernel[3]; ++k) {
      int64_t tap[4] = {at[1], k / (kernel[2] * kernel[3]), k / kernel[3] % kernel[2],
                        k % kernel[3]};
      int64_t from[4] = {at[0], tap[1], at[2] * step[0] + tap[2] * spread[0] - before[0],
                         at[3] * step[1] + tap[3] * spread[1] - before[1]};
      if (from[2] < 0 || from[2] >= in[2] || from[3] < 0 || from[3] >= in[3]) continue;
      sum += read_number(image, kind(x), place(x, from)) *
             read_number(weights, kind(w), place(w, tap));
    }
    write_number(result, kind(y), place(y, at), sum);
  }
}

static float applied(int mode, float most, float x, float operand) {
  switch (mode) {
    case 0: return x + operand;
    case 100: return x < 0 ? 0 : x > most ? most : x;
    case 101: return tanhf(x);
    case 102: return 1 / (1 + expf(-x));
    case 104: return 0.5f * x * (1 + erff(x * 0.70710678f));
    case 106: return x / (1 + expf(-x));
    case 107: return gelu_tanh(x);
  }
  abort();
}

static void apply(const Run *run, Virtual *kept, const Descriptor *operation) {
  const Descriptor *how = descriptor(operation, 750);
  int mode = number(how, 0);
  float most = count_of(how, 4) ? (float)*(const double *)values(how, 4) : INFINITY;
  const Descriptor *x = descriptor(operation, 751), *y = descriptor(operation, 753);
  const Descriptor *b = mode == 0 ? descriptor(operation, 752) : NULL;
  const void *from = data_of(run, kept, x), *operand = b ? data_of(run, kept, b) : NULL;
  const int64_t *out = longs(y, 902);
  void *result = data_of(run, kept, y);
  for (int64_t n = 0; n < span(y); ++n) {
    int64_t at[4] = {n / (out[1] * out[2] * out[3]), n / (out[2] * out[3]) % out[1],
                     n / out[3] % out[2], n % out[3]};
    float other = b ? read_number(operand, kind(b), place(b, at)) : 0;
    write_number(result, kind(y), place(y, at),
                 applied(mode, most, read_number(from, kind(x), place(x, at)), other));
  }
}

static void execute(void *fields) {
  const Run *run = fields;
  Virtual kept[8] = {{NULL, NULL}};
  Descriptor *const *operations = values(run->graph, 801);
  dawdle();
  for (int64_t n = 0; n < count_of(run->graph, 801); ++n)
    (operations[n]->type == FORWARD ? convolve : apply)(run, kept, operations[n]);
  for (int n = 0; n < run->count; ++n)
    if (run->ids[n] == OUTPUT) written(run->pointers[n]);
  for (int n = 0; n < 8; ++n) free(kept[n].data);
}

int cudnnBackendExecute(void *handle, void *plan, void *pack) {
  (void)handle;
  Run run = {descriptor(plan, 401)->graph, count_of(pack, 1000), {0}, {NULL}};
  memcpy(run.ids, values(pack, 1000), sizeof(int64_t) * (size_t)run.count);
  memcpy(run.pointers, values(pack, 1001), sizeof(void *) * (size_t)run.count);
  launch(current, execute, &run, sizeof run);
  return 0;
}

size_t cudnnGetVersion(void) { return 92800; }
