#include "block.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "copies.h"
#include "counters.h"
#include "machine.h"

dim3_simulated simulated_block_index, simulated_thread_index;
dim3_simulated simulated_block_size, simulated_grid_size;
unsigned char* simulated_dynamic_shared;
unsigned simulated_thread;

// Saves the registers that a function must keep, and the stack pointer in *from; goes on at `to`.
extern "C" void simulated_switch(void** from, void* to);
asm(R"(
.text
.globl simulated_switch
.type simulated_switch,@function
simulated_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simulated_switch,.-simulated_switch
)");

namespace simulated {

constexpr size_t kPage = 4096, kStack = 128 * KiB;
constexpr int kSavedRegisters = 6;

enum class State : char { kReady, kAtWarp, kAtBlock, kOver };

struct Thread {
  void* stack;
  State state;
  void (*operation)(void**);
  void* given;
};

static Thread threads[kMostThreads];
static void* scheduler;  // its stack pointer, while a thread runs
static Body running;
static void** running_arguments;

static void stop(State state) {
  Thread& thread = threads[simulated_thread];
  thread.state = state;
  simulated_switch(&thread.stack, scheduler);
}

static void enter() {
  running(running_arguments);
  stop(State::kOver);
}

// Memory with a page on either side that nobody may touch, its end at the end of a page.
static unsigned char* guarded(size_t size) {
  size_t whole = (size + kPage - 1) / kPage * kPage;
  void* made = mmap(nullptr, whole + 2 * kPage, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made == MAP_FAILED) abort();
  unsigned char* start = static_cast<unsigned char*>(made) + kPage;
  mprotect(start, whole, PROT_READ | PROT_WRITE);
  return start + whole - size;
}

static unsigned char* stack_of(unsigned number) {
  static unsigned char* stacks[kMostThreads];
  if (!stacks[number]) stacks[number] = guarded(kStack);
  return stacks[number];
}

bool on_stack(unsigned long address) {
  unsigned long start = reinterpret_cast<unsigned long>(stack_of(simulated_thread));
  return address >= start && address < start + kStack;
}

static void prepare(unsigned number) {
  void** top = reinterpret_cast<void**>(stack_of(number) + kStack - 64);
  *--top = nullptr;  // where enter() would return to
  *--top = reinterpret_cast<void*>(enter);
  for (int n = 0; n < kSavedRegisters; ++n) *--top = nullptr;
  threads[number] = {top, State::kReady, nullptr, nullptr};
}

static void resume(unsigned number) {
  const dim3_simulated& size = simulated_block_size;
  simulated_thread = number;
  simulated_thread_index = {number % size.x, number / size.x % size.y, number / size.x / size.y};
  simulated_switch(&scheduler, threads[number].stack);
}

// Does one operation for all lanes that wait for it; false where no lane waits for any.
static bool operate(unsigned first, unsigned end) {
  void (*operation)(void**) = nullptr;
  void* lanes[kWarp] = {};
  for (unsigned n = first; n < end; ++n) {
    Thread& thread = threads[n];
    if (thread.state != State::kAtWarp || (operation && thread.operation != operation)) continue;
    operation = thread.operation;
    lanes[n - first] = thread.given;
    thread.state = State::kReady;
  }
  if (operation) operate_uncounted(operation, lanes);
  return operation != nullptr;
}

// Runs the threads of a warp until all of them wait for the block, or have ended.
static void run_warp(unsigned first, unsigned end) {
  do
    for (unsigned n = first; n < end; ++n)
      if (threads[n].state == State::kReady) resume(n);
  while (operate(first, end));
}

// Lets those go on that wait for the block; false where there are none.
static bool release(unsigned count) {
  bool any = false;
  pass_barrier(count);
  for (unsigned n = 0; n < count; ++n)
    if (threads[n].state == State::kAtBlock) {
      threads[n].state = State::kReady;
      any = true;
    }
  return any;
}

static void run_block(unsigned count) {
  static const bool backwards = number_of("SIMULATED_BACKWARDS", 0);
  const unsigned warps = (count + kWarp - 1) / kWarp;
  for (unsigned n = 0; n < count; ++n) prepare(n);
  forget_copies(count);
  begin_block(count);
  do
    for (unsigned n = 0; n < warps; ++n) {
      unsigned first = kWarp * (backwards ? warps - 1 - n : n);
      run_warp(first, first + kWarp < count ? first + kWarp : count);
    }
  while (release(count));
  end_block(count);
}

static void dynamic_shared_of(unsigned size) {
  static unsigned held;
  if (simulated_dynamic_shared && size == held) return;
  if (simulated_dynamic_shared) {
    uintptr_t start = reinterpret_cast<uintptr_t>(simulated_dynamic_shared) / kPage * kPage - kPage;
    munmap(reinterpret_cast<void*>(start), (held + kPage - 1) / kPage * kPage + 2 * kPage);
  }
  simulated_dynamic_shared = guarded(size);
  held = size;
}

void run_grid(Body body, void** arguments, dim3_simulated grid, dim3_simulated block,
              unsigned dynamic_shared) {
  dynamic_shared_of((dynamic_shared + 127) / 128 * 128);
  begin_counting();
  running = body;
  running_arguments = arguments;
  simulated_block_size = block;
  simulated_grid_size = grid;
  dim3_simulated& at = simulated_block_index;
  for (at.z = 0; at.z < grid.z; ++at.z)
    for (at.y = 0; at.y < grid.y; ++at.y)
      for (at.x = 0; at.x < grid.x && !enough(); ++at.x) run_block(block.x * block.y * block.z);
}

}  // namespace simulated

void simulated_block_barrier() { simulated::stop(simulated::State::kAtBlock); }

void simulated_warp_operation(void (*operation)(void**), void* given) {
  simulated::Thread& thread = simulated::threads[simulated_thread];
  thread.operation = operation;
  thread.given = given;
  simulated::stop(simulated::State::kAtWarp);
}

void simulated_trap(const char* why) {
  simulated::tell("%s", why);
  __builtin_trap();
}
