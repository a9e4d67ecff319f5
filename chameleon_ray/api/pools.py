"""Starts the pools of a session: builders, runners and the workers of the search."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from chameleon_ray.api.algorithms import Factory
from chameleon_ray.api.gpu_assignment import Preferred, left_out, own_gpu_model, shared_out
from chameleon_ray.api.search_pools import CORES_PER_EXPLORER, searching
from chameleon_ray.api.workers import LINKING, builder, runner
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.errors import UserError
from chameleon_ray.measure import rendezvous
from chameleon_ray.measure.build_balance import BuildBalance
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.calibration import References
from chameleon_ray.measure.cores import kept, machine
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.measure.isolate import Ending, Outcome
from chameleon_ray.measure.measurer import Builder, Measurer, NoRunner, Runner
from chameleon_ray.options import Request, Search
from chameleon_ray.pool import InProcessPool, Method, Pool
from chameleon_ray.record import Status
from chameleon_ray.search.cost_model import CostModel
from chameleon_ray.search.sampler import Sampler
from chameleon_ray.search.system import SearchSystem

PHASES: dict[Method, str] = {
    Runner.contest: "verify",
    Calibrated.bench: "verify",
    Sampler.select: "sample",
    Calibrated.calibrate: "run",
}
"""Phases of the summary that the time in these methods is booked under.

Any other method has a phase of its own name.
"""
DEVICES_PER_EXPLORER = 4
"""Number of devices that one explorer keeps busy, where each measures three times a second."""
FAILED = (Status.RUN_ERROR, Status.CRASH, Ending.ERROR, Ending.CRASH)
"""Statuses and endings with which a lost device answers every call."""
AHEAD = {"builder": 1, "runner": 1}
"""Number of calls, by pool, that wait at an actor, so that it need not wait for this process."""
LEARNT: tuple[Method, ...] = (CostModel.fit,)
"""Methods whose results are read by other actors only."""
StartPool = Callable[..., Pool]
"""Starts a pool, given its name and the factory of its workers.

Runners on Ray's GPUs also give their model of GPU, where there are several, and the pool's options.
"""


def start_pools(
    request: Request,
    kind: TargetKind,
    search: Search,
    search_cores: tuple[int, ...],
    timing_cores: tuple[int, ...],
    wanted: Preferred,
    began: float,
    stack: ExitStack,
    tell: Callable[[str], None],
) -> tuple[SearchSystem, dict[tuple[str, ...], Measurer]]:
    """Starts every pool, builders and runners first; ``stack`` lets them go.

    Args:
        request: Request of the user; says whether workers are actors or live in this process.
        kind: Kind of the targets.
        search: Search system.
        search_cores: Cores for search and builds.
        timing_cores: Cores of the runner; empty where nothing is timed.
        wanted: Targets, and models of GPU that earlier sessions timed each of them on.
        began: ``time.perf_counter()`` when the command began.
        stack: Stack whose end closes the pools.
        tell: Receives a sentence about anything that happens to the workers.

    Returns:
        The search system, and the measurers by their targets. The devices of one are of one type.
        A target without a device is missing.
    """
    start_pool = _workers(began, stack)
    if request.engine == "ray":
        start_pool = _actors(request, kind, search_cores, timing_cores, began, stack, tell)
    freezer = _freezer(request, kind, search_cores, timing_cores, stack)
    building = partial(builder, request, kind, machine(), search_cores, len(timing_cores), freezer)
    timer = _timer(request, kind, timing_cores, freezer)
    builders, measurers = start_pool("builder", building), {}
    for targets, runners in _runners(request, kind, timer, wanted, start_pool, tell):
        balance = None if freezer else _balance(request, kind, len(search_cores))
        references = None if request.build_only else References(request.calibrating)
        measurers[targets] = Measurer(builders, runners, references, balance)
    return searching(search, len(search_cores), start_pool, freezer), measurers


def _timer(
    request: Request, kind: TargetKind, cores: tuple[int, ...], freezer: Freezer | None
) -> Factory:
    """Returns the factory of runners on the given cores, and on as many of other machines."""
    device = kind.device_name(len(cores), request.instances)
    return partial(runner, request, kind, machine(), cores, device, freezer)


def _freezer(
    request: Request,
    kind: TargetKind,
    search_cores: tuple[int, ...],
    timing_cores: tuple[int, ...],
    stack: ExitStack,
) -> Freezer | None:
    """Makes the freezer of what runs on the cores that time; None where nothing does.

    Without Ray, everything takes turns anyway. GPUs time while cores are busy.

    Raises:
        UserError: Processes cannot find each other.
    """
    if kind.owns_gpu or request.engine != "ray" or not set(search_cores) & set(timing_cores):
        return None
    if why := rendezvous.unusable():
        raise UserError(
            "Every core times, so what builds has to be stopped meanwhile, and processes cannot "
            f"find each other ({why}); remove what is there, or give fewer --threads."
        )
    freezer = Freezer(f"{os.getpid()}-{secrets.token_hex(4)}")
    stack.callback(freezer.close)
    return freezer


def _runners(
    request: Request,
    kind: TargetKind,
    timer: Factory,
    wanted: Preferred,
    start_pool: StartPool,
    tell: Callable[[str], None],
) -> Iterator[tuple[tuple[str, ...], Pool]]:
    """Yields pools of runners, each with devices of one type, and the targets they are for."""
    targets = tuple(wanted)
    if request.build_only:
        yield targets, start_pool("runner", NoRunner)
    elif kind.owns_gpu and request.engine == "ray":
        yield from _gpu_runners(request, timer, wanted, start_pool, tell)
    else:
        yield targets, start_pool("runner", timer)


def _gpu_runners(
    request: Request,
    timer: Factory,
    wanted: Preferred,
    start_pool: StartPool,
    tell: Callable[[str], None],
) -> Iterator[tuple[tuple[str, ...], Pool]]:
    """Yields pools of runners on Ray's GPUs, one for each model that a target is timed on."""
    from chameleon_ray.cluster import gpus

    inventory = gpus.GpuInventory()
    found = inventory.gpus()
    if not request.on_cluster:  # whole models run on the GPU that CUDA counts first here
        wanted = {target: (*known, own_gpu_model()) for target, known in wanted.items()}
    shared = shared_out(found, wanted)
    if said := left_out(found, shared):
        tell(said)
    for model, targets in shared.items():
        if not model:
            yield targets, start_pool("runner", timer)
            continue
        name = model if len(shared) > 1 else ""
        look = partial(inventory.nodes, model)
        count = sum(node.gpus for node in look())
        own_gpus = {"look": look, "count": count, "patient": len(shared) == 1}
        yield targets, start_pool("runner", gpus.owning(model, timer), name, **own_gpus)


def _balance(request: Request, kind: TargetKind, builders: int) -> BuildBalance | None:
    """Returns the balance by which runners help builders; None where they do not help.

    Runners help only with Ray on this machine alone, and only where builders are too few.
    """
    alone = request.engine == "ray" and not (request.address or request.build_only)
    if not alone or not kind.helps or builders >= LINKING:
        return None
    return BuildBalance(builders * (1 + AHEAD["builder"]))


def layers_in_flight(request: Request, search_cores: int) -> int:
    """Returns the number of plans under way at once, one for each layer in flight.

    On a cluster it is enough for runners that may yet join.
    """
    if request.engine == "serial":
        return 1
    return max(2 + search_cores, request.placing.layers if request.address else 0)


def actor_counts(cores: int, devices: int) -> dict[str, int]:
    """Returns the number of actors by pool; a pool that is left out has one.

    Args:
        cores: Number of cores for search and builds on one machine.
        devices: Number of devices that measure, on all machines.
    """
    wanted = max(cores // CORES_PER_EXPLORER, devices // DEVICES_PER_EXPLORER)
    explorers = min(max(wanted, 1), cores)
    return {"builder": cores, "runner": devices, "explorer": explorers, "searcher": explorers}


def doubtful(result: Any, failures: int) -> bool:
    """Whether the device may be at fault for a result.

    It may be for any error, and for a time-out right after another failure. A time-out of a whole
    model never counts, as it comes after very long.
    """
    status = result.ending if isinstance(result, Outcome) else getattr(result, "status", Status.OK)
    return status in FAILED or (status is Status.RUN_TIMEOUT and failures > 0)


def _actors(
    request: Request,
    kind: TargetKind,
    search_cores: tuple[int, ...],
    timing_cores: tuple[int, ...],
    began: float,
    stack: ExitStack,
    tell: Callable[[str], None],
) -> StartPool:
    from chameleon_ray.cluster import actor_pool, metrics, placement, ray_session

    stack.enter_context(ray_session.start(request.address, len(search_cores)))
    owned = kind.owns_gpu and not request.build_only
    counts, spreads = _placed(request, owned, len(search_cores), len(timing_cores))
    longest = request.confirming.model_timeout + request.placing.call_seconds

    def start_pool(name: str, factory: Factory, which: str = "", **own: Any) -> Pool:
        place = {} if name in spreads else placement.near_driver()
        owns = {"num_gpus": 1} if owned and name == "runner" else {}
        pool = actor_pool.ActorPool(
            f"{which} {name}".strip(),
            ray_session.checked(factory) if name in spreads else factory,
            PHASES,
            began,
            **{"count": counts.get(name, 1)} | own,
            resources=place | owns,
            spread=spreads.get(name),
            ahead=AHEAD.get(name, 0),
            stored=(*LEARNT, Builder.build) if name in spreads else LEARNT,
            limits={Calibrated.bench: longest},
            options=request.placing,
            doubt=doubtful if name == "runner" else lambda result, failures: False,
            tell=tell,
            on_load=metrics.load_gauge(f"{which} {name}".strip()),
        )
        stack.callback(pool.close)
        return pool

    return start_pool


def _placed(
    request: Request, owned: bool, cores: int, timing: int
) -> tuple[dict[str, int], dict[str, Any]]:
    """Returns the numbers of actors by pool, and the rules that spread pools over a cluster.

    Without a cluster there are no rules.
    """
    from chameleon_ray.cluster import placement, ray_session

    if not request.address:
        return actor_counts(cores, ray_session.gpus() if owned else 1), {}
    runners = placement.one_per_gpu if owned else placement.one_per_node
    counts = actor_counts(cores, sum(map(runners, placement.nodes())))

    def busy(node: placement.Node) -> int:
        own = node.here or not owned
        count = timing if own else kept(node.cpus, request.threads, node.gpus, request.instances)
        return count if count < node.cpus else 0  # else builds have all cores, too

    builders = placement.one_per_core(request.placing.builders, busy, counts["explorer"] + 1)
    return counts, {"builder": builders, "runner": runners}


def workers_lost(request: Request, needed: bool = True) -> str:
    """Returns why this process's own Ray has ended, if it has and is ``needed``; or nothing."""
    if request.engine != "ray" or not needed:
        return ""
    from chameleon_ray.cluster import servers

    return servers.lost()


def _workers(began: float, stack: ExitStack) -> StartPool:
    def start_pool(name: str, factory: Factory) -> Pool:
        pool = InProcessPool(name, factory, PHASES, began)
        stack.callback(pool.close)
        return pool

    return start_pool
