#include "memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <map>

#include "errors.h"
#include "faults.h"
#include "machine.h"

namespace simulated {

constexpr size_t kPage = 4096, kAlignment = 256, kGranule = 512;
constexpr size_t kSlack = 64 * KiB;  // behind a piece, that a GPU's large pages let kernels touch
constexpr size_t kContext = 256 * MiB;  // what a context takes

struct Piece {
  void* mapping;
  size_t mapped, size, counted;
  int device;
  bool written;
};

static std::map<uintptr_t, Piece> pieces;  // by address
static std::map<int, size_t> taken;        // bytes by device

size_t free_memory(int device) {
  size_t held = taken[device] + kContext, all = visible()[device].memory;
  return held < all ? all - held : 0;
}

int allocate(int device, void** pointer, size_t size) {
  if (occupied()) return kDeviceLost;
  size_t counted = (size + kGranule - 1) / kGranule * kGranule;
  if (counted > free_memory(device)) return kOutOfMemory;
  size_t used = (size + kAlignment - 1) / kAlignment * kAlignment;
  size_t whole = (used + kSlack) / kPage * kPage, mapped = whole + 2 * kPage;
  // shared, as it is not to count as the process's own memory
  void* mapping = mmap(nullptr, mapped, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return kOutOfMemory;
  unsigned char* start = static_cast<unsigned char*>(mapping) + kPage;
  mprotect(start, whole, PROT_READ | PROT_WRITE);
  *pointer = start;
  pieces[reinterpret_cast<uintptr_t>(*pointer)] = {mapping, mapped, used, counted, device, false};
  taken[device] += counted;
  return kSuccess;
}

int release(void* pointer) {
  if (!pointer) return kSuccess;
  auto found = pieces.find(reinterpret_cast<uintptr_t>(pointer));
  if (found == pieces.end()) return kInvalidValue;
  const Piece& piece = found->second;
  munmap(piece.mapping, piece.mapped);
  taken[piece.device] -= piece.counted;
  pieces.erase(found);
  return kSuccess;
}

static Piece* piece_of(const void* pointer) {
  uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  auto after = pieces.upper_bound(address);
  if (after == pieces.begin()) return nullptr;
  auto& [start, piece] = *std::prev(after);
  return address < start + piece.size ? &piece : nullptr;
}

bool is_device_memory(unsigned long address) {
  return piece_of(reinterpret_cast<const void*>(address)) != nullptr;
}

void touch(const void* pointer) {
  if (Piece* piece = piece_of(pointer)) piece->written = true;
}

void copy(void* to, const void* from, size_t size) {
  const Piece* source = piece_of(from);
  if (source && !source->written) return;
  touch(to);
  memcpy(to, from, size);
}

}  // namespace simulated
