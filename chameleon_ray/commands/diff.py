"""``chameleon diff``: compares two finished runs layer by layer."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import Debug, Run
from chameleon_ray.commands.screen import screen


def diff(
    run: Run,
    other: Annotated[Path, typer.Argument(help="The directory of a later run.")],
    debug: Debug = False,
) -> None:
    """Compares two finished runs by layer: latencies as recorded, and what changed."""
    with answering(debug):
        from chameleon_ray.folder import RunFolder
        from chameleon_ray.report.columns import text_table
        from chameleon_ray.report.difference import COLUMNS, changes, versions

        identities, winners = [], []
        for path in (run, other):
            folder = RunFolder(path, existing=True)
            try:
                identities.append(folder.identity() or {})
                winners.append(folder.load_winners())
            finally:
                folder.close()
        before, after = identities
        for each in versions(before, after):
            screen.print(each, markup=False)
        rows = changes((before, after), (winners[0], winners[1]))
        screen.print(text_table(COLUMNS, rows))
