"""``chameleon runs``: lists the runs below a folder."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.commands.arguments import Json
from chameleon_ray.commands.screen import plain, print_json, width


def runs(
    folder: Annotated[Path, typer.Argument(help="The folder, or one run.")] = Path("runs"),
    json: Json = False,
) -> None:
    """Lists the runs below a folder, newest first: latency, comparison, state, age and size.

    States: live, verified, done (not compared with anything but TVM), interrupted, failed.

    Examples: chameleon runs; chameleon runs experiments --json | jq '.[].latency_ms'
    """
    from chameleon_ray.runs.kept_run import as_json
    from chameleon_ray.runs.listing import lines, listed

    found = listed(folder)
    if json:
        print_json([as_json(run) for run in found])
        return
    plain(lines(found, folder, width()))
    plain(f"{run.path}: {run.fault}" for run in found if run.fault)
