#include "clock.h"

#include <time.h>

#include <algorithm>
#include <cmath>

#include "context.h"
#include "counters.h"
#include "machine.h"

namespace simulated {

constexpr double kLaunch = 2e-6;         // seconds that a launch takes at least
constexpr double kLatency = 600;         // cycles that a block takes at least
constexpr double kEnoughWarps = 16;      // that hide the latency of a multiprocessor
constexpr double kRegisterUnit = 256;

static double passed;  // by the formula

double now() {
  if (counting()) return passed;
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Blocks of a kernel that fit on one multiprocessor, at least one.
static double resident(const Model& model, const Resources& used, double warps, double shared) {
  double of_a_warp = std::ceil(used.registers * kWarp / kRegisterUnit) * kRegisterUnit;
  double fitting = std::min<double>(model.blocks, std::floor(model.threads / (warps * kWarp)));
  if (of_a_warp > 0) fitting = std::min(fitting, std::floor(kRegisters / (of_a_warp * warps)));
  fitting = std::min(fitting, std::floor(model.shared / (shared + KiB)));
  return std::max(1.0, fitting);
}

// Cycles of one multiprocessor for one block: its busiest unit decides.
static double cycles_of_block(const Model& model, const Counts& counts) {
  double bytes = 32 * counts.sectors / counts.blocks;
  double bandwidth = 2e6 * model.memory_mhz * model.bus_bits / 8;  // bytes per second
  double per_cycle = bandwidth / (1e6 * model.clock_mhz) / model.multiprocessors;
  return std::max({bytes / per_cycle, counts.conflicts / counts.blocks,
                   counts.arithmetic / counts.blocks / model.float32_per_cycle +
                       counts.tensor / counts.blocks / model.tensor_per_cycle});
}

void pass_launch(const LaunchConfig& config, const Function& function) {
  Counts counts = counted();
  if (!counting() || counts.blocks == 0) return;
  const Model& model = *visible()[context().device].model;
  double threads = double(config.block.x) * config.block.y * config.block.z;
  double warps = std::ceil(threads / kWarp);
  double blocks = double(config.grid.x) * config.grid.y * config.grid.z;
  double shared = double(config.dynamic_shared + function.resources.static_shared);
  double together = std::min(resident(model, function.resources, warps, shared),
                             std::ceil(blocks / model.multiprocessors));
  double waves = std::ceil(blocks / (together * model.multiprocessors));
  double hidden = std::min(1.0, together * warps / kEnoughWarps);
  double cycles = waves * (kLatency + together * cycles_of_block(model, counts) / hidden);
  passed += kLaunch + cycles / (1e6 * model.clock_mhz);
}

}  // namespace simulated
