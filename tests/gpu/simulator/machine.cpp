#include "machine.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "faults.h"

namespace simulated {

void tell(const char* format, ...) {
  va_list given;
  va_start(given, format);
  fprintf(stderr, "simulated GPU: ");
  vfprintf(stderr, format, given);
  fprintf(stderr, "\n");
  va_end(given);
}

static std::string text_of(const char* variable, const char* otherwise = "") {
  const char* text = getenv(variable);
  return text ? text : otherwise;
}

long long number_of(const char* variable, long long otherwise) {
  std::string text = text_of(variable);
  return text.empty() ? otherwise : atoll(text.c_str());
}

static std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

static const Model* model_of(const std::string& key) {
  for (const Model& model : kModels)
    if (key == model.key) return &model;
  tell("SIMULATED_GPUS names %s, which is not in models.h", key.c_str());
  exit(1);
}

static std::string uuid_of(int number) {
  char text[64];
  snprintf(text, sizeof text, "GPU-%08x-5100-0000-0000-%012llx", number + 1,
           number_of("SIMULATED_MACHINE", 0));
  return text;
}

const std::vector<Gpu>& gpus() {
  static const std::vector<Gpu> found = [] {
    std::vector<Gpu> all;
    for (const std::string& key : split(text_of("SIMULATED_GPUS"))) {
      const Model* model = model_of(key);
      int number = static_cast<int>(all.size());
      size_t memory = number_of("SIMULATED_MEMORY", model->memory);
      all.push_back({number, model, memory, uuid_of(number)});
    }
    return all;
  }();
  return found;
}

// CUDA's own order puts the fastest first.
static std::vector<Gpu> in_cudas_order() {
  std::vector<Gpu> all = gpus();
  if (text_of("CUDA_DEVICE_ORDER") != "PCI_BUS_ID")
    std::stable_sort(all.begin(), all.end(), [](const Gpu& a, const Gpu& b) {
      return a.model->major * 10 + a.model->minor > b.model->major * 10 + b.model->minor;
    });
  return all;
}

// The GPU that a number or the beginning of a UUID means; null where there is none.
static const Gpu* meant(const std::string& one, const std::vector<Gpu>& all) {
  if (one.rfind("GPU-", 0) == 0) {
    for (const Gpu& gpu : all)
      if (gpu.uuid.rfind(one, 0) == 0) return &gpu;
    return nullptr;
  }
  char* end = nullptr;
  long number = strtol(one.c_str(), &end, 10);
  bool known = end != one.c_str() && number >= 0 && number < static_cast<long>(all.size());
  return known ? &all[number] : nullptr;
}

const std::vector<Gpu>& visible() {
  static const std::vector<Gpu> seen = [] {
    std::vector<Gpu> all = in_cudas_order(), chosen;
    all.erase(std::remove_if(all.begin(), all.end(), [](const Gpu& gpu) { return lost(gpu.number); }),
              all.end());
    if (!getenv("CUDA_VISIBLE_DEVICES")) return all;
    for (const std::string& one : split(text_of("CUDA_VISIBLE_DEVICES"))) {
      const Gpu* gpu = meant(one, all);
      if (!gpu) break;  // and those after it are hidden, too
      chosen.push_back(*gpu);
    }
    return chosen;
  }();
  return seen;
}

std::string driver() { return text_of("SIMULATED_DRIVER", "580.95.05"); }

int cuda_version() { return atoi(driver().c_str()) >= 580 ? 13000 : 12000; }

}  // namespace simulated
