/* Registers the glue's functions with TVM as its library is loaded. */
#define _GNU_SOURCE
#include "glue.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Folders, separated by colons, in which libraries are looked for after the loader's own. */
#define PATH "CHAMELEON_VENDOR_PATH"
enum { CUDA = 2, MOST_NUMBERS = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int fail(const char *kind, const char *format, ...) {
  char text[600];
  va_list rest;
  va_start(rest, format);
  vsnprintf(text, sizeof text, format, rest);
  va_end(rest);
  TVMFFIErrorSetRaisedFromCStr(kind, text);
  return -1;
}

static void *found(const char *file) {
  void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  const char *folder = getenv(PATH);
  while (!handle && folder && *folder) {
    char path[4096];
    int length = (int)strcspn(folder, ":");
    snprintf(path, sizeof path, "%.*s/%s", length, folder, file);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    folder += length + (folder[length] == ':');
  }
  return handle;
}

int opened(Library *library) {
  if (library->tried) return !library->trouble[0];
  library->tried = 1;
  library->handle = found(library->file);
  if (library->handle) return 1;
  const char *why = dlerror();
  snprintf(library->trouble, sizeof library->trouble,
           "%s %d is needed here: put %s on the loader's path, for example from pip install %s (%s).",
           library->people, library->major, library->file, library->wheel, why ? why : "not found");
  for (const char *const *other = library->others; *other; ++other)
    if (found(*other)) {
      snprintf(library->trouble, sizeof library->trouble,
               "%s %d is needed here, and %s is of another major version; install the right one, "
               "for example with: pip install %s", library->people, library->major, *other,
               library->wheel);
      break;
    }
  return 0;
}

void *function_of(Library *library, const char *name) {
  void *function = dlsym(library->handle, name);
  if (!function && !library->trouble[0])
    snprintf(library->trouble, sizeof library->trouble,
             "%s of %s lacks %s; install a later one, for example with: pip install -U %s",
             library->file, library->people, name, library->wheel);
  return function;
}

int type_at(const Call *call, int which) { return (int)(call->numbers[TYPES] >> 2 * which & 3); }

void *data_of(const DLTensor *tensor) { return (char *)tensor->data + tensor->byte_offset; }

Plan *plan_of(Plan **plans, const int64_t key[KEY]) {
  for (Plan *plan = *plans; plan; plan = plan->next)
    if (!memcmp(plan->key, key, sizeof plan->key)) return plan;
  Plan *plan = calloc(1, sizeof *plan);
  if (!plan) return NULL;
  memcpy(plan->key, key, sizeof plan->key);
  plan->next = *plans;
  return *plans = plan;
}

void key_of(const Call *call, int numbers, int64_t key[KEY]) {
  int place = 0;
  memset(key, 0, KEY * sizeof *key);
  key[place++] = call->device;
  for (int n = LEFT; n < WORKSPACE; ++n) {
    const DLTensor *tensor = call->tensors[n];
    for (int axis = 0; axis < 4; ++axis)
      key[place++] = axis < tensor->ndim ? tensor->shape[axis] : 0;
  }
  for (int n = 0; n < numbers; ++n) key[place++] = call->numbers[n];
}

/* Calls a function of the glue with the arguments of TVM's code: all tensors, then all numbers. */
static int called(void *self, const TVMFFIAny *args, int32_t count, TVMFFIAny *result) {
  Call call;
  int64_t numbers[MOST_NUMBERS] = {0};
  result->type_index = kTVMFFINone;
  if (count < TENSORS || count > TENSORS + MOST_NUMBERS)
    return fail("TypeError", "a vendor's function takes other arguments than these %d", count);
  for (int n = 0; n < TENSORS; ++n) {
    if (args[n].type_index != kTVMFFIDLTensorPtr)
      return fail("TypeError", "argument %d of a vendor's function is no tensor", n);
    const DLTensor *tensor = call.tensors[n] = args[n].v_ptr;
    if ((uintptr_t)data_of(tensor) % ALIGNMENT)
      return fail("ValueError", "a tensor for a vendor's function is not aligned to %d bytes",
                  ALIGNMENT);
  }
  for (int n = TENSORS; n < count; ++n) numbers[n - TENSORS] = args[n].v_int64;
  call.numbers = numbers;
  call.device = call.tensors[LEFT]->device.device_id;
  if (call.device < 0 || call.device >= DEVICES)
    return fail("ValueError", "a vendor's function takes devices below %d", DEVICES);
  call.stream = TVMFFIEnvGetStream(CUDA, call.device);
  pthread_mutex_lock(&lock);
  int done = ((int (*)(const Call *))self)(&call);
  pthread_mutex_unlock(&lock);
  return done;
}

/* Returns why a library, given by its number, cannot be used; empty where it can. */
static int trouble(void *self, const TVMFFIAny *args, int32_t count, TVMFFIAny *result) {
  (void)self;
  result->type_index = kTVMFFINone;
  if (count != 1 || args[0].type_index != kTVMFFIInt)
    return fail("TypeError", "give the number of a library");
  Library *library = args[0].v_int64 == 0 ? &cublaslt : &cudnn;
  pthread_mutex_lock(&lock);
  opened(library);
  pthread_mutex_unlock(&lock);
  TVMFFIByteArray text = {library->trouble, strlen(library->trouble)};
  return TVMFFIStringFromByteArray(&text, result);
}

static void named(const char *name, TVMFFISafeCallType function, void *self) {
  TVMFFIByteArray text = {name, strlen(name)};
  TVMFFIObjectHandle handle;
  if (TVMFFIFunctionCreate(self, function, NULL, &handle)) return;
  TVMFFIFunctionSetGlobal(&text, handle, 1);
  TVMFFIObjectDecRef(handle);
}

/* Returns the libraries that the layers of a model call, as its linking names them. */
#ifndef CALLED_LIBRARIES
#define CALLED_LIBRARIES ""
#endif
__attribute__((visibility("default"))) int __tvm_ffi_vendor_libraries(
    void *self, const TVMFFIAny *args, int32_t count, TVMFFIAny *result) {
  (void)self, (void)args, (void)count;
  TVMFFIByteArray text = {CALLED_LIBRARIES, strlen(CALLED_LIBRARIES)};
  result->type_index = kTVMFFINone;
  return TVMFFIStringFromByteArray(&text, result);
}

/* The number in the names changes whenever the arguments do. */
__attribute__((constructor)) static void registered(void) {
  named("chameleon.vendor.v1.matmul", called, (void *)vendor_matmul);
  named("chameleon.vendor.v1.conv2d", called, (void *)vendor_conv2d);
  named("chameleon.vendor.v1.trouble", trouble, NULL);
}
