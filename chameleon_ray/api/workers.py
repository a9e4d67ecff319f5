"""Factories of builders, runners and workers of the search.

Ray calls them in the workers' own processes, which may be on other machines than the command.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.codegen.link import linker
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.runtime.model_bench import ModelBench
from chameleon_ray.errors import UserError
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.cores import available, machine, split
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.options import Request
from chameleon_ray.pool import Unfit

LINKING = 3
"""Least number of builders on a machine that generate machine code themselves, without help.

With fewer, the core that times would be idle while they compile.
"""


def builder(
    request: Request,
    kind: TargetKind,
    here: str,
    cores: tuple[int, ...],
    timing: int,
    freezer: Freezer | None = None,
) -> ChildBuilder:
    """Makes a builder on the given cores or, on another machine, on those that time nothing there.

    With a freezer, builders share the cores that time, and are frozen meanwhile.

    Raises:
        Unfit: The other machine has fewer cores than are to time.
    """
    if machine() != here:
        cores, _ = elsewhere(request, kind, timing, freezer is not None)
    many = len(cores) >= LINKING or freezer is not None
    linked = many and not request.build_only and linker() is not None
    return ChildBuilder(kind, request.measuring, cores, linked, freezer)


def runner(
    request: Request,
    kind: TargetKind,
    here: str,
    cores: tuple[int, ...],
    device: str,
    freezer: Freezer | None = None,
) -> Calibrated:
    """Makes a runner that is comparable with others, and runs whole models on the same cores.

    Its process is on the given cores or, on another machine, on the timing cores there.

    Raises:
        Unfit: The other machine has fewer cores than are to time, or its device is another one, so
            that its latencies would mean nothing.
    """
    if machine() != here:
        _, cores = elsewhere(request, kind, len(cores), freezer is not None)
        found = kind.device_name(len(cores), request.instances)
        if found != device:
            raise Unfit(f"it has {found}, and this run is for {device}; tune for it in another run")
    timer = kind.runner(replace(request.measuring, instances=request.instances), cores, device)
    models = ModelBench(kind, cores, request.instances, request.confirming.model_timeout)
    place = f"{machine()}, {kind.place(cores)}"
    return Calibrated(timer, place, request.calibrating, models, freezer)


def searcher(freezer: Freezer, factory: Callable[[], Any]) -> Any:
    """Makes a worker of the search whose process is frozen while kernels are timed."""
    freezer.join()
    return factory()


def elsewhere(
    request: Request, kind: TargetKind, timing: int, frozen: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Divides another machine's cores into those for builds and those for timing.

    A CPU times on as many cores as the command's machine. Each GPU has one core.

    Args:
        request: Request of the user.
        kind: Kind of the targets.
        timing: Number of the command's machine's timing cores.
        frozen: Whether builds are frozen while a kernel is timed, so that they may share its cores.

    Raises:
        Unfit: The machine has too few cores.
    """
    if request.build_only:
        return available(), ()
    try:
        if not kind.owns_gpu:
            copies = request.instances
            each = request.threads or timing // copies
            search, timed = split(available(), each, instances=copies)
            if len(timed) > 1 and set(search) & set(timed) and not frozen:
                raise Unfit(f"its {len(timed)} cores are all needed for timing; none is left")
            return search, timed
        from chameleon_ray.cluster import gpus

        return split(available(), request.threads, gpus.here())
    except UserError as error:
        raise Unfit(str(error)) from error
