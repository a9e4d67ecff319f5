"""A model compiled with what a store knows of its layers, without measuring anything."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from chameleon_ray.api.algorithms import search_of
from chameleon_ray.api.compiled_model import described
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.session_model import circumstances_of, versions
from chameleon_ray.api.stored_layers import stored_winners
from chameleon_ray.api.timing_cores import cores_asked_for
from chameleon_ray.compiler.gpu_versions import gpu_versions
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.lowerings import by_layer
from chameleon_ray.options import Request
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.result import RunResult, Verified
from chameleon_ray.report.summary import write
from chameleon_ray.space import Config
from chameleon_ray.store.store import open_store
from chameleon_ray.task import Task

Winners = Mapping[str, tuple[Config, float]]
"""Configuration and seconds by the digest of a layer's lowering."""


@dataclass(frozen=True)
class Stored:
    """How much of a model a store knows.

    Attributes:
        layers: Number of its layers that can be tuned.
        known: Number of those of which the store has a winner.
        share: Share of the model's operations in the layers of which it has a winner.
    """

    layers: int
    known: int
    share: float


def compile_stored(request: Request, whole: Path, part: Path) -> Stored:
    """Compiles a model for a CPU with a store's winners; other layers have the default schedule.

    A library with its summary is written where the store knows any layer at all.

    Args:
        request: Names the model, its target and the store.
        whole: Directory for a model of which the store knows enough; see ``Storing.operations``.
        part: Directory for one of which it knows less.

    Raises:
        UserError: The model cannot be imported or compiled.
    """
    began, own = time.monotonic(), cores_asked_for(request)
    with ExitStack() as stack:
        process = ModelProcess(own.kind, own.cores, stack, own.copies)
        prepared, device = process.prepare(request), own.device
        winners = best_stored(request, prepared.tasks, device)
        stored = _stored(prepared.tasks, winners)
        if winners:
            place = whole if stored.share >= request.storing.operations else part
            place.mkdir(parents=True, exist_ok=True)
            library = place / "model.so"
            process.compile_tuned(winners, library, place / "tvm_db")
            verified = process.check(library, prepared)
            seconds = time.monotonic() - began
            result = _result(request, prepared, device, winners, verified, seconds)
            write(place / "summary.json", result)
    return stored


def _stored(tasks: Sequence[Task], winners: Winners) -> Stored:
    layers = by_layer((task for task in tasks if task.space.knobs), lambda task: task).values()
    operations = [own[0].weight * own[0].flop for own in layers]
    known = [any(task.digest in winners for task in own) for own in layers]
    share = sum(n for n, one in zip(operations, known, strict=True) if one) / (sum(operations) or 1)
    return Stored(len(layers), sum(known), 1.0 if all(known) else share)


def best_stored(request: Request, tasks: Sequence[Task], device: str) -> Winners:
    """Returns the fastest winner that a store has of each layer; some layers may have none.

    Args:
        request: Names the store and the templates.
        tasks: All lowerings of the layers.
        device: Name of the device that the winners are to be of.
    """
    left = [task for task in tasks if task.space.knobs]
    if not left:
        return {}
    circumstances = circumstances_of(device, left[0].target, request.template)
    store = open_store(request.store, request.storing, installed=True)
    return stored_winners(store, left, circumstances, request.storing)


def _result(
    request: Request,
    prepared: Prepared,
    device: str,
    winners: Winners,
    verified: Verified,
    seconds: float,
) -> RunResult:
    """Returns what came of it as a run's result, of which nothing was measured."""
    search = search_of(request)
    return RunResult(
        model=prepared.name,
        target=prepared.target,
        device=device,
        seed=request.seed,
        preset=request.preset,
        explorer=search.explorer,
        sampler=search.sampler,
        wall_seconds=seconds,
        seconds=prepared.seconds,
        device_busy_fraction=None,
        tasks=prepared.tasks,
        records=(),
        outcomes=tuple(
            LayerOutcome(digest, config, best=latency)
            for digest, (config, latency) in winners.items()
        ),
        verified=verified,
        inputs=described(prepared.input_names, prepared.inputs),
        outputs=described(prepared.outputs, prepared.examples[0].outputs or ()),
        settings=asdict(request),
        versions=versions() | gpu_versions(prepared.target),
    )
