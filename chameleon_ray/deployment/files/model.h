// A tuned model as a C++ object: loads model.so with TVM's runtime, which lies in lib/.
//
// A machine keeps the values of a call in itself. So an object serves one thread at a time; give
// each thread its own, which shares code and weights with the others.
#pragma once

#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/tvm_ffi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu.h"
#include "manifest.h"

namespace chameleon {
namespace ffi = tvm::ffi;

struct Aligned {  // memory as compiled code expects it
  void AllocData(DLTensor* tensor) {
    size_t bytes = ffi::GetDataSize(*tensor);
    tensor->data = std::aligned_alloc(64, (bytes + 64) / 64 * 64);
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

inline ffi::Tensor Empty(const manifest::Array& array) {
  DLDataType type = ffi::StringToDLDataType(array.dtype);
  ffi::Shape shape(array.shape.begin(), array.shape.end());
  return ffi::Tensor::FromNDAlloc(Aligned(), shape, type, DLDevice{kDLCPU, 0});
}

inline size_t Bytes(const ffi::Tensor& tensor) {
  return ffi::GetDataSize(*tensor.GetDLTensorPtr());
}

inline std::vector<int64_t> ShapeOf(const ffi::Tensor& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

// Returns a copy with as many rows (first axis): zeros after the tensor's own, or fewer of them.
inline ffi::Tensor Resized(const ffi::Tensor& tensor, int64_t rows, const std::string& dtype) {
  manifest::Array array{"", ShapeOf(tensor), dtype};
  array.shape[0] = rows;
  ffi::Tensor made = Empty(array);
  size_t own = std::min(Bytes(made), Bytes(tensor));
  std::memcpy(made.data_ptr(), tensor.data_ptr(), own);
  std::memset(static_cast<char*>(made.data_ptr()) + own, 0, Bytes(made) - own);
  return made;
}

// Throws where this machine's CPU lacks what the code was compiled for: it would die by SIGILL.
inline void CheckCpu() {
  std::string lacking;
  for (const std::string& flag : manifest::cpu_flags)
    if (!Has(flag)) lacking += " " + flag;
  if (!lacking.empty())
    throw std::runtime_error("This CPU lacks what model.so was compiled for:" + lacking +
                             "; tune the model on such a machine.");
}

class Model {
 public:
  explicit Model(const std::string& library)
      : library_(Loaded(library)), machine_(Started(library_)) {}

  // Runs the model on inputs in the manifest's order, aligned to 64 bytes as Empty makes them.
  // Takes the bucket of their shapes. Where the manifest allows it, a batch is padded to the next
  // larger one, and the outputs are cut again. Throws where there is no such bucket. Outputs are the
  // caller's: no later call reads or writes them.
  std::vector<ffi::Tensor> operator()(std::vector<ffi::Tensor> inputs) {
    int64_t rows = 0;  // that are padded
    const manifest::Bucket& bucket = Fitting(inputs, &rows);
    for (size_t place : manifest::padded)
      if (rows) {
        const manifest::Array& wanted = bucket.inputs[place];
        inputs[place] = Resized(inputs[place], wanted.shape[0], wanted.dtype);
      }
    std::vector<ffi::Tensor> outputs = Call(bucket.entry, inputs);
    std::vector<bool>& shared = shared_[bucket.entry];
    if (shared.size() < outputs.size()) {  // the first call: what two give is a constant or input
      std::vector<ffi::Tensor> others = Call(bucket.entry, inputs);
      for (size_t n = 0; n < outputs.size(); ++n)
        shared.push_back(outputs[n].data_ptr() == others[n].data_ptr());
    }
    for (size_t n = 0; n < outputs.size(); ++n)
      if (rows)
        outputs[n] = Resized(outputs[n], rows, bucket.outputs.at(n).dtype);
      else if (shared[n])
        outputs[n] = Copied(outputs[n]);
    return outputs;
  }

 private:
  std::vector<ffi::Tensor> Call(const std::string& entry, const std::vector<ffi::Tensor>& inputs) {
    std::vector<ffi::AnyView> arguments(inputs.begin(), inputs.end());
    ffi::Any result;
    Function(entry).CallPacked(ffi::PackedArgs(arguments.data(), arguments.size()), &result);
    std::vector<ffi::Tensor> outputs;
    Collect(result, &outputs);
    return outputs;
  }

  static const manifest::Bucket& Fitting(const std::vector<ffi::Tensor>& inputs, int64_t* rows) {
    for (const manifest::Bucket& bucket : manifest::buckets) {
      std::set<int64_t> more;  // batches that are smaller than the bucket's
      bool fits = inputs.size() == bucket.inputs.size(), exact = fits;
      for (size_t place = 0; fits && place < inputs.size(); ++place) {
        std::vector<int64_t> given = ShapeOf(inputs[place]), own = bucket.inputs[place].shape;
        exact = exact && given == own;
        for (size_t padded : manifest::padded)
          if (padded == place && !given.empty() && 0 < given[0] && given[0] <= own[0]) {
            more.insert(given[0]);
            given[0] = own[0];
          }
        fits = given == own;
      }
      if (!fits || (!exact && more.size() != 1)) continue;
      *rows = exact ? 0 : *more.begin();
      return bucket;
    }
    throw std::runtime_error("model.so was compiled for no such shapes; manifest.json lists them");
  }

  const ffi::Function& Function(const std::string& entry) {
    auto found = functions_.find(entry);
    if (found == functions_.end())
      found = functions_.emplace(entry, Get(machine_, entry.c_str())).first;
    return found->second;
  }

  static ffi::Tensor Copied(const ffi::Tensor& tensor) {
    const DLTensor& from = *tensor.GetDLTensorPtr();
    ffi::Tensor copy = ffi::Tensor::FromNDAlloc(Aligned(), tensor.shape(), from.dtype, from.device);
    std::memcpy(copy.data_ptr(), tensor.data_ptr(), ffi::GetDataSize(from));
    return copy;
  }

  static ffi::Module Loaded(const std::string& library) {
    CheckCpu();
    setenv("TVM_NUM_THREADS", std::to_string(manifest::threads).c_str(), 0);
    setenv("TVM_BIND_THREADS", "0", 0);
    bool here = library.find('/') == std::string::npos;  // else it is looked up as a system's
    return ffi::Module::LoadFromFile(here ? "./" + library : library);
  }

  static ffi::Module Started(const ffi::Module& library) {
    constexpr int kPooled = 2;  // kind of TVM's allocator
    ffi::Module machine = Get(library, "vm_load_executable")().cast<ffi::Module>();
    Get(machine, "vm_initialization")(static_cast<int>(kDLCPU), 0, kPooled);
    return machine;
  }

  static ffi::Function Get(const ffi::Module& module, const char* name) {
    return module->GetFunction(name).value();
  }

  static void Collect(const ffi::Any& value, std::vector<ffi::Tensor>* outputs) {
    if (auto tensor = value.as<ffi::Tensor>()) {
      outputs->push_back(*tensor);
      return;
    }
    for (const ffi::Any& part : value.cast<ffi::Array<ffi::Any>>()) Collect(part, outputs);
  }

  ffi::Module library_, machine_;
  std::map<std::string, ffi::Function> functions_;
  std::map<std::string, std::vector<bool>> shared_;  // outputs that are constants or inputs
};

}  // namespace chameleon
