"""A model whose outputs are a constant and an input, which a caller in C++ may write to."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.whole.onnx_net import constants
from tests.whole.test_export import built, by_loader

TUNE = """
import sys, numpy, onnx, chameleon_ray as cr
from chameleon_ray import api
example = {"file": numpy.random.default_rng(0).random((4, 8), "float32")}
options = {"engine": "serial", "explorer": "random", "quiet": True, "compare": ()}
model = cr.tune(onnx.load(sys.argv[1]), example, trials=2, out=sys.argv[2], **options)
outputs = model(file=example["file"])
numpy.savez(sys.argv[4], *outputs, numpy.asarray(example["file"]))
api.export(model.folder, __import__("pathlib").Path(sys.argv[3]))
"""
WRITE = r"""
// Writes to all outputs of a call, and prints how many bytes of the next call's differ from its.
#include <cstdio>
#include "model.h"

int main(int, char** argv) {
  chameleon::Model model(argv[1]);
  std::vector<tvm::ffi::Tensor> inputs;
  for (const manifest::Array& array : manifest::buckets.back().inputs) {
    inputs.push_back(chameleon::Empty(array));
    const DLTensor* zeros = inputs.back().GetDLTensorPtr();
    std::memset(zeros->data, 0, tvm::ffi::GetDataSize(*zeros));
  }
  std::vector<std::string> found[2];
  for (std::vector<std::string>& kept : found)
    for (tvm::ffi::Tensor& output : model(inputs)) {
      char* data = static_cast<char*>(output.data_ptr());
      size_t bytes = tvm::ffi::GetDataSize(*output.GetDLTensorPtr());
      kept.emplace_back(data, bytes);
      std::memset(data, 7, bytes);
    }
  for (size_t n = 0; n < found[0].size(); ++n) std::printf("%d", found[0][n] == found[1][n]);
  return 0;
}
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the exported model, beside what Python's call returned."""
    place = tmp_path_factory.mktemp("constants")
    words = [constants(place / "model.onnx"), place / "run", place / "exported", place / "out.npz"]
    done = subprocess.run(
        [sys.executable, "-c", TUNE, *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return place / "exported"


def test_constants_and_inputs_are_outputs_in_every_language(exported: Path, tmp_path: Path) -> None:
    product, constant, same, image = np.load(exported.parent / "out.npz").values()
    assert constant.tolist() == [0, 1, 2, 3, 4]
    assert same.tobytes() == image.tobytes()
    image.tofile(tmp_path / "in.bin")
    files = [tmp_path / f"{number}.bin" for number in range(3)]
    words = [built(exported, tmp_path), exported / "model.so", tmp_path / "in.bin", "--", *files]
    subprocess.run(list(map(str, words)), check=True, env={})
    for file, expected in zip(files, (product, constant, same), strict=True):
        assert file.read_bytes() == expected.tobytes()
    np.save(tmp_path / "in.npy", image)
    assert by_loader(exported, tmp_path / "in.npy", tmp_path / "out.npy") == ""
    assert np.load(tmp_path / "out.npy").tobytes() == product.tobytes()


def test_outputs_in_cpp_are_the_caller_s(exported: Path, tmp_path: Path) -> None:
    source = exported / "cpp" / "main.cc"
    kept = source.read_text()
    source.write_text(WRITE)
    try:
        program = built(exported, tmp_path)
    finally:
        source.write_text(kept)
    words = [str(program), str(exported / "model.so")]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env={})
    assert done.stdout == "111"
