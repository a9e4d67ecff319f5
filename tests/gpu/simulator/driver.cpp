// libcuda.so.1: those functions of the driver that TVM's CUDA runtime calls.
#include <cuda.h>

#include <cstdio>

#include "context.h"
#include "launch.h"
#include "machine.h"
#include "module.h"

using namespace simulated;

namespace simulated {
Context& context() {
  static Context only;
  return only;
}
}  // namespace simulated

static CUresult result(int error) { return static_cast<CUresult>(error); }

CUresult cuDeviceGetName(char* name, int size, CUdevice device) {
  if (device < 0 || device >= static_cast<int>(visible().size())) return result(kInvalidDevice);
  snprintf(name, size, "%s", visible()[device].model->name);
  return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char** text) {
  *text = driver_name(error);
  return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
  *text = sentence(error);
  return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  if (visible().empty()) return CUDA_ERROR_NO_DEVICE;
  if (context().error) return result(context().error);
  Module** made = reinterpret_cast<Module**>(module);
  return result(load_module(made, static_cast<const unsigned char*>(image)));
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  Function** found = reinterpret_cast<Function**>(function);
  return result(find_function(found, reinterpret_cast<Module*>(module), name));
}

CUresult cuModuleUnload(CUmodule module) {
  unload_module(reinterpret_cast<Module*>(module));
  return result(context().error);
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  if (context().error) return result(context().error);
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_ERROR_INVALID_VALUE;
  Function* changed = reinterpret_cast<Function*>(function);
  size_t most = visible()[context().device].model->shared_opt_in - changed->resources.static_shared;
  if (value < 0 || static_cast<size_t>(value) > most) return CUDA_ERROR_INVALID_VALUE;
  changed->dynamic_shared = value;
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** arguments,
                          void**) {
  LaunchConfig launched = {{config->gridDimX, config->gridDimY, config->gridDimZ},
                           {config->blockDimX, config->blockDimY, config->blockDimZ},
                           config->sharedMemBytes,
                           reinterpret_cast<Stream*>(config->hStream)};
  return result(launch(launched, *reinterpret_cast<Function*>(function), arguments));
}

// No kernel here copies tensors by the hardware that does so.
CUresult cuTensorMapEncodeTiled(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*,
                                const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
                                const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  return CUDA_ERROR_NOT_SUPPORTED;
}
