/* The part of cuDNN 9 that the glue calls, after the library's documentation. */
#ifndef CHAMELEON_CUDNN_H
#define CHAMELEON_CUDNN_H

#include <stddef.h>
#include <stdint.h>

enum { DNN_FLOAT = 0, DNN_HALF = 2, DNN_BFLOAT16 = 9 };
enum { DNN_CROSS_CORRELATION = 1, DNN_MODE_FALLBACK = 2, DNN_MODE_A = 3 };
enum { DNN_ADD = 0, DNN_RELU = 100, DNN_TANH = 101, DNN_SIGMOID = 102, DNN_GELU = 104,
       DNN_SWISH = 106, DNN_GELU_TANH = 107 };
/* Notes on an engine: it uses tensor cores, shortens operands, or sums in a shorter type. */
enum { DNN_TENSOR_CORE = 0, DNN_DOWN_CONVERT_INPUTS = 1, DNN_REDUCED_PRECISION = 2, DNN_NOTES = 10 };
/* Types of attributes. */
enum { DNN_T_HANDLE = 0, DNN_T_DATA_TYPE = 1, DNN_T_BOOLEAN = 2, DNN_T_INT64 = 3, DNN_T_FLOAT = 4,
       DNN_T_DOUBLE = 5, DNN_T_VOID_PTR = 6, DNN_T_CONVOLUTION_MODE = 7, DNN_T_HEUR_MODE = 8,
       DNN_T_NOTE = 11, DNN_T_POINTWISE_MODE = 14, DNN_T_DESCRIPTOR = 15 };
/* Types of descriptors. */
enum { DNN_POINTWISE = 0, DNN_CONVOLUTION = 1, DNN_ENGINE = 2, DNN_ENGINECFG = 3, DNN_ENGINEHEUR = 4,
       DNN_PLAN = 5, DNN_CONVOLUTION_FORWARD = 10, DNN_OPERATION_POINTWISE = 13, DNN_GRAPH = 15,
       DNN_VARIANT_PACK = 16, DNN_TENSOR = 17 };
/* Attributes, each under its descriptor's name. */
enum { DNN_POINTWISE_MODE = 0, DNN_POINTWISE_PRECISION = 1, DNN_POINTWISE_UPPER_CLIP = 4 };
enum { DNN_CONVOLUTION_TYPE = 100, DNN_CONVOLUTION_MODE = 101, DNN_CONVOLUTION_DILATIONS = 102,
       DNN_CONVOLUTION_STRIDES = 103, DNN_CONVOLUTION_POST = 104, DNN_CONVOLUTION_PRE = 105,
       DNN_CONVOLUTION_AXES = 106 };
enum { DNN_HEUR_MODE = 200, DNN_HEUR_GRAPH = 201, DNN_HEUR_RESULTS = 202, DNN_CONFIG_ENGINE = 300 };
enum { DNN_PLAN_HANDLE = 400, DNN_PLAN_CONFIG = 401, DNN_PLAN_WORKSPACE = 402 };
enum { DNN_FORWARD_ALPHA = 700, DNN_FORWARD_BETA = 701, DNN_FORWARD_CONVOLUTION = 702,
       DNN_FORWARD_W = 703, DNN_FORWARD_X = 704, DNN_FORWARD_Y = 705 };
enum { DNN_OPERATION_POINTWISE_DESC = 750, DNN_OPERATION_X = 751, DNN_OPERATION_B = 752,
       DNN_OPERATION_Y = 753 };
enum { DNN_GRAPH_HANDLE = 800, DNN_GRAPH_OPERATIONS = 801 };
enum { DNN_TENSOR_ALIGNMENT = 900, DNN_TENSOR_TYPE = 901, DNN_TENSOR_DIMENSIONS = 902,
       DNN_TENSOR_STRIDES = 903, DNN_TENSOR_ID = 906, DNN_TENSOR_VIRTUAL = 907 };
enum { DNN_PACK_IDS = 1000, DNN_PACK_POINTERS = 1001, DNN_PACK_WORKSPACE = 1003 };
enum { DNN_ENGINE_NOTES = 1303 };

typedef struct {
  const char *(*words)(int status);
  void (*last)(char *text, size_t size);
  int (*create)(void **handle);
  int (*set_stream)(void *handle, void *stream);
  int (*make)(int type, void **descriptor);
  int (*destroy)(void *descriptor);
  int (*finalize)(void *descriptor);
  int (*set)(void *descriptor, int attribute, int type, int64_t count, const void *values);
  int (*get)(void *descriptor, int attribute, int type, int64_t wanted, int64_t *count,
             void *values);
  int (*execute)(void *handle, void *plan, void *pack);
} Dnn;

#endif
