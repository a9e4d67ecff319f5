"""Runs whole compiled models, to compare their outputs and to time them."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import numpy as np

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.tolerance import TOLERANCE, difference
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.bench import Check, Duel, Outputs, Question, Verdict
from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from chameleon_ray.options import Confirming

ACCUMULATION = 10
"""Factor by which errors of a whole model's outputs may exceed the tolerance of one layer's."""


class ModelBench:
    """Answers questions on this machine, in a child on ``cores`` that the first question starts.

    Models for GPUs run on the first one that this process sees. See ``Bench``.
    """

    def __init__(
        self, kind: TargetKind, cores: tuple[int, ...], seconds: float = Confirming.model_timeout
    ) -> None:
        """Takes the models' kind of target, the cores, and the most seconds of a question."""
        self._kind, self._cores, self._seconds = kind, cores, seconds
        self._child: Isolate | None = None

    def ask(self, question: Question, contents: tuple[bytes, ...] = ()) -> Outcome:
        """Answers a question; the memory that its models took is free again afterwards."""
        try:
            with TemporaryDirectory(prefix="chameleon-") as folder:
                if contents:
                    question = replace(question, libraries=_written(contents, Path(folder)))
                self._child = self._child or Isolate(self._setting)
                outcome = self._child.call(question, self._seconds)
                self._child.renew(1)
        except OSError as error:  # this machine's disk, and not the one that a run is kept on
            return Outcome(Ending.ERROR, error=f"{error.strerror or error} in {gettempdir()}")
        return outcome

    def close(self) -> None:
        """Ends the child; a question that another thread has asked ends as a crash."""
        if self._child is not None:
            self._child.close()

    @property
    def _setting(self) -> Setting:
        environment = self._kind.environment(len(self._cores))
        handler = "chameleon_ray.compiler.runtime.model_bench:bench"
        return Setting(handler, self._kind, cores=self._cores, environment=environment)


def _written(contents: tuple[bytes, ...], folder: Path) -> tuple[str, ...]:
    """Writes the contents of libraries to a folder, and returns the paths of the files."""
    files = [folder / f"model-{number}.so" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return tuple(map(str, files))


class ModelTimer:
    """Runs models inside the bench's child, and loads them afresh for every question.

    See ``Models``.
    """

    def __init__(self, kind: TargetKind) -> None:
        block_torch()
        kind.preload()
        import tvm
        from tvm import relax  # noqa: F401  warms the zygote

        self._tvm, self._device = tvm, kind.device()

    def __call__(self, question: Question) -> Any:
        return question.run(self)

    def outputs(self, question: Outputs | Check) -> tuple[np.ndarray, ...]:
        """Returns the outputs of a question's only model."""
        (library,) = question.libraries
        return self._run(self._load(library), self._tensors(question.inputs))

    def check(self, question: Check) -> Verdict:
        """Compares the outputs of a question's only model with the reference."""
        return verdict(self.outputs(question), question.reference)

    def duel(self, duel: Duel) -> list[tuple[float, ...]]:
        """Times the libraries in turns; returns each one's latencies in seconds.

        Slow libraries get fewer turns.
        """
        models, device = [self._load(library) for library in duel.libraries], self._device
        inputs = self._tensors(duel.inputs)
        times: list[list[float]] = [[] for _ in models]
        share, spent = duel.options.model_seconds / len(models), [0.0 for _ in models]
        for _ in range(duel.options.model_repeats + 1):
            for number, model in enumerate(models):
                if spent[number] <= share:
                    began = time.perf_counter()
                    model(*inputs)
                    device.sync()
                    times[number].append(time.perf_counter() - began)
                    spent[number] += times[number][-1]
        # the first turn warms caches and allocators; it counts only where it was the only one
        return [tuple(latencies[1:] or latencies) for latencies in times]

    def _load(self, library: str) -> Any:
        from tvm import relax

        module = self._tvm.runtime.load_module(library)
        return relax.VirtualMachine(module, self._device)["main"]

    def _tensors(self, arrays: tuple[np.ndarray, ...]) -> list[Any]:
        return [self._tvm.runtime.tensor(array, self._device) for array in arrays]

    def _run(self, model: Any, inputs: list[Any]) -> tuple[np.ndarray, ...]:
        return tuple(tensor.numpy() for tensor in _flat(model(*inputs)))


def verdict(outputs: tuple[np.ndarray, ...], reference: tuple[np.ndarray, ...]) -> Verdict:
    """Compares all outputs with the reference; different numbers or shapes of them are wrong."""
    same = [o.shape for o in outputs] == [r.shape for r in reference]
    if not same or not outputs:
        return Verdict(False, float("inf"), float("inf"))
    errors = [difference(out, ref) for out, ref in zip(outputs, reference, strict=True)]
    bounds = [ACCUMULATION * TOLERANCE.get(str(ref.dtype), 0.0) for ref in reference]
    ok = all(relative <= bound for (_, relative, _), bound in zip(errors, bounds, strict=True))
    return Verdict(ok, max(e[0] for e in errors), max(e[1] for e in errors))


def bench(kind: TargetKind) -> ModelTimer:
    """Makes the handler in the bench's child."""
    return ModelTimer(kind)


def _flat(value: Any) -> list[Any]:
    """Lists a model's outputs in order, given as one tensor or a (nested) tuple of them."""
    if hasattr(value, "numpy"):
        return [value]
    return [tensor for part in value for tensor in _flat(part)]
