"""Whole models: compiled libraries and inputs in, outputs compared and latencies out."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from chameleon_ray.compiler.difference import TOLERANCE, difference
from chameleon_ray.compiler.session import block_torch, load_cudart
from chameleon_ray.options import Confirming

ACCUMULATION = 10
"""A whole model's outputs may be this many times further off than one layer's."""


@dataclass(frozen=True)
class Check:
    """A compiled model, inputs, and the outputs that another one gave."""

    library: str
    inputs: tuple[np.ndarray, ...]
    reference: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Outputs:
    """A compiled model and inputs, to be run once."""

    library: str
    inputs: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Duel:
    """Compiled models to time in turns on the same inputs."""

    libraries: tuple[str, ...]
    inputs: tuple[np.ndarray, ...]
    options: Confirming


@dataclass(frozen=True)
class Verdict:
    """How far a model's outputs are from their reference."""

    ok: bool
    max_abs_err: float
    max_rel_err: float


class Bench:
    """What runs inside the bench's child; loads models afresh for every job."""

    def __init__(self) -> None:
        block_torch()
        load_cudart()
        import tvm
        from tvm import relax  # noqa: F401  warms the zygote

        self._tvm, self._device = tvm, tvm.cpu()

    def __call__(self, job: Check | Outputs | Duel) -> Any:
        if isinstance(job, Duel):
            return self._duel(job)
        model = self._load(job.library)
        outputs = self._run(model, self._tensors(job.inputs))
        return outputs if isinstance(job, Outputs) else verdict(outputs, job.reference)

    def _duel(self, job: Duel) -> list[tuple[float, ...]]:
        """Latencies in seconds of each library; slow ones get fewer turns."""
        models, device = [self._load(library) for library in job.libraries], self._device
        inputs = self._tensors(job.inputs)
        times: list[list[float]] = [[] for _ in models]
        share = job.options.model_seconds / len(models)
        for _ in range(job.options.model_repeats + 1):
            for model, latencies in zip(models, times, strict=True):
                if sum(latencies) <= share:
                    began = time.perf_counter()
                    model(*inputs)
                    device.sync()
                    latencies.append(time.perf_counter() - began)
        # the first turn warms caches and allocators; it counts only where it was the only one
        return [tuple(latencies[1:] or latencies) for latencies in times]

    def _load(self, library: str) -> Any:
        from tvm import relax

        module = self._tvm.runtime.load_module(library)
        self._device = self._tvm.cuda() if _for_gpu(module) else self._tvm.cpu()
        return relax.VirtualMachine(module, self._device)["main"]

    def _tensors(self, arrays: tuple[np.ndarray, ...]) -> list[Any]:
        return [self._tvm.runtime.tensor(array, self._device) for array in arrays]

    def _run(self, model: Any, inputs: list[Any]) -> tuple[np.ndarray, ...]:
        return tuple(tensor.numpy() for tensor in _flat(model(*inputs)))


def verdict(outputs: tuple[np.ndarray, ...], reference: tuple[np.ndarray, ...]) -> Verdict:
    """Compares all outputs; different numbers or shapes of outputs are wrong."""
    same = [o.shape for o in outputs] == [r.shape for r in reference]
    if not same or not outputs:
        return Verdict(False, float("inf"), float("inf"))
    errors = [difference(out, ref) for out, ref in zip(outputs, reference, strict=True)]
    bounds = [ACCUMULATION * TOLERANCE.get(str(ref.dtype), 0.0) for ref in reference]
    ok = all(relative <= bound for (_, relative, _), bound in zip(errors, bounds, strict=True))
    return Verdict(ok, max(e[0] for e in errors), max(e[1] for e in errors))


def _for_gpu(module: Any) -> bool:
    """Whether a library holds kernels of a GPU."""
    return module.kind == "cuda" or any(_for_gpu(part) for part in module.imports)


def bench(_: None) -> Bench:
    """Factory of the bench's child."""
    return Bench()


def _flat(value: Any) -> list[Any]:
    """A model's outputs in order: one tensor, or a (nested) tuple of them."""
    if hasattr(value, "numpy"):
        return [value]
    return [tensor for part in value for tensor in _flat(part)]
