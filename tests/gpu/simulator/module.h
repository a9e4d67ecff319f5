// Loaded binaries: an ELF file for a GPU, and behind it the same kernels for a CPU.
#pragma once
#include <string>

#include "binary.h"
#include "kernel/entry.h"

namespace simulated {

constexpr char kTrailer[] = "SIMULATED-KERNELS";  // then the size in eight bytes, then a library

struct Function {
  std::string name;
  const Entry* entry;
  Resources resources;
  int dynamic_shared;  // most that a launch may ask for
};

struct Module {
  void* library;
  Binary binary;
};

// Loads a binary for the GPU in use, whose architecture it must have been compiled for.
int load_module(Module** module, const unsigned char* image);
int find_function(Function** function, Module* module, const char* name);
void unload_module(Module* module);

}  // namespace simulated
