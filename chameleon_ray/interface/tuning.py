"""``tune``: tunes a model that is in memory, in a file, or of the zoo."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from chameleon_ray.answering import errors
from chameleon_ray.api.bucketed import tune_buckets
from chameleon_ray.api.concurrency import Stop
from chameleon_ray.api.run import tune as tune_run
from chameleon_ray.api.site import directory
from chameleon_ray.errors import UserError
from chameleon_ray.interface.in_memory import batches_of, bucketed_spec_of, name_of, spec_of
from chameleon_ray.interface.running import run
from chameleon_ray.interface.tuned_model import TunedModel, load
from chameleon_ray.measure.cores import threads as threads_of
from chameleon_ray.options import Request, least_values
from chameleon_ray.options.buckets import is_bucketed
from chameleon_ray.report.live_table import watching
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import RunResult, difference

Result = TypeVar("Result")

TAKEN = ("model", "examples", "out", "resume", "build_only")
"""Fields of a request that are parameters of their own here, or make no model."""
OPTIONS = tuple(one.name for one in fields(Request) if one.name not in TAKEN)
SEVERAL = tuple(one.name for one in fields(Request) if isinstance(one.default, tuple))
"""Options that are several texts."""


def tune(
    model: Any,
    example_inputs: Any = None,
    *,
    minutes: float | None = None,
    trials: int | None = None,
    target: str = "llvm",
    threads: int | str | None = None,
    out: str | os.PathLike | None = None,
    resume: bool = False,
    quiet: bool = False,
    buckets: Sequence[int] | None = None,
    **options: Any,
) -> TunedModel:
    """Tunes a model and returns it ready to be called: in a script, a notebook, or beside Ray.

    Args:
        model: A torch module, tuned in inference mode, a program of ``torch.export``, an ONNX
            ``ModelProto``, the path of a file, or a name of the zoo.
        example_inputs: Arguments of the module's call: a tuple, a mapping by name, or one tensor.
            For another model its inputs by name; drawn where left out.
        minutes, trials: Most wall time and measurements; six minutes without them and ``until``.
        target: ``llvm``, ``cuda``, ``cuda:sm_90`` or the like, or a TVM target as JSON.
        threads: Cores that a kernel may use, or ``all``; half of them where None.
        out: The run directory; a new one under ``runs/`` where None.
        resume, quiet: Whether to go on with the run in ``out``; whether to print no progress.
        buckets: Batches, as ``(1, 2, 4)``, that the library is to have: first extents of the first
            input, and of others of as many rows. ``inputs`` lists others, as ``["x:{1,2}x3"]``.
            None and an empty list stand for the batch of the inputs alone.
        options: Others of ``chameleon tune``, as ``seed=1``.

    Raises:
        UserError: The model cannot be tuned, or its outputs differ from the original's.
        Stopped: The user interrupted the session; the message says how to go on.
    """
    folder = folder_of(name_of(model), out, resume)
    own = {"minutes": minutes, "trials": trials, "target": target, "threads": threads}
    request = replace(request_of({**options, **own}), out=str(folder), resume=resume)
    _tuned(_naming(request, model, example_inputs, buckets, folder), quiet)
    return load(folder)


def _naming(
    request: Request,
    model: Any,
    example_inputs: Any,
    buckets: Sequence[int] | None,
    folder: Path,
) -> Request:
    """Returns a request that names a model, which is written to a folder.

    Raises:
        UserError: The model or the buckets are none, or the shapes are given twice.
    """
    batches = batches_of(buckets)
    if not batches:
        spec, examples = spec_of(model, example_inputs, folder)
        return replace(request, model=spec, examples=examples)
    if request.inputs:
        raise UserError("Give buckets= or inputs=, not both; inputs= may list extents in braces.")
    spec, inputs = bucketed_spec_of(model, example_inputs, batches, folder)
    return replace(request, model=spec, inputs=inputs)


def _tuned(request: Request, quiet: bool) -> None:
    """Tunes a model, or one for several shapes; its outputs are right then."""
    if not is_bucketed(request.inputs):
        demand_right(run(lambda stop: _watched(request, quiet, stop, tune_run)))
        return
    for result in run(lambda stop: _watched(request, quiet, stop, tune_buckets)).results:
        demand_right(result)


def demand_right(result: RunResult) -> None:
    """Raises a ``UserError`` where a tuned model's outputs differ from the original's."""
    if said := difference(result.verified, result.folder / "model.so"):
        raise UserError(said)


def request_of(options: Mapping[str, Any]) -> Request:
    """Returns a request with these options, of a model that is named later.

    Raises:
        UserError: There is no such option, or a number is too small.
    """
    given: dict[str, Any] = {
        name: _several(value) if name in SEVERAL else value for name, value in options.items()
    }
    if strange := [name for name in given if name not in OPTIONS]:
        near = get_close_matches(strange[0], OPTIONS, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(OPTIONS)}."
        raise UserError(f"There is no option {strange[0]!r}; {advice}")
    if isinstance(given.get("threads"), str):
        given["threads"] = _cores(given["threads"])
    for name, least in least_values(Request).items():
        number = given.get(name)
        if number is not None and not (isinstance(number, Real) and float(number) >= least):
            raise UserError(f"{name} must be at least {least:g}, not {number!r}.")
    return Request("", **given)


def _several(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str | os.PathLike) else tuple(value)


def _cores(text: str) -> int:
    try:
        return threads_of(text)
    except ValueError:
        raise UserError(f"threads must be a number of cores, or all, not {text!r}.") from None


def folder_of(name: str, out: str | os.PathLike | None, resume: bool) -> Path:
    """Returns the run directory asked for, or a new one under ``runs/``."""
    return directory(Request(name, out=None if out is None else os.fspath(out), resume=resume))


def _watched(
    request: Request,
    quiet: bool,
    stop: Stop | None,
    tuned: Callable[[Request, Progress, Stop | None], Result],
) -> Result:
    """Runs a request, and shows its progress on standard error unless it is to be quiet."""
    progress = Progress()
    with nullcontext() if quiet else watching(progress, errors):
        return tuned(request, progress, stop)
