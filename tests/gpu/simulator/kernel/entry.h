// What a compiled kernel tells the driver.
#pragma once

namespace simulated {

// What the library says of one kernel, under the name KERNEL__entry.
struct Entry {
  void (*body)(void** arguments);
  int count;         // of parameters
  const int* sizes;  // of parameters, in bytes
};

}  // namespace simulated
