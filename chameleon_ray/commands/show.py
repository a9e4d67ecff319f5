"""``chameleon show``: shows the essence of one run."""

from typing import Annotated

import typer

from chameleon_ray.commands.arguments import AnyRun, Json
from chameleon_ray.commands.screen import plain, print_json, table, width

MOST = 10
"""Layers shown where nobody asks for all."""


def show(
    run: AnyRun,
    every: Annotated[bool, typer.Option("--all", help=f"All layers, not {MOST} only.")] = False,
    json: Json = False,
) -> None:
    """Shows one run: its headline, layers by their time, what was left, files, and commands.

    Examples: chameleon show runs/resnet; chameleon show runs/resnet --json | jq .layers
    """
    from chameleon_ray.report.columns import text_table
    from chameleon_ray.runs import listing, showing
    from chameleon_ray.runs.layers import LAYERS

    found = showing.shown(run)
    if json:
        print_json(showing.as_json(found))
        return
    plain([found.headline, *found.facts])
    if found.models:
        plain(["", *listing.lines(found.models, run / "models", width())])
    if found.layers:
        rows = found.layers if every else found.layers[:MOST]
        plain([""])
        table(text_table(LAYERS, rows))
        if more := len(found.layers) - len(rows):
            plain([f"... and {more} more; --all shows them"])
    files = [f"  {path}: {told}" for path, told, _ in found.files]
    commands = [f"{what}: {line}" for what, line in found.commands.items()]
    plain([*(["", *found.left] if found.left else []), "", "Files:", *files, *commands])
