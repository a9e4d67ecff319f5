// libnvidia-ml.so.1: the functions of NVIDIA's management library that the project and Ray call.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "faults.h"
#include "machine.h"

using namespace simulated;

#define EXPORT extern "C" __attribute__((visibility("default")))

enum Status { kOk = 0, kInvalidArgument = 2, kMissing = 6, kNotLoaded = 9, kLost = 15 };

struct Memory {
  unsigned long long total, free, used;
};

// A device's handle is its number on the bus, plus one.
static const Gpu* gpu_of(uintptr_t handle) {
  return handle && handle <= gpus().size() ? &gpus()[handle - 1] : nullptr;
}

static int written(char* text, unsigned size, const char* value) {
  snprintf(text, size, "%s", value);
  return kOk;
}

EXPORT int nvmlInitWithFlags(unsigned) {
  if (number_of("SIMULATED_SILENT", 0)) sleep(3600);
  return gpus().empty() ? kNotLoaded : kOk;
}
EXPORT int nvmlInit_v2() { return nvmlInitWithFlags(0); }
EXPORT int nvmlShutdown() { return kOk; }

EXPORT const char* nvmlErrorString(int status) {
  return status == kNotLoaded ? "Driver Not Loaded" : status == kMissing ? "Not Found" : "Error";
}

EXPORT int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  return written(text, size, driver().c_str());
}

EXPORT int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = gpus().size();
  return kOk;
}

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned number, uintptr_t* handle) {
  if (number >= gpus().size()) return kInvalidArgument;
  *handle = number + 1;
  return lost(number) ? kLost : kOk;
}

EXPORT int nvmlDeviceGetHandleByUUID(const char* uuid, uintptr_t* handle) {
  for (const Gpu& gpu : gpus())
    if (gpu.uuid == uuid) return nvmlDeviceGetHandleByIndex_v2(gpu.number, handle);
  return kMissing;
}

EXPORT int nvmlDeviceGetMigMode(uintptr_t handle, unsigned* now, unsigned* then) {
  *now = *then = number_of("SIMULATED_DIVIDED", 0);
  return gpu_of(handle) ? kOk : kInvalidArgument;
}

EXPORT int nvmlDeviceGetName(uintptr_t handle, char* text, unsigned size) {
  const Gpu* gpu = gpu_of(handle);
  return gpu ? written(text, size, gpu->model->name) : kInvalidArgument;
}

EXPORT int nvmlDeviceGetUUID(uintptr_t handle, char* text, unsigned size) {
  const Gpu* gpu = gpu_of(handle);
  return gpu ? written(text, size, gpu->uuid.c_str()) : kInvalidArgument;
}

EXPORT int nvmlDeviceGetCudaComputeCapability(uintptr_t handle, int* major, int* minor) {
  const Gpu* gpu = gpu_of(handle);
  if (!gpu) return kInvalidArgument;
  *major = gpu->model->major;
  *minor = gpu->model->minor;
  return kOk;
}

EXPORT int nvmlDeviceGetMemoryInfo(uintptr_t handle, Memory* memory) {
  const Gpu* gpu = gpu_of(handle);
  if (!gpu) return kInvalidArgument;
  *memory = {gpu->memory, gpu->memory, 0};
  return kOk;
}

EXPORT int nvmlDeviceGetClockInfo(uintptr_t handle, int kind, unsigned* mhz) {
  const Gpu* gpu = gpu_of(handle);
  if (!gpu) return kInvalidArgument;
  *mhz = kind == 2 ? gpu->model->memory_mhz : gpu->model->clock_mhz;
  return kOk;
}

EXPORT int nvmlDeviceGetTemperature(uintptr_t handle, int, unsigned* celsius) {
  *celsius = 40;
  return gpu_of(handle) ? kOk : kInvalidArgument;
}

EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(uintptr_t handle, unsigned long long* bits) {
  *bits = 0;
  return gpu_of(handle) ? kOk : kInvalidArgument;
}
