"""Runs whole compiled models, to compare their outputs and to time them."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import numpy as np

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime import gpu_memory
from chameleon_ray.compiler.runtime.callable_model import flat
from chameleon_ray.compiler.runtime.model_profile import Profiled, profiled
from chameleon_ray.compiler.runtime.tolerance import (
    ACCUMULATION,
    TOLERANCE,
    difference,
)
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.bench import MAIN, Check, Duel, Outputs, Profile, Question, Verdict
from chameleon_ray.measure.copies import Copies
from chameleon_ray.measure.core_turns import turn
from chameleon_ray.measure.example import Arrays
from chameleon_ray.measure.isolate import Ending, Isolate, Outcome, Setting
from chameleon_ray.measure.precision import PLAIN, Precision
from chameleon_ray.measure.run_delay import Stopwatch
from chameleon_ray.options import Confirming, Measuring


class ModelBench:
    """Answers questions on this machine, in a child on ``cores``.

    The first question starts the child, if ``start`` did not. Models for GPUs run on the first one
    that this process sees. See ``Bench``.
    """

    def __init__(
        self,
        kind: TargetKind,
        cores: tuple[int, ...],
        instances: int = 1,
        seconds: float = Confirming.model_timeout,
    ) -> None:
        """Takes what models run on.

        Args:
            kind: Kind of the models' targets.
            cores: Cores that they run on.
            instances: Number of copies that share the cores when a model is timed.
            seconds: Most seconds of a question.
        """
        self._kind, self._cores, self._seconds = kind, cores, seconds
        self._instances = instances
        self._child: Isolate | None = None

    def start(self) -> None:
        """Starts the child, so that the first question need not wait for its imports."""
        self._child = self._child or Isolate(self._setting)

    def ask(self, question: Question, contents: tuple[bytes, ...] = ()) -> Outcome:
        """Answers a question; the memory that its models took is free again afterwards."""
        try:
            self.start()
            assert self._child is not None
            with TemporaryDirectory(dir=self._child.revived()) as folder:
                if contents:
                    question = replace(question, libraries=_written(contents, Path(folder)))
                timing = self._cores if self._kind.gpus is None else ()
                with turn(timing, Measuring.turn_seconds):
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
        environment = self._kind.environment(len(self._cores) // self._instances)
        handler = "chameleon_ray.compiler.runtime.model_bench:bench"
        given = (self._kind, self._instances)
        return Setting(handler, given, cores=self._cores, environment=environment)


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

    def __init__(self, kind: TargetKind, instances: int) -> None:
        block_torch()
        kind.preload()
        import tvm
        from tvm import relax  # noqa: F401  warms the zygote

        self._tvm, self._device = tvm, kind.device()
        self._copies = Copies(os.sched_getaffinity(0), instances)  # free to move, as served
        self._watch = Stopwatch(len(self._copies.own) if kind.gpus is None else 0)
        self._failed: Exception | None = None

    def __call__(self, question: Question) -> Any:
        """Answers a question.

        Raises:
            GpuFullError: A model does not fit on the GPU.
        """
        try:
            return question.run(self)
        except Exception as error:
            if not gpu_memory.is_full(error):
                self._failed = error  # TVM cannot unload kernels after an error of CUDA
                raise
        needed = max(Path(library).stat().st_size for library in question.libraries)
        raise gpu_memory.full("The model's weights", needed)

    def present(self) -> str | None:
        """Returns the name of the device to run models on, as ``CudaRunner.survey`` does."""
        return str(self._device.device_name or "") if self._device.exist else None

    def outputs(self, question: Outputs) -> Arrays:
        """Returns the outputs of a question's only model."""
        ((model,),) = self._models(question)
        return self._run(model, self._tensors(question.inputs))

    def check(self, question: Check) -> Verdict:
        """Compares the outputs of a question's only model with those to expect."""
        ((model,),) = self._models(question)
        verdicts, began = list[Verdict](), time.perf_counter()
        examples, used = question.examples, list[Any]()
        for example in (*examples, *(examples[:1] if question.replayed else ())):
            if verdicts and time.perf_counter() - began > question.patience:
                break
            inputs = self._tensors(example.inputs)
            outputs = self._run(model, inputs)
            if question.replayed:
                self._blank(inputs, example.inputs)
                used += inputs  # memory that is kept is not handed out to the next run
            scale, reference = magnitude(example.inputs), example.outputs or ()
            names, precision = question.names, question.precision
            verdicts.append(verdict(outputs, reference, precision, names, scale))
        found = Verdict.of_all(verdicts)
        return replace(found, examples=min(found.examples, len(examples)))

    def duel(self, duel: Duel) -> list[tuple[float, ...]]:
        """Times the libraries in turns; returns each one's latencies in seconds.

        Slow libraries get fewer turns. Others are run once before each turn but the first, as
        the ones before have left their own weights in the caches.
        """
        models, options = self._models(duel, 1 + len(self._copies.others)), duel.options
        inputs = self._tensors(duel.inputs)
        share, spent = options.model_seconds / len(models), [0.0] * len(models)
        times = [list[float]() for _ in models]

        def take(number: int) -> None:
            before = time.perf_counter()  # the other copies' first and last runs count as well
            if times[number] and min(times[number]) < options.warm_seconds:
                self._seconds(models[number], inputs)  # caches have what the others left
            times[number].append(self._seconds(models[number], inputs))
            spent[number] += time.perf_counter() - before

        everything = range(len(models))
        for number in everything:
            take(number)
        warm = sum(spent)
        while warm < options.warm_seconds:
            warm += sum(self._seconds(model, inputs) for model in models)
        for _ in range(options.model_repeats):
            for number in everything:
                if spent[number] <= share:
                    take(number)
        # the first turn warms caches and allocators; it counts only where it was the only one
        return [tuple(latencies[1:] or latencies) for latencies in times]

    def profile(self, question: Profile) -> list[dict[str, float]]:
        """Profiles a question's models in turns, beside other copies of the first."""
        inputs, models = self._tensors(question.inputs), list[Profiled]()
        copies, others = 1 + len(self._copies.others), list[Callable[[], object]]()
        entries = question.entries or (MAIN,) * len(question.libraries)
        for library, entry in zip(question.libraries, entries, strict=True):
            machines = self._machines(library, 1 if models else copies)
            own, *more = (partial(one[entry], *inputs) for one in machines)
            models.append((machines[0], own))
            others += more
        with self._copies.running(others):
            return profiled(models, question.seconds)

    def _seconds(self, models: Sequence[Any], inputs: list[Any]) -> float:
        """Runs a model once beside its other copies; returns the seconds until it has finished.

        On one core of a CPU, what the model waited for it is no part of them.
        """

        def run(model: Any) -> None:
            model(*inputs)
            self._device.sync()

        own, *others = (partial(run, model) for model in models)
        with self._copies.running(others):
            return self._watch.time(own)

    def _models(self, question: Question, copies: int = 1) -> list[list[Any]]:
        """Loads a question's models, each several times."""
        entries = question.entries or (MAIN,) * len(question.libraries)
        pairs = zip(question.libraries, entries, strict=True)
        return [[one[entry] for one in self._machines(lib, copies)] for lib, entry in pairs]

    def _machines(self, library: str, count: int) -> list[Any]:
        """Makes virtual machines of one library, which share its weights, as in one server."""
        from tvm import relax

        module = self._tvm.runtime.load_module(library)
        return [relax.VirtualMachine(module, self._device) for _ in range(count)]

    def _tensors(self, arrays: Arrays) -> list[Any]:
        return [self._tvm.runtime.tensor(array, self._device) for array in arrays]

    def _blank(self, tensors: list[Any], arrays: Arrays) -> None:
        """Overwrites inputs with zeros, so that a model that reads them once more is wrong."""
        for tensor, array in zip(tensors, arrays, strict=True):
            self._tvm.runtime.tensor(np.zeros_like(array), self._device).copyto(tensor)

    def _run(self, model: Any, inputs: list[Any]) -> Arrays:
        return tuple(tensor.numpy() for tensor in flat(model(*inputs)))


def verdict(
    outputs: Arrays,
    reference: Arrays,
    precision: Precision = PLAIN,
    names: Sequence[str] = (),
    scale: float = 1.0,
) -> Verdict:
    """Compares all outputs of a whole model with the reference; see ``difference``.

    Args:
        outputs: Outputs of the model.
        reference: Outputs to expect.
        precision: Precision that both were computed in.
        names: Names of the outputs; numbers are their names where there are others than outputs.
        scale: Magnitude of the model's inputs.
    """
    if len(outputs) != len(reference) or not outputs:
        fault = f"there are {len(outputs)} outputs, not {len(reference)}"
        return Verdict(False, inf, inf, fault)
    steps = precision.steps if len(precision.steps) == len(outputs) else (0.0,) * len(outputs)
    found = [
        difference(output, expected, precision, ACCUMULATION, scale, step)
        for output, expected, step in zip(outputs, reference, steps, strict=True)
    ]
    absolute, relative = (max(column) for column in list(zip(*found, strict=True))[:2])
    wrong = next((number for number, one in enumerate(found) if not one.right), None)
    if wrong is None:
        return Verdict(True, absolute, relative)
    name = names[wrong] if len(names) == len(outputs) else ""
    return Verdict(
        False,
        absolute,
        relative,
        f"{_called(name, wrong, len(outputs))} {found[wrong].fault}",
        name,
    )


def _called(name: str, place: int, count: int) -> str:
    """Returns words for an output; one without a name is told by its place, from 1 on."""
    if name:
        return f"output {name!r}"
    return f"output {place + 1} of {count}" if count > 1 else "the output"


def magnitude(inputs: Arrays) -> float:
    """Returns the largest magnitude of all floats among a model's inputs; 1 without floats."""
    floats = [array.astype("f8") for array in inputs if str(array.dtype) in TOLERANCE]
    finite = [array[np.isfinite(array)] for array in floats]
    return max((float(np.abs(array).max()) for array in finite if array.size), default=1.0)


def bench(given: tuple[TargetKind, int]) -> ModelTimer:
    """Makes the handler in the bench's child, for a kind of target and a number of copies."""
    return ModelTimer(*given)
