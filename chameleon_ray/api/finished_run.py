"""Applies the winners of a finished run to a model, and times the run's libraries."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chameleon_ray.api.first_verdict import judge
from chameleon_ray.api.launching import Libraries, settled
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder, file_name
from chameleon_ray.measure.cores import available, split
from chameleon_ray.options import Confirming, Request
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.result import Latency, Launching, Verified
from chameleon_ray.space import Config
from chameleon_ray.vendor import libraries_used


@dataclass(frozen=True)
class Applied:
    """A model that was compiled with a run's winners.

    Attributes:
        library: File of the compiled model.
        applied: Number of layers that got a tuned schedule.
        layers: Number of layers of the model.
        verified: Comparison of the outputs with the source model's, or the untuned one's; None
            where this machine has no device to run the library on.
        launching: How the library launches kernels; None where there is only one way, or no device.
        needs: Vendor's libraries that the library calls.
    """

    library: Path
    applied: int
    layers: int
    verified: Verified | None
    launching: Launching | None = None
    needs: tuple[str, ...] = ()


def apply(
    path: Path, model: str, inputs: tuple[str, ...] = (), examples: tuple[str, ...] = ()
) -> Applied:
    """Compiles a model with the winners of a finished run.

    The run's own model goes into its directory, another one into ``applied/NAME`` below it. Where
    this machine has no device to run it on, it is compiled only.

    Args:
        path: The run directory.
        model: The run's model, or one with layers in common with it.
        inputs: Inputs as ``NAME:SHAPE[:DTYPE]`` or ``NAME=VALUE``, as for ``tune``.
        examples: Example inputs as ``FILE.npz`` or ``NAME=FILE.npy``, as for ``tune``.

    Raises:
        UserError: The model cannot be used, or shares no layer with the run.
        FolderError: The directory is not a finished run's.
    """
    folder = RunFolder(path, existing=True)
    identity, winners = folder.identity() or {}, folder.load_winners()
    request = _request(identity, model, inputs, examples)
    with ExitStack() as stack:
        stack.callback(folder.close)
        process = ModelProcess(kind_of(identity["target"]), _timing_cores(identity), stack)
        prepared = process.prepare(request)
        if not (known := _in_common(identity, winners, prepared)):
            raise UserError(f"{model} has no layer in common with the run in {path}.")
        other = prepared.digest != identity["model_digest"]
        place = path / "applied" / file_name(prepared.name) if other else path
        place.mkdir(parents=True, exist_ok=True)
        files = Libraries(*(place / file.name for file in folder.libraries))
        if able := process.has_device():
            process.compile_untuned(files.untuned)
            seconds = Confirming.first_seconds
            prepared, _ = judge(request, prepared, process, files.untuned, None, seconds)
        chosen = {d: won for d, won in known.items() if won[0] != DEFAULT}
        applied = process.compile_tuned(chosen, files.tuned, place / folder.tvm_database.name)
        verified, launching = _verified(files, prepared, process) if able else (None, None)
        needs = libraries_used([chosen[digest][0] for digest in applied])
    return Applied(files.tuned, len(applied), len(prepared.tasks), verified, launching, needs)


def bench(path: Path, options: Confirming) -> tuple[Latency, Latency]:
    """Times a finished run's model, untuned and tuned in turns; returns both latencies.

    Raises:
        UserError: A library is missing or does not run, or there is no device to run it on.
        FolderError: The directory is not a finished run's.
    """
    folder = RunFolder(path, existing=True)
    try:
        tuned, untuned = in_turns(folder, (folder.library, folder.untuned_library), options)
    finally:
        folder.close()
    return Latency.of(untuned), Latency.of(tuned)


def in_turns(
    folder: RunFolder, libraries: tuple[Path, ...], options: Confirming
) -> list[tuple[float, ...]]:
    """Times libraries of a finished run's model in turns; returns each one's latencies in seconds.

    Raises:
        UserError: A library is missing or does not run, or there is no device to run it on.
    """
    identity = folder.identity() or {}
    for library in libraries:
        if not library.exists():
            raise UserError(f"{library} is missing; finish the run with --resume.")
    rng = np.random.default_rng(0)
    inputs = [random_array(rng, tuple(shape), dtype) for shape, dtype in identity["inputs"]]
    with ExitStack() as stack:
        process = ModelProcess(kind_of(identity["target"]), _timing_cores(identity), stack)
        if not process.has_device():
            where = folder.library.parent
            raise UserError(f"This machine has no device to time {where} on; use one that has.")
        return process.duel(libraries, tuple(inputs), options)


def _in_common(
    identity: dict[str, Any], winners: Mapping[str, tuple[Config, float]], prepared: Prepared
) -> dict[str, tuple[Config, float]]:
    """Returns the winners of a run's layers that a model has, too, in the same spaces."""
    spaces = {task.digest: task.space.digest for task in prepared.tasks}
    own = identity["spaces"]
    return {d: won for d, won in winners.items() if d in spaces and spaces[d] == own[d]}


def _verified(
    files: Libraries, prepared: Prepared, process: ModelProcess
) -> tuple[Verified, Launching | None]:
    """Compares a tuned library's outputs, and settles how its kernels are launched."""
    if process.kind.graphs is None:
        return process.check(files.tuned, prepared), None
    done = settled(files, prepared, process, None, Confirming)
    return done.verified, done.launching


def _request(
    identity: dict[str, Any], model: str, inputs: tuple[str, ...], examples: tuple[str, ...]
) -> Request:
    """Makes a request to lower a model as the run's own was."""
    return Request(
        model=model,
        inputs=inputs,
        examples=examples,
        target=identity["target"],
        layout=identity["layout"],
        precision=identity.get("precision", "float32"),
        seed=identity["options"]["seed"],
        memory_aware=identity["options"].get("memory_aware", False),
        template=tuple(identity["options"].get("template", ())),
    )


def _timing_cores(identity: dict[str, Any]) -> tuple[int, ...]:
    """Returns as many cores as the run timed on, where this machine has them."""
    cores = available()
    threads = identity["options"]["threads"]
    wanted = threads if threads is None or threads <= len(cores) else None
    return split(cores, wanted)[1]
