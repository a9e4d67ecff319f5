#include "module.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "context.h"
#include "counters.h"
#include "faults.h"
#include "machine.h"

namespace simulated {

// Binaries run on GPUs of the same major capability whose minor one is not less.
static bool runs_on(const Model& model, int architecture) {
  return architecture / 10 == model.major && architecture % 10 <= model.minor;
}

// Kernels need symbols of this library, which a process may have loaded for itself alone.
static void show_symbols() {
  Dl_info own;
  if (dladdr(reinterpret_cast<void*>(show_symbols), &own))
    dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
}

// Loads a library that lies in memory, from a file of a name that was never used before: the loader
// takes two libraries of one name for the same.
static void* open_library(const unsigned char* code, size_t size) {
  static int number = 0;
  std::string path = "/tmp/simulated-" + std::to_string(getpid()) + "-" + std::to_string(number++);
  int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
  if (file < 0) return nullptr;
  show_symbols();
  bool written = write(file, code, size) == static_cast<ssize_t>(size);
  void* library = written ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library) tell("the kernels cannot be loaded: %s", dlerror());
  close(file);
  unlink(path.c_str());
  return library;
}

int load_module(Module** module, const unsigned char* image) {
  forget_launches();
  if (memcmp(image, ELFMAG, SELFMAG)) return kInvalidImage;
  Binary binary = read_binary(image);
  const Gpu& gpu = visible()[context().device];
  if (!runs_on(*gpu.model, binary.architecture)) return kNoBinaryForGpu;
  for (const auto& [name, resources] : binary.kernels)
    if (resources.static_shared > kStaticShared) return kInvalidImage;
  if (memcmp(binary.end, kTrailer, sizeof kTrailer)) {
    tell("a binary has no kernels for a CPU, as another compiler than the simulated GPU's made it");
    return kInvalidImage;
  }
  const unsigned char* at = binary.end + sizeof kTrailer;
  uint64_t size;
  memcpy(&size, at, sizeof size);
  void* library = open_library(at + sizeof size, size);
  if (!library) return kInvalidImage;
  *module = new Module{library, binary};
  loaded(gpu.number);
  return kSuccess;
}

int find_function(Function** function, Module* module, const char* name) {
  std::string symbol = std::string(name) + "__entry";
  const void* found = dlsym(module->library, symbol.c_str());
  const Entry* entry = static_cast<const Entry*>(found);
  if (!entry) return kNotFound;
  const Resources& resources = module->binary.kernels[name];
  int dynamic = static_cast<int>(kStaticShared - resources.static_shared);
  *function = new Function{name, entry, resources, dynamic};
  return kSuccess;
}

void unload_module(Module* module) {
  dlclose(module->library);
  delete module;
}

}  // namespace simulated
