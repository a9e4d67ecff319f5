"""Checks that the library of a finished run, or of a lock, has not become slower."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from math import isfinite
from pathlib import Path
from typing import Any

from chameleon_ray.api.locked import locked_winners
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.pairs import duel_of, in_pairs
from chameleon_ray.api.run_timing import RunTimer, entry_of
from chameleon_ray.api.same_model import Known, demand_same, known_of, known_of_run
from chameleon_ray.api.timing_cores import cores_asked_for
from chameleon_ray.errors import UserError
from chameleon_ray.lockfile import Lock
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.measure.cores import available
from chameleon_ray.measure.scratch import Scratch
from chameleon_ray.measure.slowdown import Slowdown
from chameleon_ray.options import Checking, Request
from chameleon_ray.run_files import RunFiles


def check(path: Path, baseline: Path | None, limit: float, options: Checking) -> Slowdown:
    """Times a run's library in turns with a baseline, until it is clear whether it is slower.

    Args:
        path: The run directory.
        baseline: Directory of another run of the same model. Where None, the run's own untuned
            library; what counts then is the ratio of the two against that in ``summary.json``, as
            latencies of another day or machine say nothing by themselves.
        limit: Slowdown that is too much: 0.05 for 5 %.
        options: Settings of the comparison.

    Raises:
        UserError: A library is missing or does not run, the runs are of different models
            (``demand_same``), or the recorded latencies are missing.
        FolderError: A directory is not a finished run's, or a process works in it.
    """
    with ExitStack() as stack:
        folder = RunFiles(path)
        stack.enter_context(folder.unchanged())
        own = (folder.library, entry_of(folder.identity() or {}))
        other, expected = (folder.untuned_library, MAIN), 1.0
        if baseline is None:
            expected = _recorded(path)
        elif baseline.resolve() == path.resolve():
            other = own
        else:
            other = _baseline(baseline, known_of_run(folder), path, stack)
        return in_pairs(RunTimer(folder, stack).duel, (own, other), expected, limit, options)


def check_lock(
    path: Path,
    model: str,
    inputs: Sequence[str],
    examples: Sequence[str],
    baseline: Path | None,
    limit: float,
    options: Checking,
) -> Slowdown:
    """Compiles a model with a lock's winners, and times it in turns with a baseline.

    Args:
        path: The lock.
        model, inputs, examples: As for ``tune``; without inputs, those of the lock's run.
        baseline: As for ``check``; where None, the untuned model, and the ratio that the lock has.
        limit, options: As for ``check``.

    Raises:
        UserError: The model cannot be used, the lock is another model's or of another device, or
            it has no latencies.
    """
    lock = Lock.read(path)
    request = _request(lock, model, inputs, examples)
    with ExitStack() as stack:
        place = stack.enter_context(Scratch())
        process, device = _process(path, request, stack)
        expected = 1.0 if baseline else _locked(path, lock, device)
        prepared = process.prepare(request)
        winners = locked_winners(path, prepared.tasks)
        tuned, other = place / "model.so", (place / "untuned.so", MAIN)
        if baseline is not None:
            other = _baseline(baseline, known_of(prepared), path, stack)
        else:
            process.compile_untuned(other[0])
        chosen = {won.task: (won.config, won.latency) for won in winners.values()}
        process.compile_tuned(chosen, tuned, tuned.with_name("tvm_db"))
        duel = duel_of(process, prepared.inputs)
        return in_pairs(duel, ((tuned, MAIN), other), expected, limit, options)


def _process(path: Path, request: Request, stack: ExitStack) -> tuple[ModelProcess, str]:
    """Starts a process that times on as many cores as a lock's run; returns the device's name, too.

    Which GPU it is, only that process can tell.

    Raises:
        UserError: There is no device, or there are too few cores.
    """
    own = cores_asked_for(request)
    process = ModelProcess(own.kind, own.cores, stack, own.copies)
    device = process.device()
    if device is None:
        raise UserError(f"This machine has no device to time {path} on; use one that has.")
    return process, own.device or device


def _request(lock: Lock, model: str, inputs: Sequence[str], examples: Sequence[str]) -> Request:
    """Makes a request to lower a model as the lock's run did, on as many cores, if there are."""
    listed = {n: tuple(v) if isinstance(v, list) else v for n, v in lock.options.items()}
    known: dict[str, Any] = listed | ({"inputs": tuple(inputs)} if inputs else {})
    threads = known.get("threads")
    if threads is not None and not 1 <= threads <= len(available()):
        raise UserError(
            f"The lock is for {threads} threads, and this machine has {len(available())} cores; "
            "check it on one that has as many."
        )
    return Request(model=model, examples=tuple(examples), target=lock.target, **known)


def _locked(path: Path, lock: Lock, device: str) -> float:
    """Returns the tuned model's latency over the untuned one's, as the lock has it."""
    if not (isfinite(lock.tuned) and isfinite(lock.untuned)):
        raise UserError(
            f"{path} has no latencies of the whole model to compare with; give a run with "
            "--baseline."
        )
    if device != lock.device:
        raise UserError(
            f"{path} has latencies of another device ({lock.device}; this is {device}); give a "
            "run of this one with --baseline."
        )
    return lock.tuned / lock.untuned


def _recorded(path: Path) -> float:
    """Returns the tuned library's latency over the untuned one's, as the run had it."""
    try:
        known = json.loads((path / "summary.json").read_text(encoding="utf-8"))["latency_ms"]
        ratio = float(known["tuned"]) / float(known["untuned"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise UserError(
            f"{path} has no recorded latencies to compare with; give another run with --baseline."
        ) from error
    return ratio


def _baseline(baseline: Path, own: Known, path: Path, stack: ExitStack) -> tuple[Path, str]:
    """Returns the library of a run of the same model, and its function.

    Args:
        baseline: The run directory.
        own: What is known of the model.
        path: Where that is from, for people.
        stack: Releases the directory.

    Raises:
        UserError: The run is of another model.
        FolderError: The directory is not a run's, or a process works in it.
    """
    before = RunFiles(baseline)
    stack.enter_context(before.unchanged())
    demand_same(own, path, known_of_run(before), baseline)
    return before.library, entry_of(before.identity() or {})
