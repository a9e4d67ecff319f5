/* Convolutions by cuDNN's graphs: output = activation(conv(left, right) + residual + bias).

   A plan and what it is made of are kept for the process's life. */
#include "cudnn.h"

#include <stdbool.h>
#include <stdlib.h>

#include "glue.h"

/* Numbers of the function; paddings are at the top, left, bottom and right. */
enum { CHANNELS_LAST = OWN, STRIDE, PADDING = STRIDE + 2,
       DILATION = PADDING + 4, NUMBERS = DILATION + 2 };
enum { MOST_ALGORITHMS = 64, MOST_OPERATIONS = 4 };

Library cudnn = {.people = "cuDNN", .file = "libcudnn.so.9", .wheel = "nvidia-cudnn-cu13",
                 .major = 9, .others = {"libcudnn.so.8", "libcudnn.so.10"}};

static Dnn dnn;
static void *handles[DEVICES];
static Plan *plans;
/* Status of the first step that failed since it was set to 0; later steps are left out. */
static int status;

static int failed(void) {
  char last[300] = "";
  dnn.last(last, sizeof last);
  return fail("RuntimeError", "cuDNN: %s %s", dnn.words(status), last);
}

static int ready(int device) {
  if (handles[device]) return 0;
  if (opened(&cudnn)) {
    const struct { const char *name; void *place; } functions[] = {
        {"cudnnGetErrorString", &dnn.words}, {"cudnnGetLastErrorString", &dnn.last},
        {"cudnnCreate", &dnn.create}, {"cudnnSetStream", &dnn.set_stream},
        {"cudnnBackendCreateDescriptor", &dnn.make}, {"cudnnBackendDestroyDescriptor", &dnn.destroy},
        {"cudnnBackendFinalize", &dnn.finalize}, {"cudnnBackendSetAttribute", &dnn.set},
        {"cudnnBackendGetAttribute", &dnn.get}, {"cudnnBackendExecute", &dnn.execute}};
    for (size_t n = 0; n < sizeof functions / sizeof *functions; ++n)
      *(void **)functions[n].place = function_of(&cudnn, functions[n].name);
  }
  if (cudnn.trouble[0]) return fail(UNAVAILABLE, "%s", cudnn.trouble);
  status = dnn.create(&handles[device]);
  return status ? failed() : 0;
}

static void unmade(void *descriptor) {
  if (descriptor) dnn.destroy(descriptor);
}

static void *made(int type) {
  void *descriptor = NULL;
  if (!status) status = dnn.make(type, &descriptor);
  return descriptor;
}

static void put(void *descriptor, int attribute, int type, int64_t count, const void *values) {
  if (!status) status = dnn.set(descriptor, attribute, type, count, values);
}

static void *done(void *descriptor) {
  if (!status) status = dnn.finalize(descriptor);
  return descriptor;
}

static int type_of(const Call *call, int which) {
  static const int types[] = {DNN_FLOAT, DNN_HALF, DNN_BFLOAT16};
  return types[type_at(call, which)];
}

/* Describes a tensor by extents in the order of NCHW, wherever its channels are in memory. */
static void *tensor_of(const int64_t shape[4], bool channels_last, int type, int64_t id,
                       bool is_virtual) {
  const int64_t *s = shape;
  int64_t last[4] = {s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]};
  int64_t first[4] = {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1}, alignment = ALIGNMENT;
  void *tensor = made(DNN_TENSOR);
  put(tensor, DNN_TENSOR_TYPE, DNN_T_DATA_TYPE, 1, &type);
  put(tensor, DNN_TENSOR_DIMENSIONS, DNN_T_INT64, 4, shape);
  put(tensor, DNN_TENSOR_STRIDES, DNN_T_INT64, 4, channels_last ? last : first);
  put(tensor, DNN_TENSOR_ID, DNN_T_INT64, 1, &id);
  put(tensor, DNN_TENSOR_ALIGNMENT, DNN_T_INT64, 1, &alignment);
  put(tensor, DNN_TENSOR_VIRTUAL, DNN_T_BOOLEAN, 1, &is_virtual);
  return done(tensor);
}

static void extents(const Call *call, int which, int64_t shape[4]) {
  const int64_t *s = call->tensors[which]->shape;
  bool last = call->numbers[CHANNELS_LAST];
  shape[0] = s[0], shape[1] = last ? s[3] : s[1];
  shape[2] = last ? s[1] : s[2], shape[3] = last ? s[2] : s[3];
}

static void *argument(const Call *call, int which) {
  int64_t shape[4];
  extents(call, which, shape);
  return tensor_of(shape, call->numbers[CHANNELS_LAST], type_of(call, which), which, false);
}

/* Describes the bias, whose tensor may have any axes of extent 1. */
static void *bias_of(const Call *call) {
  int64_t shape[4];
  extents(call, OUTPUT, shape);
  shape[0] = shape[2] = shape[3] = 1;
  return tensor_of(shape, true, type_of(call, BIAS), BIAS, false);
}

/* Describes the result of operation number `place` of `count`: the last one's is the output. */
static void *result_of(const Call *call, int place, int count) {
  int64_t shape[4];
  if (place == count - 1) return argument(call, OUTPUT);
  extents(call, OUTPUT, shape);
  return tensor_of(shape, call->numbers[CHANNELS_LAST], DNN_FLOAT, TENSORS + place, true);
}

static void *convolved(const Call *call, void *result) {
  const int64_t *n = call->numbers;
  int mode = DNN_CROSS_CORRELATION, type = DNN_FLOAT;
  int64_t axes = 2;
  float one = 1, zero = 0;
  void *convolution = made(DNN_CONVOLUTION), *left = argument(call, LEFT);
  void *right = argument(call, RIGHT);
  put(convolution, DNN_CONVOLUTION_TYPE, DNN_T_DATA_TYPE, 1, &type);
  put(convolution, DNN_CONVOLUTION_MODE, DNN_T_CONVOLUTION_MODE, 1, &mode);
  put(convolution, DNN_CONVOLUTION_AXES, DNN_T_INT64, 1, &axes);
  put(convolution, DNN_CONVOLUTION_DILATIONS, DNN_T_INT64, 2, n + DILATION);
  put(convolution, DNN_CONVOLUTION_STRIDES, DNN_T_INT64, 2, n + STRIDE);
  put(convolution, DNN_CONVOLUTION_PRE, DNN_T_INT64, 2, n + PADDING);
  put(convolution, DNN_CONVOLUTION_POST, DNN_T_INT64, 2, n + PADDING + 2);
  done(convolution);
  void *operation = made(DNN_CONVOLUTION_FORWARD);
  put(operation, DNN_FORWARD_CONVOLUTION, DNN_T_DESCRIPTOR, 1, &convolution);
  put(operation, DNN_FORWARD_X, DNN_T_DESCRIPTOR, 1, &left);
  put(operation, DNN_FORWARD_W, DNN_T_DESCRIPTOR, 1, &right);
  put(operation, DNN_FORWARD_Y, DNN_T_DESCRIPTOR, 1, &result);
  put(operation, DNN_FORWARD_ALPHA, DNN_T_FLOAT, 1, &one);
  put(operation, DNN_FORWARD_BETA, DNN_T_FLOAT, 1, &zero);
  return done(operation);
}

/* Describes an operation element by element; results of ReLU are at most `most`, unless that is 0. */
static void *pointwise(int mode, double most, void *from, void *operand, void *result) {
  int type = DNN_FLOAT;
  void *descriptor = made(DNN_POINTWISE);
  put(descriptor, DNN_POINTWISE_MODE, DNN_T_POINTWISE_MODE, 1, &mode);
  put(descriptor, DNN_POINTWISE_PRECISION, DNN_T_DATA_TYPE, 1, &type);
  if (most) put(descriptor, DNN_POINTWISE_UPPER_CLIP, DNN_T_DOUBLE, 1, &most);
  done(descriptor);
  void *operation = made(DNN_OPERATION_POINTWISE);
  put(operation, DNN_OPERATION_POINTWISE_DESC, DNN_T_DESCRIPTOR, 1, &descriptor);
  put(operation, DNN_OPERATION_X, DNN_T_DESCRIPTOR, 1, &from);
  if (operand) put(operation, DNN_OPERATION_B, DNN_T_DESCRIPTOR, 1, &operand);
  put(operation, DNN_OPERATION_Y, DNN_T_DESCRIPTOR, 1, &result);
  return done(operation);
}

static void *graph_of(const Call *call) {
  static const int modes[] = {0, DNN_RELU, DNN_GELU, DNN_GELU_TANH, DNN_TANH, DNN_SIGMOID, DNN_SWISH,
                              DNN_RELU};
  const int64_t *n = call->numbers;
  bool bias = n[OPERANDS] & HAS_BIAS, residual = n[OPERANDS] & HAS_RESIDUAL;
  int count = 1 + bias + residual + (n[ACTIVATION] != NONE), place = 0;
  void *operations[MOST_OPERATIONS], *from = result_of(call, 0, count);
  operations[place++] = convolved(call, from);
  if (residual) {
    void *result = result_of(call, place, count);
    operations[place++] = pointwise(DNN_ADD, 0, from, argument(call, RESIDUAL), result);
    from = result;
  }
  if (bias) {
    void *result = result_of(call, place, count);
    operations[place++] = pointwise(DNN_ADD, 0, from, bias_of(call), result);
    from = result;
  }
  if (n[ACTIVATION] != NONE)
    operations[place++] = pointwise(modes[n[ACTIVATION]], n[ACTIVATION] == RELU6 ? 6 : 0, from, NULL,
                                    argument(call, OUTPUT));
  void *graph = made(DNN_GRAPH);
  put(graph, DNN_GRAPH_HANDLE, DNN_T_HANDLE, 1, &handles[call->device]);
  put(graph, DNN_GRAPH_OPERATIONS, DNN_T_DESCRIPTOR, count, operations);
  return done(graph);
}

/* Whether an engine sums in float32 and, if it is to be `plain`, multiplies in float32, too. */
static bool is_exact(void *config, bool plain) {
  int notes[DNN_NOTES];
  int64_t count = 0, one = 0;
  void *engine = made(DNN_ENGINE);
  if (!status) status = dnn.get(config, DNN_CONFIG_ENGINE, DNN_T_DESCRIPTOR, 1, &one, &engine);
  if (!status) status = dnn.get(engine, DNN_ENGINE_NOTES, DNN_T_NOTE, DNN_NOTES, &count, notes);
  unmade(engine);
  for (int64_t n = 0; n < count; ++n)
    if (notes[n] == DNN_REDUCED_PRECISION ||
        (plain && (notes[n] == DNN_TENSOR_CORE || notes[n] == DNN_DOWN_CONVERT_INPUTS)))
      return false;
  return true;
}

/* Asks for engines, best ones by the library's own estimate first; returns how many there are. */
static int engines_of(const Call *call, void *graph, int mode, void **configs) {
  bool plain = type_of(call, LEFT) == DNN_FLOAT && !call->numbers[TF32];
  int64_t count = 0;
  int kept = 0;
  void *heuristics = made(DNN_ENGINEHEUR);
  put(heuristics, DNN_HEUR_GRAPH, DNN_T_DESCRIPTOR, 1, &graph);
  put(heuristics, DNN_HEUR_MODE, DNN_T_HEUR_MODE, 1, &mode);
  done(heuristics);
  for (int n = 0; n < MOST_ALGORITHMS; ++n) configs[n] = made(DNN_ENGINECFG);
  if (!status)
    status = dnn.get(heuristics, DNN_HEUR_RESULTS, DNN_T_DESCRIPTOR, MOST_ALGORITHMS, &count, configs);
  unmade(heuristics);
  for (int64_t n = 0; n < MOST_ALGORITHMS; ++n)
    if (!status && n < count && is_exact(configs[n], plain))
      configs[kept++] = configs[n];
    else
      unmade(configs[n]);
  return kept;
}

static int chosen(const Call *call, void **plan) {
  void *configs[MOST_ALGORITHMS];
  int64_t workspace = 0, one = 0, rank = call->numbers[ALGORITHM];
  status = 0;
  void *graph = graph_of(call);
  if (status) return failed();
  int count = engines_of(call, graph, DNN_MODE_A, configs);
  if (status || !count) {
    status = 0;
    count = engines_of(call, graph, DNN_MODE_FALLBACK, configs);
  }
  for (int n = 0; n < count; ++n)
    if (n != rank) unmade(configs[n]);
  if (status || rank >= count)
    return fail(UNAVAILABLE, "cuDNN has %d algorithms for this layer.", status ? 0 : count);
  *plan = made(DNN_PLAN);
  put(*plan, DNN_PLAN_HANDLE, DNN_T_HANDLE, 1, &handles[call->device]);
  put(*plan, DNN_PLAN_CONFIG, DNN_T_DESCRIPTOR, 1, &configs[rank]);
  done(*plan);
  if (status)
    return fail(UNAVAILABLE, "cuDNN's algorithm %d does not run on this GPU: %s.", (int)rank,
                dnn.words(status));
  status = dnn.get(*plan, DNN_PLAN_WORKSPACE, DNN_T_INT64, 1, &one, &workspace);
  if (!status && workspace > call->tensors[WORKSPACE]->shape[0])
    return fail(UNAVAILABLE, "cuDNN's algorithm %d needs a workspace of %lld bytes.", (int)rank,
                (long long)workspace);
  return status ? failed() : 0;
}

int vendor_conv2d(const Call *call) {
  static const int64_t ids[] = {LEFT, RIGHT, OUTPUT, BIAS, RESIDUAL};
  int64_t key[KEY], count = 3;
  void *made_plan = NULL, *pointers[5], *pack;
  int64_t used[5] = {LEFT, RIGHT, OUTPUT};
  if (ready(call->device)) return -1;
  key_of(call, NUMBERS, key);
  Plan *plan = plan_of(&plans, key);
  if (!plan) return fail("MemoryError", "no memory is left for a plan of cuDNN");
  if (!plan->state) {
    if (chosen(call, &made_plan)) return -1;
    plan->state = made_plan;
  }
  for (int n = 3; n < 5; ++n)
    if (call->numbers[OPERANDS] & (ids[n] == BIAS ? HAS_BIAS : HAS_RESIDUAL)) used[count++] = ids[n];
  for (int n = 0; n < count; ++n) pointers[n] = data_of(call->tensors[used[n]]);
  void *workspace = data_of(call->tensors[WORKSPACE]);
  status = dnn.set_stream(handles[call->device], call->stream);
  pack = made(DNN_VARIANT_PACK);
  put(pack, DNN_PACK_IDS, DNN_T_INT64, count, used);
  put(pack, DNN_PACK_POINTERS, DNN_T_VOID_PTR, count, pointers);
  put(pack, DNN_PACK_WORKSPACE, DNN_T_VOID_PTR, 1, &workspace);
  done(pack);
  if (!status) status = dnn.execute(handles[call->device], plan->state, pack);
  unmade(pack);
  return status ? failed() : 0;
}
