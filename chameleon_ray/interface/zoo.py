"""``zoo``: tunes several models together, of which some may be in memory."""

import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from chameleon_ray.answering import errors
from chameleon_ray.api.concurrency import Stop
from chameleon_ray.api.zoo import tune_zoo
from chameleon_ray.api.zoo_file import read_zoo, write_zoo
from chameleon_ray.errors import UserError
from chameleon_ray.folder import file_name
from chameleon_ray.interface.in_memory import name_of, spec_of
from chameleon_ray.interface.running import run
from chameleon_ray.interface.tuned_model import TunedModel, load
from chameleon_ray.interface.tuning import folder_of, request_of
from chameleon_ray.options import Zoo
from chameleon_ray.report.live_table import watching
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.zoo import ZooResult

FILE = "models.yaml"
"""File of the zoo's directory that names the models, as the command ``zoo`` takes it."""


def zoo(
    models: Mapping[str, Any] | Iterable[Any],
    *,
    weights: Mapping[str, float] | None = None,
    minutes: float | None = None,
    trials: int | None = None,
    target: str = "llvm",
    threads: int | str | None = None,
    out: str | os.PathLike | None = None,
    resume: bool = False,
    quiet: bool = False,
    **options: Any,
) -> dict[str, TunedModel]:
    """Tunes several models together: equal layers once, and one budget for all.

    A model that fails does not end the others: a warning says why, and the result is without it.

    Args:
        models: Models, by name or not, as ``tune`` takes them; or pairs of one and its inputs.
        weights: Importance of some models' latency, by name; 1 for the others.
        minutes, trials: Most wall time and measurements of all; six minutes without any limit.
        target: ``llvm``, ``cuda``, ``cuda:sm_90`` or the like, or a TVM target as JSON.
        threads: Cores that a kernel may use, or ``all``; half of them where None.
        out: Directory of the zoo; a new one under ``runs/`` where None.
        resume: Whether to go on with the zoo in ``out``.
        quiet: Whether to print no progress.
        options: Other options of a zoo's file, as ``seed=1``.

    Raises:
        UserError: The models cannot be tuned, or none came out right.
        Stopped: The user interrupted the session; the message says how to go on.
    """
    if "inputs" in options:
        raise UserError("Inputs are one model's; give a model and its example inputs as a pair.")
    folder = folder_of("zoo", out, resume)
    own = {"minutes": minutes, "trials": trials, "target": target, "threads": threads}
    request = request_of({**options, **own})
    write_zoo(folder / FILE, _entries(models, weights or {}, folder / "models"))
    asked = read_zoo(folder / FILE, replace(request, out=str(folder), resume=resume))
    return _tuned(run(lambda stop: _watched(asked, quiet, stop)))


def _entries(
    models: Mapping[str, Any] | Iterable[Any], weights: Mapping[str, float], folder: Path
) -> list[dict[str, Any]]:
    """Returns the models as a zoo's file has them; those in memory are written to a folder.

    Raises:
        UserError: A model cannot be used, or a weight is nobody's.
    """
    named = models if isinstance(models, Mapping) else {}
    listed = list(named.items() or ((None, one) for one in models))
    entries, names = list[dict[str, Any]](), list[str]()
    for name, given in listed:
        model, inputs = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
        name = name or file_name(name_of(model))
        spec, examples = spec_of(model, inputs, folder / name)
        weight = weights.get(name, 1)
        entries.append({"model": spec, "name": name, "weight": weight, "examples": list(examples)})
        names.append(name)
    if strange := set(weights) - set(names):
        raise UserError(
            f"There is no model {min(strange)!r} to weigh; there are {', '.join(names)}."
        )
    return entries


def _watched(asked: Zoo, quiet: bool, stop: Stop | None) -> ZooResult:
    """Tunes a zoo, and shows its progress on standard error unless it is to be quiet."""
    progress = Progress()
    with nullcontext() if quiet else watching(progress, errors):
        return tune_zoo(asked, progress, stop)


def _tuned(result: ZooResult) -> dict[str, TunedModel]:
    """Loads the models that came out right, and warns of the others.

    Raises:
        UserError: None did.
    """
    problems = [f"{entry.name}: {entry.problem}" for entry in result.entries if entry.problem]
    if len(problems) == len(result.entries):
        raise UserError(" ".join(problems))
    for problem in problems:
        warnings.warn(problem, stacklevel=3)
    return {entry.name: load(entry.folder) for entry in result.entries if not entry.problem}
