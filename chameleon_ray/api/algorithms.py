"""The explorers, samplers and cost models that can be chosen by name, in one place.

Names that are not in the tables may be those of plug-ins (``plugins.py``).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from chameleon_ray.compiler.frontend.frameworks import FRAMEWORKS
from chameleon_ray.errors import UserError
from chameleon_ray.options import Request, Search
from chameleon_ray.plugins import choices, demand, find
from chameleon_ray.pool import Unfit
from chameleon_ray.presets import PRESETS
from chameleon_ray.search.active import ActiveSampler
from chameleon_ray.search.annealing import AnnealingExplorer
from chameleon_ray.search.diversity import DiversitySampler
from chameleon_ray.search.exhaustive import ExhaustiveExplorer
from chameleon_ray.search.greedy import GreedySampler
from chameleon_ray.search.random_walk import RandomExplorer
from chameleon_ray.search.searcher import Searcher

Factory = Callable[[], Any]
Maker = Callable[[Search], Any]


def _ppo(search: Search) -> Any:
    from chameleon_ray.cluster.ppo import PPOExplorer  # RLlib: only where an actor wants it

    return PPOExplorer(search.ppo, search.sampling.candidates)


def _adaptive(search: Search) -> Any:
    from chameleon_ray.search.adaptive import AdaptiveSampler  # scikit-learn takes 2 s

    return AdaptiveSampler(search.sampling)


def _release(search: Search) -> Any:
    from chameleon_ray.search.release import ReleaseSampler  # scikit-learn, too

    return ReleaseSampler(search.sampling)


def _boosting(search: Search) -> Any:
    from chameleon_ray.search.boosting import XGBoostCostModel  # XGBoost: not for --help

    return XGBoostCostModel(search.boosting)


def _gaussian(search: Search) -> Any:
    from chameleon_ray.search.gaussian import GaussianCostModel  # scikit-learn, too

    return GaussianCostModel(search.gaussian)


def _pingpong(search: Search) -> Any:
    from chameleon_ray.search.pingpong import PingPongCostModel  # XGBoost, too

    return PingPongCostModel(search.pingpong, search.boosting)


EXPLORERS: dict[str, Maker] = {
    "ppo": _ppo,
    "annealing": lambda s: AnnealingExplorer(s.annealing, s.sampling.candidates),
    "random": lambda s: RandomExplorer(s.random, s.sampling.candidates),
}
SAMPLERS: dict[str, Maker] = {
    "adaptive": _adaptive,
    "greedy": lambda s: GreedySampler(s.sampling),
    "diversity": lambda s: DiversitySampler(s.sampling),
    "release": _release,
    "active": lambda s: ActiveSampler(s.sampling),
}
COST_MODELS: dict[str, Maker] = {
    "gaussian": _gaussian,
    "boosting": _boosting,
    "pingpong": _pingpong,
}
PARTS = {"explorer": EXPLORERS, "sampler": SAMPLERS, "cost model": COST_MODELS}
"""Tables of what can be chosen by name, by the part of the search that they hold."""
METHODS = {"explorer": "explore", "sampler": "select", "cost model": "fit"}
"""The method that a part of each table must have."""
ENGINES = ("ray", "serial")
LAYOUTS = ("auto", "NHWC", "NCHW")
PRECISIONS = ("float32", "float16", "bfloat16", "tf32")


def search_of(request: Request) -> Search:
    """Returns the search system that a request asks for.

    Raises:
        UserError: Something was asked for that does not exist, or that needs Ray without Ray.
    """
    check("engine", request.engine, ENGINES)
    check("layout", request.layout, LAYOUTS)
    check("precision", request.precision, PRECISIONS)
    search = chosen(request.preset, request.explorer, request.sampler, request.cost_model)
    for name in request.compare:
        check("framework", name, FRAMEWORKS)
    for name in request.template:
        demand("template", name)
    if search.explorer == "ppo" and request.engine == "serial":
        raise UserError(
            "The explorer ppo needs Ray; leave out --engine serial, or give another one, as "
            "--explorer annealing."
        )
    return search if request.transfer else replace(search, transfer=None)


def chosen(
    preset: str,
    explorer: str | None = None,
    sampler: str | None = None,
    cost_model: str | None = None,
) -> Search:
    """Returns the preset, with the given explorer, sampler and cost model in place of its own.

    Plug-ins are looked at for these three only, and are imported.

    Raises:
        UserError: One of the names does not exist, or is a plug-in's that cannot be used.
    """
    check("preset", preset, PRESETS)
    search = PRESETS[preset]
    for part, name in (("explorer", explorer), ("sampler", sampler), ("cost model", cost_model)):
        if name:
            maker(part, name)
    return replace(
        search,
        explorer=explorer or search.explorer,
        sampler=sampler or search.sampler,
        cost_model=cost_model or search.cost_model,
    )


def maker(part: str, name: str) -> Maker:
    """Finds the maker of a part by its name, in the tables and among plug-ins.

    Args:
        part: A key of ``PARTS``.
        name: Name that the user asked for.

    Raises:
        UserError: There is no such part, more than one, or a plug-in that cannot be used.
    """
    own = PARTS[part]
    found = find(part, name, own) or own.get(name)
    if found is None:
        raise UserError(f"There is no {part} {name!r}; choose one of: {choices(part, own)}.")
    return found


def _made(part: str, name: str, search: Search) -> Any:
    """Makes a part where it will work; a plug-in is imported there.

    Raises:
        Unfit: A plug-in cannot make the part, or the part lacks its method.
    """
    if name in PARTS[part]:
        return PARTS[part][name](search)
    try:
        made = maker(part, name)(search)
    except UserError as error:
        raise Unfit(str(error)) from error
    except Exception as error:  # somebody else's code may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise Unfit(f"The plug-in {name!r} cannot make its {part}: {said}.") from error
    if not callable(getattr(made, METHODS[part], None)):
        raise Unfit(f"The plug-in {name!r} makes no {part}: it has no method {METHODS[part]}.")
    return made


def searcher_factory(search: Search) -> Factory:
    """Returns a factory of a worker that is cost model, explorer and sampler in one."""
    return partial(_searcher, search)


def _searcher(search: Search) -> Searcher:
    return Searcher(_cost_model(search), _explorer(search), _sampler(search))


def explorer_factory(search: Search) -> Factory:
    """Returns a factory that makes the explorer where it will work."""
    return partial(_explorer, search)


def _explorer(search: Search) -> Any:
    walker = partial(_made, "explorer", search.explorer, search)
    if not search.exhaustive:
        return walker()
    return ExhaustiveExplorer(search.exhaustive, search.sampling.candidates, walker)


def sampler_factory(search: Search) -> Factory:
    """Returns a factory that makes the sampler where it will work."""
    return partial(_sampler, search)


def _sampler(search: Search) -> Any:
    return _made("sampler", search.sampler, search)


def cost_model_factory(search: Search) -> Factory:
    """Returns a factory that makes the cost model where it will work."""
    return partial(_cost_model, search)


def _cost_model(search: Search) -> Any:
    return _made("cost model", search.cost_model, search)


def check(what: str, name: str, among: Mapping[str, Any] | tuple[str, ...]) -> None:
    """Raises a ``UserError`` that names the choices where ``name`` is none of them."""
    if name not in among:
        raise UserError(f"There is no {what} {name!r}; choose one of: {', '.join(among)}.")
