"""Loads model.so with TVM's runtime and NumPy only: pip install numpy and, of the
version in manifest.json, apache-tvm-ffi.

    from loader import Model
    model = Model()
    outputs = model(image)

Any number of threads may call one model; each has a virtual machine of its own.
"""

import ctypes
import hashlib
import json
import os
import platform
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
CPUINFO = Path("/proc/cpuinfo")
LIBRARIES = {
    "libtvm_runtime.so": "vm.builtin.copy",
    "libtvm_runtime_extra.so": "tvm.contrib.sort.sort",
}
"""TVM's libraries, and a function that each registers, which must not be done twice."""
CPU, POOLED = 1, 2


class ModelError(Exception):
    """A model that cannot be used here, or a call that does not fit it; a sentence."""


class Model:
    """A tuned model on a CPU."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Checks the manifest against this machine and the libraries, and loads the model."""
        self.manifest = json.loads((folder / "manifest.json").read_text())
        check(self.manifest, folder)
        os.environ.setdefault("TVM_NUM_THREADS", str(self.manifest["threads"]))
        os.environ.setdefault("TVM_BIND_THREADS", "0")
        import tvm_ffi

        for name, function in LIBRARIES.items():
            if tvm_ffi.get_global_func(function, allow_missing=True) is None:
                ctypes.CDLL(str(folder / "lib" / name), mode=ctypes.RTLD_GLOBAL)
        self._ffi, self._own = tvm_ffi, threading.local()
        self._library = tvm_ffi.load_module(str(folder / "model.so"))
        self._shared: dict[str, list[bool]] = {}

    def __call__(self, *inputs: Any) -> list[np.ndarray]:
        """Runs the model on NumPy arrays in the manifest's order; returns a list of arrays.

        A model with buckets takes the one of the inputs' shapes. Where the manifest allows it, a
        batch is padded to the next larger bucket, and the outputs are cut again.
        """
        wanted = self.manifest["inputs"]
        if len(inputs) != len(wanted):
            raise ModelError(f"The model takes {len(wanted)} inputs, not {len(inputs)}.")
        bucket, given, rows = fitting(self.manifest, [np.asarray(one) for one in inputs])
        tensors = [self._tensor(*pair) for pair in zip(bucket["inputs"], given, strict=True)]
        entry = bucket["entry"]
        main = self._functions().get(entry) or self._started(entry)
        outputs = arrays(main(*tensors))
        if entry not in self._shared:  # memory that two calls give is constants or inputs
            pairs = zip(outputs, arrays(main(*tensors)), strict=True)
            self._shared[entry] = [one.ctypes.data == other.ctypes.data for one, other in pairs]
        return [
            (one.copy() if same else one)[slice(rows) if rows else ...]
            for one, same in zip(outputs, self._shared[entry], strict=True)
        ]

    def _functions(self) -> dict[str, Any]:
        """Returns the functions of the calling thread's own machine."""
        if not hasattr(self._own, "functions"):
            self._own.functions = {}
        return self._own.functions

    def _started(self, entry: str) -> Any:
        if not hasattr(self._own, "machine"):
            self._own.machine = self._library["vm_load_executable"]()
            self._own.machine["vm_initialization"](CPU, 0, POOLED)
        return self._functions().setdefault(entry, self._own.machine[entry])

    def _tensor(self, wanted: dict[str, Any], array: Any) -> Any:
        array = np.asarray(array)
        if list(array.shape) != wanted["shape"] or str(array.dtype) != wanted["dtype"]:
            raise ModelError(
                f"The input {wanted['name']!r} is {array.shape} {array.dtype}, but the model takes "
                f"{tuple(wanted['shape'])} {wanted['dtype']}."
            )
        return self._ffi.from_dlpack(aligned(array))


def fitting(manifest: dict, inputs: list[np.ndarray]) -> tuple[dict, list[np.ndarray], int | None]:
    """Returns the bucket for a call, the inputs padded to it, and the rows of outputs to keep.

    All rows are kept where nothing is padded, which is None.
    """
    buckets, padded = manifest["buckets"], manifest["padded"]
    shapes = [list(one.shape) for one in inputs]
    for bucket in buckets:
        if shapes == [one["shape"] for one in bucket["inputs"]] or not (padded or buckets[1:]):
            return bucket, inputs, None
    batches = {tuple(shapes[place][:1]) for place in padded}
    rows = min(batches)[0] if len(batches) == 1 and () not in batches else 0
    for bucket in buckets if rows else ():
        most = bucket["inputs"][padded[0]]["shape"][0]
        filled = [[most, *s[1:]] if n in padded else s for n, s in enumerate(shapes)]
        if rows < most and filled == [one["shape"] for one in bucket["inputs"]]:
            return bucket, [resized(*pair) for pair in zip(inputs, filled, strict=True)], rows
    known = "; ".join(", ".join(str(tuple(a["shape"])) for a in b["inputs"]) for b in buckets)
    raise ModelError(
        f"There is no bucket for {', '.join(str(tuple(one)) for one in shapes)}; the model has "
        f"{known}."
    )


def resized(array: np.ndarray, shape: list[int]) -> np.ndarray:
    """Returns an array with rows of zeros after its own, up to a shape."""
    more = [(0, size - own) for own, size in zip(array.shape, shape, strict=True)]
    return np.pad(array, more) if list(array.shape) != shape else array


def check(manifest: dict, folder: Path) -> None:
    """Raises a ``ModelError`` where a library was changed, or this machine cannot run the model."""
    if manifest["machine"] != platform.machine():
        raise ModelError(
            f"model.so is for {manifest['machine']}, and this machine is {platform.machine()}."
        )
    if any(one["dtype"] == "bfloat16" for one in (*manifest["inputs"], *manifest["outputs"])):
        raise ModelError(
            "The model takes or gives bfloat16, which NumPy does not have; use the C++ program."
        )
    flags = [line for line in CPUINFO.read_text().splitlines() if line.startswith("flags")]
    here = set(flags[0].partition(":")[2].split()) if flags else set(manifest["cpu_flags"])
    lacking = [flag for flag in manifest["cpu_flags"] if flag not in here]
    if lacking:
        raise ModelError(
            f"This CPU lacks what model.so was compiled for: {' '.join(lacking)}; tune the model "
            "on such a machine."
        )
    for name in ("model.so", *(f"lib/{name}" for name in LIBRARIES)):
        path, digest = folder / name, manifest["files"][name]
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise ModelError(f"{path} is missing or not the file that was exported; export again.")


def aligned(array: np.ndarray, bytes: int = 64) -> np.ndarray:
    """Returns an array that is contiguous, writable and aligned, copied where it has to be."""
    usable = array.flags.c_contiguous and array.flags.writeable
    if usable and array.ctypes.data % bytes == 0:
        return array
    memory = np.empty(array.nbytes + bytes, np.uint8)
    begin = -memory.ctypes.data % bytes
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def arrays(value: Any) -> list[np.ndarray]:
    """Lists outputs in order, given as one tensor or a (nested) sequence of them."""
    if hasattr(value, "__dlpack__"):
        return [np.from_dlpack(value)]
    return [array for part in value for array in arrays(part)]


def main() -> None:
    """Times the model on zeros."""
    began = time.perf_counter()
    model = Model()
    zeros = [np.zeros(one["shape"], one["dtype"]) for one in model.manifest["inputs"]]
    model(*zeros)
    print(f"first result after {time.perf_counter() - began:.3f} s")
    took = list[float]()
    while sum(took) < 2:
        began = time.perf_counter()
        model(*zeros)
        took.append(time.perf_counter() - began)
    print(f"median {1e3 * sorted(took)[len(took) // 2]:.3f} ms")


if __name__ == "__main__":
    try:
        main()
    except ModelError as error:
        sys.exit(f"Error: {error}")
