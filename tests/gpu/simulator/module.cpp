#include "module.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "errors.h"
#include "machine.h"

namespace simulated {

// Where an ELF file ends.
static const unsigned char* end_of(const unsigned char* image) {
  const Elf64_Ehdr* header = reinterpret_cast<const Elf64_Ehdr*>(image);
  size_t end = std::max(header->e_shoff + size_t{header->e_shentsize} * header->e_shnum,
                        header->e_phoff + size_t{header->e_phentsize} * header->e_phnum);
  const Elf64_Shdr* sections = reinterpret_cast<const Elf64_Shdr*>(image + header->e_shoff);
  for (int n = 0; n < header->e_shnum; ++n)
    if (sections[n].sh_type != SHT_NOBITS)
      end = std::max<size_t>(end, sections[n].sh_offset + sections[n].sh_size);
  return image + end;
}

// Loads a library that lies in memory, from a file of a name that was never used before: the loader
// takes two libraries of one name for the same.
static void* open_library(const unsigned char* code, size_t size) {
  static int number = 0;
  std::string path = "/tmp/simulated-" + std::to_string(getpid()) + "-" + std::to_string(number++);
  int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
  if (file < 0) return nullptr;
  bool written = write(file, code, size) == static_cast<ssize_t>(size);
  void* library = written ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library) tell("the kernels cannot be loaded: %s", dlerror());
  close(file);
  unlink(path.c_str());
  return library;
}

int load_module(Module** module, const unsigned char* image) {
  if (memcmp(image, ELFMAG, SELFMAG)) return kInvalidImage;
  const unsigned char* at = end_of(image);
  if (memcmp(at, kTrailer, sizeof kTrailer)) {
    tell("a binary has no kernels for a CPU, as another compiler than the simulated GPU's made it");
    return kInvalidImage;
  }
  uint64_t size;
  memcpy(&size, at + sizeof kTrailer, sizeof size);
  void* library = open_library(at + sizeof kTrailer + sizeof size, size);
  if (!library) return kInvalidImage;
  *module = new Module{library};
  return kSuccess;
}

int find_function(Function** function, Module* module, const char* name) {
  std::string symbol = std::string(name) + "__entry";
  const Entry* entry = static_cast<const Entry*>(dlsym(module->library, symbol.c_str()));
  if (!entry) return kNotFound;
  *function = new Function{name, entry, static_cast<int>(kStaticShared)};
  return kSuccess;
}

void unload_module(Module* module) {
  dlclose(module->library);
  delete module;
}

}  // namespace simulated
