// What the ELF file of a GPU's kernels says of them.
#pragma once
#include <cstddef>
#include <map>
#include <string>

namespace simulated {

struct Resources {
  int registers = 0;         // of a thread
  size_t static_shared = 0;  // bytes of a block
};

struct Binary {
  int architecture;  // as 90
  std::map<std::string, Resources> kernels;
  const unsigned char* end;  // of the file
};

// Reads a file that lies in memory; it has to be one for GPUs.
Binary read_binary(const unsigned char* image);

}  // namespace simulated
