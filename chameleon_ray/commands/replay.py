"""``chameleon replay``: searches a table of recorded measurements."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chameleon_ray.commands.arguments import Figures, Json
from chameleon_ray.commands.choosing import CostModel, Explorer, Preset, Sampler
from chameleon_ray.commands.screen import print_json, screen, tell
from chameleon_ray.options import Replaying

if TYPE_CHECKING:
    from chameleon_ray.report.replay import ReplayResult


def replay(
    table: Annotated[
        Path, typer.Argument(help="Kernel Tuner cache, T4 results, or records of a run.")
    ],
    preset: Preset = "chameleon",
    explorer: Explorer = None,
    sampler: Sampler = None,
    cost_model: CostModel = None,
    measurements: Annotated[
        int, typer.Option(min=1, help="Of each search.")
    ] = Replaying.measurements,
    seeds: Annotated[int, typer.Option(min=1, help="How many searches.")] = Replaying.seeds,
    seed: Annotated[int, typer.Option(min=0, help="Of the first search.")] = 0,
    task: Annotated[str | None, typer.Option(help="Its digest, where there are several.")] = None,
    warm_start: Annotated[
        Path | None, typer.Option(help="A table measured earlier, to learn from.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Directory for the records.")] = None,
    file: Figures = None,
    json: Json = False,
) -> None:
    """Searches a table of recorded measurements: no compiler, no device, the same search.

    Examples: chameleon replay table.json --explorer annealing --seeds 10
    """
    from chameleon_ray.api import algorithms
    from chameleon_ray.api import replay as replaying
    from chameleon_ray.replay.table import read_table
    from chameleon_ray.report.replay import line

    numbers = range(seed, seed + seeds)
    search = algorithms.chosen(preset, explorer, sampler, cost_model)
    recorded = read_table(table, task)
    replaying.destinations(out, file, numbers)
    teachers = () if warm_start is None else (read_table(warm_start),)
    say = lambda so_far, run: tell(line(so_far, run))  # noqa: E731
    result = replaying.replay(recorded, search, measurements, numbers, say, teachers)
    replaying.write(result, preset, out, file)
    _tell(result, preset, json)


def _tell(result: "ReplayResult", preset: str, json: bool) -> None:
    from chameleon_ray.report.replay import figures, shown

    if json:
        print_json(figures(result, preset))
        return
    for part in shown(result, preset):
        screen.print(part, markup=False)
