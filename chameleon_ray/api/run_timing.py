"""Times libraries of a finished run's model."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from chameleon_ray.api.failed_step import StepError
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.pairs import Library
from chameleon_ray.api.timing_cores import cores_like
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.errors import UserError
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.measure.example import Arrays
from chameleon_ray.options import Confirming
from chameleon_ray.run_files import RunFiles


class RunTimer:
    """Times libraries of a finished run's model in turns, each time in a fresh process."""

    def __init__(self, folder: RunFiles, stack: ExitStack) -> None:
        """Starts the process from which the others are forked.

        Args:
            folder: The run's directory.
            stack: Stack that ends the process.

        Raises:
            UserError: There is no device to run the libraries on.
        """
        self._folder, self._identity = folder, folder.identity() or {}
        self._process = process_like(self._identity, stack)
        if self._process.device() is None:
            where = folder.library.parent
            raise UserError(f"This machine has no device to time {where} on; use one that has.")

    def duel(self, libraries: Sequence[Library], options: Confirming) -> list[tuple[float, ...]]:
        """Loads libraries in this order, and times them; returns each one's latencies in seconds.

        Raises:
            UserError: A library is missing or does not run.
        """
        files, entries = zip(*libraries, strict=True)
        demand(files)
        inputs = inputs_of(self._identity)
        try:
            return self._process.duel(files, inputs, options, entries=entries)
        except StepError as error:
            path, model = self._folder.path, self._identity["options"]["model"]
            again = f"with: chameleon apply {path} {model}"
            if entry_of(self._identity) != MAIN:  # what apply makes is another library
                again = "by finishing the run of its buckets with --resume."
            raise UserError(
                f"{' or '.join(map(str, files))} cannot be run ({error.why}); make it again {again}"
            ) from error


def in_turns(
    folder: RunFiles, libraries: Sequence[Library], options: Confirming
) -> list[tuple[float, ...]]:
    """Times libraries of a finished run's model in turns; returns each one's latencies in seconds.

    Args:
        folder: The run's directory.
        libraries: The libraries.
        options: Settings of the timing.

    Raises:
        UserError: A library is missing or does not run, or there is no device to run it on.
    """
    demand(file for file, _ in libraries)
    with ExitStack() as stack:
        return RunTimer(folder, stack).duel(libraries, options)


def entry_of(identity: Mapping[str, Any]) -> str:
    """Returns the function of a run's library that is its model."""
    return str(identity.get("entry", MAIN))


def demand(libraries: Iterable[Path]) -> None:
    """Demands that a run's libraries are there.

    Raises:
        UserError: One is not.
    """
    for library in libraries:
        if not library.exists():
            raise UserError(f"{library} is missing; finish the run with --resume.")


def inputs_of(identity: Mapping[str, Any]) -> Arrays:
    """Draws values of the inputs of a run's model."""
    rng = np.random.default_rng(0)
    return tuple(random_array(rng, tuple(shape), dtype) for shape, dtype in identity["inputs"])


def process_like(identity: Mapping[str, Any], stack: ExitStack) -> ModelProcess:
    """Starts a process for models of a run's kind of target, on as many cores."""
    own = cores_like(identity)
    return ModelProcess(own.kind, own.cores, stack, own.copies)
