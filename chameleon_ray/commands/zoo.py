"""``chameleon zoo``: tunes several models together."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import answering, errors
from chameleon_ray.commands.arguments import (
    Address,
    Compare,
    Debug,
    Engine,
    Minutes,
    NoCompare,
    Store,
    Trials,
    Until,
    WarmStart,
)
from chameleon_ray.commands.screen import screen, tell
from chameleon_ray.commands.settling import settle_all
from chameleon_ray.options import Request
from chameleon_ray.options.comparing import FRAMEWORKS


def zoo(
    file: Annotated[Path, typer.Argument(help="YAML: models, targets, budget.")],
    trials: Trials = None,
    minutes: Minutes = None,
    until: Until = None,
    out: Annotated[str | None, typer.Option(help="The zoo's directory; else a new one.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the zoo in --out.")] = False,
    warm_start: WarmStart = [],  # noqa: B006
    store: Store = None,
    address: Address = None,
    engine: Engine = "ray",
    compare: Compare = list(FRAMEWORKS),  # noqa: B006
    no_compare: NoCompare = False,
    layers: Annotated[bool, typer.Option("--layers", help="Count layers; tune nothing.")] = False,
    debug: Debug = False,
) -> None:
    """Tunes several models together: equal layers once, one budget, a run directory for each.

    Exit status: as that of tune; 1 or else 3 if any model would have it.
    """
    budget = {"trials": trials, "minutes": minutes, "until": until}
    given = budget | {"out": out, "resume": resume, "store": store}
    from chameleon_ray.report.progress import Progress

    progress = Progress()
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report import zoo as words
        from chameleon_ray.report.live_table import watching

        common = {"warm_start": tuple(warm_start), "address": address, "engine": engine}
        common["compare"] = () if no_compare else tuple(compare)
        asked = api.read_zoo(file, Request("", **given | common))  # type: ignore[arg-type]
        if layers:
            entries, found = api.survey(asked, tell)
            screen.print(words.table(entries), words.merging(found) + ".")
        else:
            with watching(progress, errors):
                result = api.tune_zoo(asked, progress)
            screen.print(words.final_message(result))
        settle_all(entries if layers else list(result.entries))
