"""Winners for the layers of any Relax module: those of a finished run, or of a store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chameleon_ray.api.stored_model import best_stored
from chameleon_ray.api.timing_cores import cores_asked_for
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder
from chameleon_ray.options import Request
from chameleon_ray.space import Config
from chameleon_ray.task import Task


def pass_of_run(path: Path) -> Any:
    """Makes TVM's pass that puts a run's winners into a module.

    Raises:
        UserError: The run is not finished, or is for a GPU.
        FolderError: The directory is no run's.
    """
    folder = RunFolder(path, existing=True)
    try:
        identity, winners = folder.identity() or {}, folder.load_winners()
    finally:
        folder.close()
    spaces, target = identity["spaces"], identity["target"]

    def find(tasks: Sequence[Task]) -> Mapping[str, Config]:
        own = {task.digest for task in tasks if spaces.get(task.digest) == task.space.digest}
        return {digest: config for digest, (config, _) in winners.items() if digest in own}

    precision = identity.get("precision", "float32")
    return _pass(find, _cpu(target), target, identity["layout"], precision)


def pass_of_store(request: Request) -> Any:
    """Makes TVM's pass that puts a store's winners into a module, those of this machine's CPU.

    Args:
        request: Names the store, the target, threads, instances, layout and precision.

    Raises:
        UserError: The target is none, or a GPU's.
    """
    kind = _cpu(request.target)
    own = cores_asked_for(request)

    def find(tasks: Sequence[Task]) -> Mapping[str, Config]:
        found = best_stored(request, tasks, own.device)
        return {digest: config for digest, (config, _) in found.items()}

    return _pass(find, kind, own.target(request.target), request.layout, request.precision)


def _pass(find: Any, kind: TargetKind, target: str, layout: str, precision: str) -> Any:
    from chameleon_ray.compiler.winners_pass import winners_pass

    return winners_pass(find, kind, target, layout, precision)


def _cpu(target: str) -> TargetKind:
    """Returns the kind of a CPU's target.

    Raises:
        UserError: It is a GPU's.
    """
    kind = kind_of(target)
    if kind.gpus is not None:
        raise UserError(
            "The pass is for CPUs only; load a model for a GPU with chameleon_ray.load."
        )
    return kind
