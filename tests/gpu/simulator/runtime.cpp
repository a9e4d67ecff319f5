// libcudart.so.13: those functions of CUDA's runtime that TVM's CUDA runtime calls.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>

#include "clock.h"
#include "context.h"
#include "faults.h"
#include "machine.h"
#include "memory.h"
#include "stream.h"

using namespace simulated;

static cudaError_t result(int error) { return static_cast<cudaError_t>(error); }
static cudaError_t present() { return result(context().error); }
static Stream* stream_of(cudaStream_t stream) { return reinterpret_cast<Stream*>(stream); }

// Fails where nothing may be waited for or allocated: without a GPU, after an error, in a capture.
static int idle() {
  if (visible().empty()) return kNoDevice;
  return context().error ? context().error : forbid_in_capture();
}

// Devices

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  begin();
  if (refusal()) return result(refusal());
  if (cuda_version() < CUDART_VERSION / 1000 * 1000) return cudaErrorInsufficientDriver;
  *count = static_cast<int>(visible().size());
  return *count ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDevice(int* device) {
  *device = context().device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  int count;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error) return error;
  if (device < 0 || device >= count) return cudaErrorInvalidDevice;
  context().device = device;
  return present();
}

static bool attribute_of(const Model& model, cudaDeviceAttr attribute, int* value) {
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = kMostThreads; return true;
    case cudaDevAttrMaxBlockDimX: *value = kMostThreads; return true;
    case cudaDevAttrMaxBlockDimY: *value = kMostThreads; return true;
    case cudaDevAttrMaxBlockDimZ: *value = 64; return true;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = kStaticShared; return true;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = model.shared_opt_in; return true;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = model.shared; return true;
    case cudaDevAttrWarpSize: *value = kWarp; return true;
    case cudaDevAttrMaxRegistersPerBlock: *value = kRegisters; return true;
    case cudaDevAttrClockRate: *value = model.clock_mhz * 1000; return true;
    case cudaDevAttrMultiProcessorCount: *value = model.multiprocessors; return true;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = model.threads; return true;
    case cudaDevAttrL2CacheSize: *value = model.l2; return true;
    case cudaDevAttrComputeCapabilityMajor: *value = model.major; return true;
    case cudaDevAttrComputeCapabilityMinor: *value = model.minor; return true;
    default: return false;
  }
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  int count;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error) return error;
  if (device < 0 || device >= count) return cudaErrorInvalidDevice;
  return attribute_of(*visible()[device].model, attribute, value) ? cudaSuccess
                                                                   : cudaErrorInvalidValue;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= static_cast<int>(visible().size())) return cudaErrorInvalidDevice;
  const Gpu& gpu = visible()[device];
  memset(properties, 0, sizeof *properties);
  snprintf(properties->name, sizeof properties->name, "%s", gpu.model->name);
  properties->totalGlobalMem = gpu.memory;
  properties->major = gpu.model->major;
  properties->minor = gpu.model->minor;
  properties->multiProcessorCount = gpu.model->multiprocessors;
  return cudaSuccess;
}

// Memory

cudaError_t cudaMalloc(void** pointer, size_t size) {
  int error = idle();
  return result(error ? error : allocate(context().device, pointer, size));
}

cudaError_t cudaFree(void* pointer) {
  int error = idle();
  return result(error ? error : release(pointer));
}

cudaError_t cudaMallocHost(void** pointer, size_t size) {
  int error = idle();
  if (!error && posix_memalign(pointer, 256, size ? size : 1)) error = kOutOfMemory;
  return result(error);
}

cudaError_t cudaFreeHost(void* pointer) {
  free(pointer);
  return present();
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  if (visible().empty()) return cudaErrorNoDevice;
  *free = free_memory(context().device);
  *total = visible()[context().device].memory;
  return present();
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind,
                            cudaStream_t stream) {
  return result(submit(stream_of(stream), [to, from, size] {
    copy(to, from, size);
    return kSuccess;
  }));
}

cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t size,
                                cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, stream);
}

// Streams and events

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = reinterpret_cast<cudaStream_t>(new Stream);
  return present();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return cudaStreamCreate(stream);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  forget(stream_of(stream));
  delete stream_of(stream);
  return present();
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return result(idle()); }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return present(); }

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = reinterpret_cast<cudaEvent_t>(new double(0));
  return present();
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete reinterpret_cast<double*>(event);
  return present();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  double* time = reinterpret_cast<double*>(event);
  return result(submit(stream_of(stream), [time] {
    *time = now();
    return kSuccess;
  }));
}

cudaError_t cudaEventSynchronize(cudaEvent_t) { return result(idle()); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = static_cast<float>(
      1e3 * (*reinterpret_cast<double*>(end) - *reinterpret_cast<double*>(start)));
  return present();
}

// Calls a function of the host when the stream comes to it.
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return result(submit(stream_of(stream), [function, data] {
    function(data);
    return kSuccess;
  }));
}

// Errors

cudaError_t cudaGetLastError() { return present(); }
cudaError_t cudaPeekAtLastError() { return present(); }
const char* cudaGetErrorName(cudaError_t error) { return runtime_name(error); }
const char* cudaGetErrorString(cudaError_t error) { return sentence(error); }

// Graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  return result(context().error ? context().error : begin_capture(stream_of(stream)));
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return result(end_capture(stream_of(stream), reinterpret_cast<Graph**>(graph)));
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  if (!graph) return cudaErrorInvalidValue;
  *made = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return present();
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  return result(submit(stream_of(stream), [graph] {
    return replay(reinterpret_cast<Graph*>(graph));
  }));
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}
