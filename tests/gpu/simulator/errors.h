// CUDA's numbers for what can go wrong; driver and runtime agree on those that are used here.
#pragma once

namespace simulated {

enum Error : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kInvalidConfiguration = 9,    // the runtime's
  kInsufficientDriver = 35,     // the runtime's
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kNoBinaryForGpu = 209,
  kInvalidSource = 300,
  kInvalidHandle = 400,
  kNotFound = 500,
  kNotReady = 600,
  kIllegalAddress = 700,
  kOutOfResources = 701,
  kLaunchFailed = 719,
  kCaptureUnsupported = 900,
  kCaptureInvalidated = 901,
  kCaptureUnmatched = 903,
  kCaptureImplicit = 906,
  kDeviceLost = 46,             // "devices unavailable", what a GPU that fell off its bus gives
  kUnknown = 999,
};

const char* driver_name(int error);    // CUDA_ERROR_...
const char* runtime_name(int error);   // cudaError...
const char* sentence(int error);

}  // namespace simulated
