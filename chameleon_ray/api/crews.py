"""Hiring: a request and the cores it may use in, the crews of search and measuring out."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from chameleon_ray.api.choices import Factory, cost_model_factory, explorer_factory, sampler_factory
from chameleon_ray.compiler.build import LocalBuilder
from chameleon_ray.compiler.run import LocalRunner
from chameleon_ray.compiler.target import device_name
from chameleon_ray.crew import Crew, LocalCrew, Unfit
from chameleon_ray.measure.cores import available, machine, split
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Request, Search
from chameleon_ray.record import Status
from chameleon_ray.search.system import SearchSystem

PHASES = {"contest": "verify", "select": "sample"}
"""What the summary calls the time spent in a method, where it is not the method's name."""
CORES_PER_EXPLORER = 4
"""Search cores that one explorer keeps busy: the rest of its share builds what it proposed."""
FAILED = (Status.RUN_ERROR, Status.CRASH)
"""What a device that is lost answers to everything."""
Hire = Callable[[str, Factory], Crew]


def hire_all(
    request: Request,
    search: Search,
    search_cores: tuple[int, ...],
    timing_cores: tuple[int, ...],
    device: str,
    began: float,
    stack: ExitStack,
    tell: Callable[[str], None],
) -> tuple[SearchSystem, Measurer]:
    """Starts every crew, builders and runners first; ``stack`` lets them go.

    Args:
        request: Says whether they are actors or workers of this process.
        search: The search system.
        search_cores: One builder works on each.
        timing_cores: The runner's alone.
        device: The runner's name in records.
        began: ``time.perf_counter()`` when the command began.
        stack: Closed when the run is over.
        tell: Is given what happens to the workers, in a sentence.
    """
    if request.engine == "ray":
        hire = _actors(request, search_cores, timing_cores, began, stack, tell)
    else:
        hire = _workers(began, stack)
    here = machine()
    builder = partial(_builder, request, here, search_cores)
    runner = partial(_runner, request, here, timing_cores, device)
    measurer = Measurer(hire("builder", builder), hire("runner", runner))
    system = SearchSystem(
        cost_model=hire("cost model", cost_model_factory(search)),
        explorers=hire("explorer", explorer_factory(search, warm=True)),
        sampler=hire("sampler", sampler_factory(search)),
    )
    return system, measurer


def _builder(request: Request, here: str, cores: tuple[int, ...]) -> LocalBuilder:
    """A builder, on the cores given or, elsewhere, on those that time nothing there."""
    if machine() != here:
        cores, _ = split(available(), request.threads)
    return LocalBuilder(request.measuring, cores)


def _runner(request: Request, here: str, cores: tuple[int, ...], device: str) -> LocalRunner:
    """A runner, on the cores given or, elsewhere, on the timing cores there.

    Raises:
        Unfit: The other machine's device is another one, so its latencies would mean nothing.
    """
    if machine() != here:
        try:
            _, cores = split(available(), request.threads or len(cores))
        except ValueError as error:
            raise Unfit(str(error)) from error
        found = device_name(len(cores))
        if found != device:
            raise Unfit(f"it has {found}, and this run is for {device}; tune for it in another run")
    return LocalRunner(request.measuring, cores, device)


def layers_in_flight(request: Request, search_cores: int) -> int:
    """Plans under way at once; on a cluster enough for runners that may yet join."""
    if request.engine == "serial":
        return 1
    return max(2 + search_cores, request.placing.layers if request.address else 0)


def doubtful(result: Any, failures: int) -> bool:
    """Whether the device may be at fault: an error, or not the first time-out in a row."""
    status = getattr(result, "status", Status.OK)
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
    from chameleon_ray.cluster.pool import ActorCrew

    stack.enter_context(session.start(request.address, len(search_cores)))
    explorers = max(len(search_cores) // CORES_PER_EXPLORER, 1)
    counts = {"builder": len(search_cores), "explorer": explorers}
    spreads: dict[str, placement.Spread] = {}
    if request.address:
        placing = request.placing
        spreads["builder"] = placement.one_per_core(
            placing.builders, len(timing_cores), explorers + 1
        )
        spreads["runner"] = placement.one_per_node

    def hire(name: str, factory: Factory) -> Crew:
        crew = ActorCrew(
            name,
            session.checked(factory) if name in spreads else factory,
            PHASES,
            began,
            counts.get(name, 1),
            resources={} if name in spreads else placement.beside_driver(),
            spread=spreads.get(name),
            apart=("build",) if name in spreads else (),
            options=request.placing,
            doubt=doubtful if name == "runner" else lambda result, failures: False,
            tell=tell,
        )
        stack.callback(crew.close)
        return crew

    return hire


def _workers(began: float, stack: ExitStack) -> Hire:
    def hire(name: str, factory: Factory) -> Crew:
        crew = LocalCrew(name, factory, PHASES, began)
        stack.callback(crew.close)
        return crew

    return hire
