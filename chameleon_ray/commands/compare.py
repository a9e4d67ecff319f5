"""``chameleon compare``: compares runs layer by layer."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.commands.arguments import AnyRun, Json
from chameleon_ray.commands.screen import plain, print_json, table


def compare(
    run: AnyRun,
    others: Annotated[list[Path], typer.Argument(help="The directories of other runs.")],
    html: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Also write a page with them side by side.")
    ] = None,
    json: Json = False,
) -> None:
    """Compares runs by layer: latencies as recorded, and what changed since the first one.

    Examples: chameleon compare runs/one runs/two; chameleon compare runs/r* --html both.html
    """
    from chameleon_ray.report.columns import text_table
    from chameleon_ray.report.difference import columns
    from chameleon_ray.runs import comparing
    from chameleon_ray.runs.side_by_side import side_by_side, write

    found = comparing.comparison([run, *others])
    if html is not None:
        write(html, side_by_side(found))
    if json:
        print_json(comparing.as_json(found))
        return
    table(text_table(comparing.RUNS, found.rows))
    plain(["", *found.notes, *([""] if found.notes else [])])
    table(text_table(columns(found.names), found.layers))
