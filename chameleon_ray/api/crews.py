"""Hiring: a request and the cores it may use in, the crews of search and measuring out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from chameleon_ray.api.choices import (
    Factory,
    cost_model_factory,
    explorer_factory,
    sampler_factory,
    searcher_factory,
)
from chameleon_ray.api.fleet import Known, left_out, own, shared_out
from chameleon_ray.api.workers import LINKING, builder, gpu_runner, runner
from chameleon_ray.compiler.target import device_name, is_gpu
from chameleon_ray.crew import Crew, LocalCrew
from chameleon_ray.measure.calibration import References
from chameleon_ray.measure.cores import kept, machine
from chameleon_ray.measure.helping import Helping
from chameleon_ray.measure.isolate import Ending, Outcome
from chameleon_ray.measure.measurer import Measurer, NoRunner
from chameleon_ray.options import Request, Search
from chameleon_ray.record import Status
from chameleon_ray.search.system import SearchSystem

PHASES = {"contest": "verify", "bench": "verify", "select": "sample", "calibrate": "run"}
"""What the summary calls the time spent in a method, where it is not the method's name."""
CORES_PER_EXPLORER = 4
"""Search cores that one explorer keeps busy: the rest of its share builds what it proposed."""
DEVICES_PER_EXPLORER = 4
"""Devices that one explorer keeps busy, where each measures three times a second."""
FAILED = (Status.RUN_ERROR, Status.CRASH, Ending.ERROR, Ending.CRASH)
"""What a device that is lost answers to everything."""
AHEAD = {"builder": 1, "runner": 1}
"""Calls that wait at an actor, so that it need not wait for this process."""
LEARNT = ("fit",)
"""Methods whose results only other actors look at."""
Hire = Callable[..., Crew]
"""Of a crew's name and factory; of runners that are not alone, what else tells them apart."""


def hire_all(
    request: Request,
    search: Search,
    search_cores: tuple[int, ...],
    timing_cores: tuple[int, ...],
    wanted: Known,
    began: float,
    stack: ExitStack,
    tell: Callable[[str], None],
) -> tuple[SearchSystem, dict[tuple[str, ...], Measurer]]:
    """Starts every crew, builders and runners first; ``stack`` lets them go.

    Args:
        request: Says whether they are actors or workers of this process.
        search: The search system.
        search_cores: One builder works on each.
        timing_cores: The runner's alone; none where nothing is timed.
        wanted: Targets, and of GPUs what an earlier session timed each of them on.
        began: ``time.perf_counter()`` when the command began.
        stack: Closed when the run is over.
        tell: Is given what happens to the workers, in a sentence.

    Returns:
        The search, and what measures on devices of one type, by the targets that these are for; a
        target without a device is missing.
    """
    if request.engine == "ray":
        hire = _actors(request, search_cores, timing_cores, began, stack, tell)
    else:
        hire = _workers(began, stack)
    building = partial(builder, request, machine(), search_cores, len(timing_cores))
    builders, measurers = hire("builder", building), {}
    for targets, runners in _runners(request, timing_cores, wanted, hire, tell):
        references = None if request.build_only else References(request.calibrating)
        helping = _helping(request, len(search_cores))
        measurers[targets] = Measurer(builders, runners, references, helping)
    return searching(search, len(search_cores), hire), measurers


def searching(search: Search, cores: int, hire: Hire) -> SearchSystem:
    """The crews of the search: workers that do everything where there are few cores for it."""
    if cores <= CORES_PER_EXPLORER:
        crew = hire("searcher", searcher_factory(search))
        return SearchSystem(crew, crew, crew)
    return SearchSystem(
        cost_model=hire("cost model", cost_model_factory(search)),
        explorers=hire("explorer", explorer_factory(search)),
        sampler=hire("sampler", sampler_factory(search)),
    )


def _runners(
    request: Request,
    cores: tuple[int, ...],
    wanted: Known,
    hire: Hire,
    tell: Callable[[str], None],
) -> Iterator[tuple[tuple[str, ...], Crew]]:
    """Crews whose devices are of one type each, and the targets that they are for."""
    targets = tuple(wanted)
    if request.build_only:
        yield targets, hire("runner", NoRunner)
    elif not is_gpu(request.target):
        device = device_name(len(cores))
        yield targets, hire("runner", partial(runner, request, machine(), cores, device))
    elif request.engine == "serial":
        yield targets, hire("runner", partial(gpu_runner, request, machine(), cores))
    else:
        yield from _gpu_runners(request, cores, wanted, hire, tell)


def _gpu_runners(
    request: Request,
    cores: tuple[int, ...],
    wanted: Known,
    hire: Hire,
    tell: Callable[[str], None],
) -> Iterator[tuple[tuple[str, ...], Crew]]:
    """The same on Ray: a crew for each model of GPU that a target is for."""
    from chameleon_ray.cluster import offered

    offers, timer = offered.Offers(), partial(gpu_runner, request, machine(), cores)
    found = offers.gpus()
    if not request.on_cluster:  # whole models run on the GPU that CUDA counts first here
        wanted = {target: (*known, own()) for target, known in wanted.items()}
    shared = shared_out(found, wanted)
    if said := left_out(found, shared):
        tell(said)
    for model, targets in shared.items():
        if not model:
            yield targets, hire("runner", timer)
            continue
        name = model if len(shared) > 1 else ""
        look = partial(offers.nodes, model)
        count = sum(node.gpus for node in look())
        own_gpus = {"look": look, "count": count, "patient": len(shared) == 1}
        yield targets, hire("runner", offered.owning(model, timer), name, **own_gpus)


def _helping(request: Request, builders: int) -> Helping | None:
    """Runners help builders on a machine of its own where there are too few of those."""
    alone = request.engine == "ray" and not (request.address or request.build_only)
    if not alone or is_gpu(request.target) or builders >= LINKING:
        return None
    return Helping(builders * (1 + AHEAD["builder"]))


def layers_in_flight(request: Request, search_cores: int) -> int:
    """Plans under way at once; on a cluster enough for runners that may yet join."""
    if request.engine == "serial":
        return 1
    return max(2 + search_cores, request.placing.layers if request.address else 0)


def hands(cores: int, devices: int) -> dict[str, int]:
    """How many actors the crews have on one machine, where a crew has more than one.

    Args:
        cores: For search and builds.
        devices: That measure; those of all machines.
    """
    wanted = max(cores // CORES_PER_EXPLORER, devices // DEVICES_PER_EXPLORER)
    explorers = min(max(wanted, 1), cores)
    return {"builder": cores, "runner": devices, "explorer": explorers, "searcher": explorers}


def doubtful(result: Any, failures: int) -> bool:
    """Whether the device may be at fault: an error, or not the first time-out in a row.

    Of whole models it is an error only, as they time out after very long.
    """
    status = result.ending if isinstance(result, Outcome) else getattr(result, "status", Status.OK)
    return status in FAILED or (status is Status.RUN_TIMEOUT and failures > 0)


def _actors(
    request: Request,
    search_cores: tuple[int, ...],
    timing_cores: tuple[int, ...],
    began: float,
    stack: ExitStack,
    tell: Callable[[str], None],
) -> Hire:
    from chameleon_ray.cluster import placement, session
    from chameleon_ray.cluster.metrics import MeteredCrew

    stack.enter_context(session.start(request.address, len(search_cores)))
    owned = is_gpu(request.target) and not request.build_only
    counts, spreads = _placed(request, owned, len(search_cores), len(timing_cores))

    def hire(name: str, factory: Factory, kind: str = "", **own: Any) -> Crew:
        place = {} if name in spreads else placement.beside_driver()
        owns = {"num_gpus": 1} if owned and name == "runner" else {}
        crew = MeteredCrew(
            f"{kind} {name}".strip(),
            session.checked(factory) if name in spreads else factory,
            PHASES,
            began,
            **{"count": counts.get(name, 1)} | own,
            resources=place | owns,
            spread=spreads.get(name),
            ahead=AHEAD.get(name, 0),
            apart=(*LEARNT, "build") if name in spreads else LEARNT,
            limits={"bench": request.confirming.model_timeout + request.placing.call_seconds},
            options=request.placing,
            doubt=doubtful if name == "runner" else lambda result, failures: False,
            tell=tell,
        )
        stack.callback(crew.close)
        return crew

    return hire


def _placed(
    request: Request, owned: bool, cores: int, timing: int
) -> tuple[dict[str, int], dict[str, Any]]:
    """How many actors each crew has, and the rule by which nodes of a cluster have some."""
    from chameleon_ray.cluster import placement, session

    if not request.address:
        return hands(cores, session.gpus() if owned else 1), {}
    runners = placement.one_per_gpu if owned else placement.one_per_node
    counts = hands(cores, sum(map(runners, placement.nodes())))

    def busy(node: placement.Node) -> int:
        own = node.here or not owned
        return timing if own else kept(node.cpus, request.threads, node.gpus)

    builders = placement.one_per_core(request.placing.builders, busy, counts["explorer"] + 1)
    return counts, {"builder": builders, "runner": runners}


def _workers(began: float, stack: ExitStack) -> Hire:
    def hire(name: str, factory: Factory) -> Crew:
        crew = LocalCrew(name, factory, PHASES, began)
        stack.callback(crew.close)
        return crew

    return hire
