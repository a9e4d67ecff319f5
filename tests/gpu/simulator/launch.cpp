#include "launch.h"

#include <setjmp.h>
#include <signal.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "block.h"
#include "clock.h"
#include "context.h"
#include "counters.h"
#include "faults.h"
#include "machine.h"
#include "memory.h"

namespace simulated {

static sigjmp_buf before;
static volatile sig_atomic_t inside;

static void* volatile touched;  // address of the last fault

static void fault(int number, siginfo_t* about, void*) {
  touched = about->si_addr;
  if (inside) siglongjmp(before, number);
  signal(number, SIG_DFL);  // a fault of the process itself
  raise(number);
}

// Has faults of kernels come to fault(), on a stack of its own.
static void guard() {
  static unsigned char stack[64 * KiB];
  static bool done = false;
  if (done) return;
  done = true;
  stack_t other = {};
  other.ss_sp = stack;
  other.ss_size = sizeof stack;
  sigaltstack(&other, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = fault;
  action.sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO;
  for (int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(number, &action, nullptr);
}

template <class Value>
static std::string bytes_of(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// What decides what a launch does, but for the contents of memory.
static std::string identity(const LaunchConfig& config, const Function& function,
                            void** arguments) {
  const Entry& entry = *function.entry;
  std::string found = bytes_of(entry.body) + bytes_of(config.grid) + bytes_of(config.block) +
                      bytes_of(config.dynamic_shared);
  for (int n = 0; n < entry.count; ++n)
    found.append(static_cast<const char*>(arguments[n]), entry.sizes[n]);
  return found;
}

// Executes a kernel; an error is the process's from then on, and only later calls give it.
static int execute(const LaunchConfig& config, const Function& function, void** arguments) {
  const std::string launch = identity(config, function, arguments);
  guard();
  int number = sigsetjmp(before, 1);
  if (!number) {
    inside = 1;
    if (!recall(launch)) {
      run_grid(function.entry->body, arguments, config.grid, config.block, config.dynamic_shared);
      remember(launch);
    }
    pass_launch(config, function);
  } else {
    context().error = number == SIGILL ? kLaunchFailed : kIllegalAddress;
    tell("%s was stopped at address %p: %s", function.name.c_str(), touched,
         sentence(context().error));
  }
  inside = 0;
  return kSuccess;
}

static bool within_limits(const LaunchConfig& config, const Function& function) {
  const dim3_simulated &grid = config.grid, &block = config.block;
  if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z) return false;
  if (grid.x > INT32_MAX || grid.y > UINT16_MAX || grid.z > UINT16_MAX) return false;
  if (block.z > 64 || uint64_t{block.x} * block.y * block.z > kMostThreads) return false;
  return config.dynamic_shared <= static_cast<unsigned>(function.dynamic_shared);
}

// The arguments of one launch, which outlive the call that gives them.
struct Arguments {
  std::vector<std::unique_ptr<unsigned char[]>> values;
  std::vector<void*> pointers;

  Arguments(const Entry& entry, void** given) {
    for (int n = 0; n < entry.count; ++n) {
      values.emplace_back(new unsigned char[entry.sizes[n]]);
      memcpy(values.back().get(), given[n], entry.sizes[n]);
      pointers.push_back(values.back().get());
    }
  }
};

static void touch_all(const Entry& entry, void** arguments) {
  for (int n = 0; n < entry.count; ++n)
    if (entry.sizes[n] == sizeof(void*)) touch(*static_cast<void**>(arguments[n]));
}

// Registers are given to warps, 256 at a time.
static bool enough_registers(const LaunchConfig& config, const Function& function) {
  unsigned threads = config.block.x * config.block.y * config.block.z;
  unsigned warps = (threads + kWarp - 1) / kWarp;
  unsigned of_a_warp = (function.resources.registers * kWarp + 255) / 256 * 256;
  return warps * of_a_warp <= kRegisters;
}

int launch(const LaunchConfig& config, const Function& function, void** arguments) {
  int number = visible()[context().device].number;
  launched();
  if (!context().error && lost(number)) context().error = kDeviceLost;
  if (context().error) return context().error;
  if (!within_limits(config, function)) return kInvalidValue;
  if (!enough_registers(config, function)) return kOutOfResources;
  auto kept = std::make_shared<Arguments>(*function.entry, arguments);
  return submit(config.stream, [config, function, kept] {
    touch_all(*function.entry, kept->pointers.data());
    return execute(config, function, kept->pointers.data());
  });
}

}  // namespace simulated
