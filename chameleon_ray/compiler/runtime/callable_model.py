"""A compiled model that any thread may call.

TVM's virtual machine keeps the values of a call in itself, so two calls at a time of one machine
end in a segmentation fault. On a CPU each thread has a machine; those of one library share its code
and weights. On a GPU all threads have one, as each would have weights of its own there, and take
turns, as all calls are in one stream. While the first call records CUDA graphs, CUDA forbids other
threads of the process to do anything.
"""

import os
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from chameleon_ray.compiler.tvm_process import load_cudart
from chameleon_ray.compiler.vendor_path import look_in_wheels
from chameleon_ray.measure.bench import MAIN

STARTED = "a machine"
"""Name of a machine among those of its functions."""
ALIGNMENT = 64
"""Bytes by which compiled code expects its inputs to be aligned."""
TURN = threading.Lock()
"""Held by the thread that uses a GPU."""


class CallableModel:
    """Calls a compiled model with NumPy arrays or torch tensors."""

    def __init__(self, library: Path, gpu: bool, threads: int | None) -> None:
        """Loads a library.

        Args:
            library: File of the compiled model.
            gpu: Whether it runs on a GPU.
            threads: Number of threads that it is tuned for; None where that is no CPU's. Where
                the environment has TVM's own variable, that counts.
        """
        if threads is not None:
            os.environ.setdefault("TVM_BIND_THREADS", "0")
            if os.environ.setdefault("TVM_NUM_THREADS", str(threads)) != str(threads):
                warnings.warn(
                    f"{library} is tuned for {threads} threads, and TVM_NUM_THREADS in this "
                    f"process is {os.environ['TVM_NUM_THREADS']}, which counts for all models.",
                    stacklevel=5,
                )
        if gpu:
            load_cudart()
            look_in_wheels()
        import tvm
        import tvm_ffi
        from tvm import relax

        self._import, self._copy = tvm_ffi.from_dlpack, tvm.runtime.tensor
        self._machine = relax.VirtualMachine
        self._gpu, self._device = gpu, tvm.cuda() if gpu else tvm.cpu()
        self._library = tvm.runtime.load_module(str(library))
        self._own = SimpleNamespace() if gpu else threading.local()
        self._shared: dict[str, list[int]] = {}

    def __call__(self, inputs: Sequence[Any], entry: str = MAIN) -> list[Any]:
        """Runs the model once.

        Args:
            inputs: NumPy arrays or torch tensors of the shapes and types that it was compiled for.
            entry: Function of the library that is the model.

        Returns:
            The outputs in order: torch tensors if any input is one, else NumPy arrays. They are
            the caller's: no later call reads or writes them.
        """
        with TURN if self._gpu else nullcontext():
            return self._called(inputs, entry)

    def _called(self, inputs: Sequence[Any], entry: str) -> list[Any]:
        torch = sys.modules.get("torch")
        main = getattr(self._own, entry, None) or self._started(entry)
        tensors = [self._tensor(one) for one in inputs]
        outputs = flat(main(*tensors))
        if entry not in self._shared:
            self._shared[entry] = _same(outputs, flat(main(*tensors)))
        for place in self._shared[entry]:
            outputs[place] = outputs[place].copyto(self._device)
        if self._gpu:
            self._device.sync()
        if torch is not None and any(isinstance(one, torch.Tensor) for one in inputs):
            return [torch.from_dlpack(one) for one in outputs]
        return [self._array(one) for one in outputs]

    def _started(self, entry: str) -> Any:
        """Returns a function of the machine that the calling thread uses, which it starts."""
        own = self._own
        if not hasattr(own, STARTED):
            setattr(own, STARTED, self._machine(self._library, self._device))
        setattr(own, entry, getattr(own, STARTED)[entry])
        return getattr(own, entry)

    def _array(self, tensor: Any) -> np.ndarray:
        """Returns an array over the same memory where NumPy knows the type, and can reach it."""
        known = not self._gpu and str(tensor.dtype) != "bfloat16"
        return np.from_dlpack(tensor) if known else tensor.numpy()

    def _tensor(self, array: Any) -> Any:
        """Hands memory over to TVM as it is where that is possible, and copied where not."""
        if _address(array) % ALIGNMENT:  # an error of TVM's takes longer than a small copy
            return self._copied(array)
        try:
            tensor = self._imported(array, require_alignment=ALIGNMENT, require_contiguous=True)
        except (RuntimeError, ValueError, BufferError):  # strided, or read-only
            return self._copied(array)
        return self._here(tensor)

    def _copied(self, array: Any) -> Any:
        if isinstance(array, np.ndarray):
            return self._copy(array, self._device)
        plain = array.detach().resolve_conj().resolve_neg().contiguous()  # it is torch's
        return self._here(self._imported(plain.clone()))

    def _imported(self, array: Any, **demands: Any) -> Any:
        """Hands memory over to TVM; a GPU's once what torch's stream does with it is done."""
        if not isinstance(array, np.ndarray) and array.is_cuda:
            sys.modules["torch"].cuda.current_stream(array.device).synchronize()
        return self._import(array, **demands)

    def _here(self, tensor: Any) -> Any:
        return tensor.copyto(self._device) if tensor.device != self._device else tensor


def _address(array: Any) -> int:
    """Returns where the first element of a NumPy array or a torch tensor is."""
    if isinstance(array, np.ndarray):
        return int(array.__array_interface__["data"][0])
    return int(array.data_ptr())


def _same(outputs: list[Any], others: list[Any]) -> list[int]:
    """Returns the places of what two calls gave the same memory: the model's constants and inputs.

    Both calls' outputs must be alive, as the memory of those that are not is used again.
    """
    pairs = enumerate(zip(outputs, others, strict=True))
    return [place for place, (one, other) in pairs if one.data_ptr() == other.data_ptr()]


def flat(value: Any) -> list[Any]:
    """Lists a model's outputs in order, given as one tensor or a (nested) tuple of them."""
    if hasattr(value, "__dlpack__"):
        return [value]
    return [tensor for part in value for tensor in flat(part)]
