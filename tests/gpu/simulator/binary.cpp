#include "binary.h"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace simulated {

namespace {

constexpr unsigned char kSized = 4, kRegisterCount = 0x2f;  // format and attribute in .nv.info
constexpr size_t kReserved = 1024;  // bytes of shared memory that the system takes of each block

struct Elf {
  const unsigned char* image;
  const Elf64_Ehdr* header;
  const Elf64_Shdr* sections;

  explicit Elf(const unsigned char* start)
      : image(start),
        header(reinterpret_cast<const Elf64_Ehdr*>(start)),
        sections(reinterpret_cast<const Elf64_Shdr*>(start + header->e_shoff)) {}

  const char* name(const Elf64_Shdr& section) const {
    return reinterpret_cast<const char*>(image) + sections[header->e_shstrndx].sh_offset +
           section.sh_name;
  }

  const Elf64_Shdr* find(const char* wanted) const {
    for (int n = 0; n < header->e_shnum; ++n)
      if (!strcmp(name(sections[n]), wanted)) return &sections[n];
    return nullptr;
  }
};

const unsigned char* end_of(const Elf& elf) {
  const Elf64_Ehdr* header = elf.header;
  size_t end = std::max(header->e_shoff + size_t{header->e_shentsize} * header->e_shnum,
                        header->e_phoff + size_t{header->e_phentsize} * header->e_phnum);
  for (int n = 0; n < header->e_shnum; ++n) {
    const Elf64_Shdr& section = elf.sections[n];
    if (section.sh_type != SHT_NOBITS)
      end = std::max<size_t>(end, section.sh_offset + section.sh_size);
  }
  return elf.image + end;
}

const char* symbol_of(const Elf& elf, uint32_t number) {
  const Elf64_Shdr *table = elf.find(".symtab"), *names = elf.find(".strtab");
  const unsigned char* at = elf.image + table->sh_offset + number * sizeof(Elf64_Sym);
  return reinterpret_cast<const char*>(elf.image) + names->sh_offset +
         reinterpret_cast<const Elf64_Sym*>(at)->st_name;
}

// Attributes are a format, a number, and a size of two bytes, then what they are.
void read_registers(const Elf& elf, Binary& binary) {
  const Elf64_Shdr* info = elf.find(".nv.info");
  if (!info) return;
  const unsigned char* at = elf.image + info->sh_offset;
  const unsigned char* end = at + info->sh_size;
  while (at < end) {
    unsigned char format = at[0], attribute = at[1];
    uint16_t size;
    memcpy(&size, at + 2, sizeof size);
    if (format == kSized && attribute == kRegisterCount) {
      uint32_t values[2];  // symbol, registers
      memcpy(values, at + 4, sizeof values);
      binary.kernels[symbol_of(elf, values[0])].registers = values[1];
    }
    at += format == kSized ? 4 + size : 4;
  }
}

void read_shared(const Elf& elf, Binary& binary) {
  const char prefix[] = ".nv.shared.";
  size_t reserved = elf.find(".nv.shared.reserved.0") ? kReserved : 0;
  for (int n = 0; n < elf.header->e_shnum; ++n) {
    const char* name = elf.name(elf.sections[n]);
    if (strncmp(name, prefix, sizeof prefix - 1) || strstr(name, ".reserved.")) continue;
    size_t size = elf.sections[n].sh_size;
    binary.kernels[name + sizeof prefix - 1].static_shared = size > reserved ? size - reserved : 0;
  }
}

}  // namespace

Binary read_binary(const unsigned char* image) {
  Elf elf(image);
  Binary binary = {static_cast<int>(elf.header->e_flags >> 8 & 0xffff), {}, end_of(elf)};
  read_registers(elf, binary);
  read_shared(elf, binary);
  return binary;
}

}  // namespace simulated
