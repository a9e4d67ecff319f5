"""Locks of models: the one that a run leaves, and the winners of one that is given."""

from collections.abc import Sequence
from math import inf
from pathlib import Path

from chameleon_ray.layer_names import title
from chameleon_ray.lockfile import OPTIONS, Lock, LockedLayer, LockError
from chameleon_ray.lowerings import by_layer
from chameleon_ray.options import Request
from chameleon_ray.report.result import RunResult
from chameleon_ray.space import Config
from chameleon_ray.store.knowledge import fits
from chameleon_ray.task import Task
from chameleon_ray.winners import Winner

REASON = "the lock has the default schedule"


def lock_of(result: RunResult) -> Lock:
    """Returns the lock of a finished run.

    The times of a run that was given a lock are that lock's, and so is the device that they are of:
    such a run may have been on another one.
    """
    layers, outcomes = {task.digest: task for task in result.tasks}, result.outcomes
    device, untuned, tuned = _timed(result)
    return Lock(
        model=result.model,
        target=result.target,
        device=device,
        versions=result.versions,
        layers={
            end.task: LockedLayer(
                layers[end.task].name,
                layers[end.task].space.digest,
                end.config,
                end.best,
                end.default,
            )
            for end in outcomes
        },
        options={
            name: list(value) if isinstance(value, tuple) else value
            for name, value in result.settings.items()
            if name in OPTIONS
        },
        untuned=untuned,
        tuned=tuned,
    )


def _timed(result: RunResult) -> tuple[str, float, float]:
    """Returns a device and the model's seconds on it, untuned and tuned.

    Those of the tuned model are of kernels that are launched singly.
    """
    if given := result.settings.get("locked"):
        before = Lock.read(Path(str(given)))
        return before.device, before.untuned, before.tuned
    launching, tuned, untuned = result.launching, result.tuned, result.untuned
    graphs = launching is not None and launching.graphs
    ratio = launching.ratio if launching is not None and graphs else 1.0
    singly = tuned.seconds * ratio if tuned and ratio is not None else inf
    return result.device, (untuned.seconds if untuned else inf), singly


def locked_winners(path: Path, tasks: Sequence[Task]) -> dict[str, Winner]:
    """Returns the winners that a lock has for all layers of a session, by ``Task.layer``.

    Raises:
        LockError: The lock is of another model or target, or lacks a layer.
    """
    lock = Lock.read(path)
    for task in tasks:
        if task.target != lock.target:
            raise LockError(
                f"{path} is a lock for the target {lock.target}, and this is {task.target}; "
                "make one for it with chameleon tune."
            )
    layers = by_layer(tasks, lambda task: task).values()
    chosen = [next((t for t in own if t.digest in lock.layers), own[0]) for own in layers]
    digests = {task.digest for task in tasks}
    if not digests & lock.layers.keys() or lock.layers.keys() - digests:
        raise LockError(
            f"{path} is a lock of another model or of other options ({_said(lock)}), as the layers "
            "are others; give that model and these options, or a lock of this model."
        )
    for task in chosen:
        demand_winner(path, lock, task)
    return {task.layer: _winner(task, lock.layers[task.digest]) for task in chosen}


def kept(path: Path, tasks: Sequence[Task]) -> dict[str, Config]:
    """Returns the configurations of a lock that layers still have; none where it cannot be read."""
    try:
        layers = Lock.read(path).layers if path.exists() else {}
    except LockError:  # it is written anew
        return {}
    known = [(task, layers[task.digest]) for task in tasks if task.digest in layers]
    return {
        task.digest: layer.config
        for task, layer in known
        if layer.space == task.space.digest and fits(layer.config, task)
    }


def demand_winner(path: Path, lock: Lock, task: Task) -> None:
    """Demands that a lock has a winner for a layer that is a configuration of its space.

    Raises:
        LockError: It has none.
    """
    known = lock.layers.get(task.digest)
    if known is None:
        why = "has no layer"
    elif known.space != task.space.digest:
        why = "has another design space for the layer"
    elif not fits(known.config, task):
        why = f"has a configuration, {list(known.config)}, that is not in the space of the layer"
    else:
        return
    raise LockError(
        f"{path} {why} {title(task)} of this model; make a new lock with chameleon tune."
    )


def _said(lock: Lock) -> str:
    """Returns the model of a lock, and the options that decided its layers, without defaults."""
    told = [lock.model]
    for name, value in lock.options.items():
        if value and value != getattr(Request, name):
            words = " ".join(value) if isinstance(value, list) else value
            told.append(name.replace("_", " ") + (f" {words}" if value is not True else ""))
    return ", ".join(told)


def _winner(task: Task, layer: LockedLayer) -> Winner:
    reason = "" if layer.config else REASON
    return Winner(task.digest, layer.config, layer.latency, layer.default_latency, reason)
