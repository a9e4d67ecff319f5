// What the driver knows of this process: the device in use, and the error that ended it all.
#pragma once
#include "errors.h"

namespace simulated {

struct Context {
  int device = 0;          // among the visible ones
  int error = kSuccess;    // an error of a kernel, which every later call gives
};

Context& context();

}  // namespace simulated
