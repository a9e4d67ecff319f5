"""``chameleon zoo``: tunes several models together."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chameleon_ray.commands.arguments import (
    Address,
    Json,
    Minutes,
    NoCompare,
    Refresh,
    Store,
    Tensorboard,
    Trials,
    Until,
    WarmStart,
)
from chameleon_ray.commands.choosing import Compare, Engine
from chameleon_ray.commands.screen import followed, message, print_json, screen, tell
from chameleon_ray.commands.settling import settle_all
from chameleon_ray.options import Request
from chameleon_ray.options.comparing import FRAMEWORKS

if TYPE_CHECKING:
    from chameleon_ray.report.progress import Progress
    from chameleon_ray.report.zoo import ZooEntry, ZooResult


def zoo(
    file: Annotated[Path, typer.Argument(help="YAML: models, targets, budget.")],
    trials: Trials = None,
    minutes: Minutes = None,
    until: Until = None,
    out: Annotated[str | None, typer.Option(help="The zoo's directory; else a new one.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the zoo in --out.")] = False,
    warm_start: WarmStart = [],  # noqa: B006
    store: Store = None,
    refresh: Refresh = False,
    address: Address = None,
    engine: Engine = "ray",
    tensorboard: Tensorboard = None,
    compare: Compare = list(FRAMEWORKS),  # noqa: B006
    no_compare: NoCompare = False,
    layers: Annotated[bool, typer.Option("--layers", help="Count layers; tune nothing.")] = False,
    json: Json = False,
) -> None:
    """Tunes several models together: equal layers once, one budget, a run directory for each.

    Examples: chameleon zoo zoo.yaml --minutes 20; chameleon zoo zoo.yaml --layers
    """
    names: list[str] = [] if no_compare else compare
    given: dict[str, object] = {"trials": trials, "minutes": minutes, "until": until, "out": out}
    given |= {"resume": resume, "store": store, "refresh": refresh, "address": address}
    given |= {"warm_start": tuple(warm_start), "compare": tuple(names), "tensorboard": tensorboard}
    given |= {"engine": engine}
    asked = file, Request("", **given)  # type: ignore[arg-type]
    settle_all(_counted(*asked, json) if layers else _tuned(*asked, json))


def _counted(file: Path, request: Request, json: bool) -> list["ZooEntry"]:
    """Counts the layers of all models."""
    from chameleon_ray import api
    from chameleon_ray.report.zoo_message import merging, survey_table
    from chameleon_ray.report.zoo_summary import entry_of

    entries, found = api.survey(api.read_zoo(file, request), tell)
    if json:
        print_json([entry_of(entry) for entry in entries])
    else:
        screen.print(survey_table(entries), merging(found) + ".")
    return entries


def _tuned(file: Path, request: Request, json: bool) -> list["ZooEntry"]:
    """Tunes all models."""
    from chameleon_ray.report.progress import Progress

    progress = Progress()
    from chameleon_ray import api

    zoo = api.read_zoo(file, request)
    return tuned_together(progress, lambda: api.tune_zoo(zoo, progress), json)


def tuned_together(
    progress: "Progress", tune: "Callable[[], ZooResult]", json: bool
) -> list["ZooEntry"]:
    """Tunes several models while the screen follows, and prints what came of them.

    Args:
        progress: Progress that the screen shows; its clock began with the command.
        tune: Tunes the models.
        json: Whether to print JSON.
    """
    with followed(progress):
        from chameleon_ray.report.zoo_message import final_message
        from chameleon_ray.report.zoo_summary import figures

        result = tune()
    if json:
        print_json(figures(result))
    else:
        message(final_message(result))
    return list(result.entries)
