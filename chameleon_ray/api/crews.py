"""Hiring: a request and the cores it may use in, the crews of search and measuring out."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from chameleon_ray.api.choices import Factory, cost_model_factory, explorer_factory, sampler_factory
from chameleon_ray.compiler.build import LocalBuilder
from chameleon_ray.compiler.run import LocalRunner
from chameleon_ray.crew import Crew, LocalCrew
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Request, Search
from chameleon_ray.search.system import SearchSystem

PHASES = {"contest": "verify", "select": "sample"}
"""What the summary calls the time spent in a method, where it is not the method's name."""
CORES_PER_EXPLORER = 4
"""Search cores that one explorer keeps busy: the rest of its share builds what it proposed."""
AHEAD = {"builder": 1, "runner": 1}
"""Calls that wait at an actor, so that it need not wait for this process."""
KEPT = {"cost model": ("fit",)}
"""Methods whose results only other actors look at."""
Hire = Callable[[str, Factory], Crew]


def hire_all(
    request: Request,
    search: Search,
    search_cores: tuple[int, ...],
    timing_cores: tuple[int, ...],
    device: str,
    began: float,
    stack: ExitStack,
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
    """
    if request.engine == "ray":
        hire = _actors(request, len(search_cores), began, stack)
    else:
        hire = _workers(began, stack)
    builder = partial(LocalBuilder, request.measuring, search_cores)
    runner = partial(LocalRunner, request.measuring, timing_cores, device)
    measurer = Measurer(hire("builder", builder), hire("runner", runner))
    system = SearchSystem(
        cost_model=hire("cost model", cost_model_factory(search)),
        explorers=hire("explorer", explorer_factory(search, warm=True)),
        sampler=hire("sampler", sampler_factory(search)),
    )
    return system, measurer


def _actors(request: Request, cores: int, began: float, stack: ExitStack) -> Hire:
    from chameleon_ray.cluster import session
    from chameleon_ray.cluster.pool import ActorCrew

    stack.enter_context(session.start(request.address, cores))
    counts = {"builder": cores, "explorer": max(cores // CORES_PER_EXPLORER, 1)}

    def hire(name: str, factory: Factory) -> Crew:
        count, ahead, kept = counts.get(name, 1), AHEAD.get(name, 0), KEPT.get(name, ())
        crew = ActorCrew(name, factory, PHASES, began, count, ahead=ahead, kept=kept)
        stack.callback(crew.close)
        return crew

    return hire


def _workers(began: float, stack: ExitStack) -> Hire:
    def hire(name: str, factory: Factory) -> Crew:
        crew = LocalCrew(name, factory, PHASES, began)
        stack.callback(crew.close)
        return crew

    return hire
