// Runs model.so once: reads one raw file per input, writes one per output, or times it.
//
//   main MODEL.so IN.bin ... -- OUT.bin ...      main MODEL.so --time SECONDS
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "model.h"

using Clock = std::chrono::steady_clock;

static const char kUsage[] = "give a file for each input, then -- and one for each output";

static double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

static void Read(const std::string& path, tvm::ffi::Tensor* tensor) {
  std::ifstream file(path, std::ios::binary);
  size_t bytes = chameleon::Bytes(*tensor);
  if (!file.read(static_cast<char*>(tensor->data_ptr()), bytes) || file.peek() != EOF)
    throw std::runtime_error(path + " does not hold " + std::to_string(bytes) + " bytes");
}

static void Write(const char* path, const tvm::ffi::Tensor& tensor) {
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(tensor.data_ptr()), chameleon::Bytes(tensor));
  if (!file.flush()) throw std::runtime_error(std::string(path) + " cannot be written");
}

// Returns zeros of the largest bucket's shapes, or where files are given, of as many rows as these.
static std::vector<tvm::ffi::Tensor> Zeros(const std::vector<std::string>& files) {
  std::vector<tvm::ffi::Tensor> inputs;
  for (size_t place = 0; place < manifest::buckets.back().inputs.size(); ++place) {
    manifest::Array array = manifest::buckets.back().inputs[place];
    size_t size = chameleon::Bytes(chameleon::Empty(array));
    std::ifstream file(place < files.size() ? files[place] : "", std::ios::binary | std::ios::ate);
    size_t held = file ? static_cast<size_t>(file.tellg()) : size;
    for (const manifest::Bucket& bucket : manifest::buckets)
      if (chameleon::Bytes(chameleon::Empty(bucket.inputs[place])) == held)
        array = bucket.inputs[place];
    for (size_t padded : manifest::padded) {
      if (padded != place) continue;  // it may be a scalar
      size_t row = size / manifest::buckets.back().inputs[place].shape[0];
      if (held % row || !held)
        throw std::runtime_error(files[place] + " does not hold rows of " + std::to_string(row) +
                                 " bytes");
      array.shape[0] = held / row;
    }
    inputs.push_back(chameleon::Empty(array));
    std::memset(inputs.back().data_ptr(), 0, chameleon::Bytes(inputs.back()));
  }
  return inputs;
}

static int Run(int argc, char** argv) {
  std::vector<std::string> files;
  for (int place = 2; place < argc && std::strcmp(argv[place], "--"); ++place)
    files.push_back(argv[place]);
  bool timed = argc == 4 && files.size() == 2 && files[0] == "--time";
  std::vector<tvm::ffi::Tensor> inputs = Zeros(timed ? std::vector<std::string>() : files);
  Clock::time_point began = Clock::now();
  chameleon::Model model(argv[1]);
  if (timed) {
    model(inputs);
    std::printf("first result after %.3f s\n", Seconds(began));
    std::vector<double> took;
    for (Clock::time_point start = Clock::now(); Seconds(start) < std::atof(argv[3]);) {
      Clock::time_point call = Clock::now();
      model(inputs);
      took.push_back(Seconds(call));
    }
    std::sort(took.begin(), took.end());
    if (!took.empty()) std::printf("median %.3f ms\n", 1e3 * took[took.size() / 2]);
    return 0;
  }
  if (files.size() != inputs.size()) throw std::runtime_error(kUsage);
  for (size_t place = 0; place < inputs.size(); ++place) Read(files[place], &inputs[place]);
  std::vector<tvm::ffi::Tensor> outputs = model(inputs);
  size_t place = 3 + files.size();  // after the --
  if (place + outputs.size() != static_cast<size_t>(argc)) throw std::runtime_error(kUsage);
  for (const tvm::ffi::Tensor& output : outputs) Write(argv[place++], output);
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "main MODEL.so IN.bin ... -- OUT.bin ..., or main MODEL.so --time SECONDS\n";
    return 2;
  }
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "Error: " << error.what() << "\n";
    return 1;
  }
}
