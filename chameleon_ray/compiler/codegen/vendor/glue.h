/* What the files of the glue have in common: errors, arguments, plans, and libraries at run time.

   The glue lets code that TVM generates call NVIDIA's libraries. It needs no header of NVIDIA's, and
   is linked to none of the libraries. */
#ifndef CHAMELEON_VENDOR_GLUE_H
#define CHAMELEON_VENDOR_GLUE_H

#include <stdint.h>
#include <tvm/ffi/c_api.h>
#include <tvm/ffi/extra/c_env_api.h>

/* Kind of the error where a library is missing, or has no such algorithm. */
#define UNAVAILABLE "VendorUnavailable"
/* Alignment in bytes that all tensors must have, and that algorithms may rely on. */
#define ALIGNMENT 16

enum { NONE, RELU, GELU, GELU_TANH, TANH, SIGMOID, SILU, RELU6 };
/* Tensors of a call, in order. Where there is no bias or residual, the output stands in its place. */
enum { LEFT, RIGHT, BIAS, RESIDUAL, OUTPUT, WORKSPACE, TENSORS };
enum { HAS_BIAS = 1, HAS_RESIDUAL = 2 };
/* Types of tensors, two bits for each in the number TYPES. TVM does not pass on that of bfloat16. */
enum { FLOAT32, FLOAT16, BFLOAT16 };
/* The numbers that every function takes before its own: which operands there are beside two, the
   activation, whether operands may be rounded to TF32, types, and the rank of the algorithm. */
enum { OPERANDS, ACTIVATION, TF32, TYPES, ALGORITHM, OWN };
/* Numbers that the key of a plan may have, and devices of a process. */
enum { KEY = 48, DEVICES = 64 };

/* One call of a function: its tensors, the numbers after them, and the device and stream. */
typedef struct {
  int device;
  const DLTensor *tensors[TENSORS];
  const int64_t *numbers;
  void *stream;
} Call;

/* A call's choice of algorithm, made by the first such call and kept for the process's life. */
typedef struct Plan {
  int64_t key[KEY];
  struct Plan *next;
  void *state;
} Plan;

/* A library that is opened by the first call, once. */
typedef struct {
  const char *people, *file, *wheel;
  int major;
  const char *others[4]; /* files of other major versions */
  int tried;
  void *handle;
  char trouble[400]; /* why it cannot be used, in a sentence; empty where it can */
} Library;

/* Sets the error that the function ends with; returns -1. */
int fail(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Opens a library, unless that was tried before; returns whether it can be used. */
int opened(Library *library);
/* Looks up a function of a library; notes the trouble where it is missing. */
void *function_of(Library *library, const char *name);
/* Returns the type of a tensor of a call. */
int type_at(const Call *call, int which);
/* Returns the address of a tensor's first element. */
void *data_of(const DLTensor *tensor);
/* Finds the plan with a key; makes one without a state where there is none. */
Plan *plan_of(Plan **plans, const int64_t key[KEY]);
/* Writes device, types and shapes of a call and its numbers into a key. */
void key_of(const Call *call, int numbers, int64_t key[KEY]);

/* The functions, which are called one at a time. They return 0, or what `fail` returns. */
int vendor_matmul(const Call *call);
int vendor_conv2d(const Call *call);
extern Library cublaslt, cudnn;

#endif
