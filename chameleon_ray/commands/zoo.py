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
    """Tunes several models together: equal layers once, one budget, a run directory for each."""
    from chameleon_ray.report.progress import Progress

    names: list[str] = [] if no_compare else compare
    given: dict[str, object] = {"trials": trials, "minutes": minutes, "until": until, "out": out}
    given |= {"resume": resume, "store": store, "address": address, "engine": engine}
    given |= {"warm_start": tuple(warm_start), "compare": tuple(names)}
    progress = Progress()
    with answering(debug):
        from chameleon_ray import api
        from chameleon_ray.report import zoo as words
        from chameleon_ray.report.live_table import watching

        asked = api.read_zoo(file, Request("", **given))  # type: ignore[arg-type]
        if layers:
            entries, found = api.survey(asked, tell)
            screen.print(words.table(entries), words.merging(found) + ".")
        else:
            with watching(progress, errors):
                result = api.tune_zoo(asked, progress)
            screen.print(words.final_message(result))
        settle_all(entries if layers else list(result.entries))
