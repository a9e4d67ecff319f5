"""``chameleon rm``: removes runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.commands.arguments import Json
from chameleon_ray.commands.screen import plain, print_json, tell
from chameleon_ray.errors import UserError


def rm(
    runs: Annotated[list[Path], typer.Argument(help="Directories of runs or zoos.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Removes runs; a live one is refused, and what no run has left in the directory stays.

    Examples: chameleon rm runs/resnet-18-20260101-120000; chameleon rm runs/old* --yes
    """
    from chameleon_ray.report.format import size
    from chameleon_ray.runs.kept_run import size_of
    from chameleon_ray.runs.removal import demand_removable, remove

    for run in runs:
        demand_removable(run)
    sizes = {run: size_of(run) for run in runs}
    if not yes:
        for run, count in sizes.items():
            tell(f"{run}: {size(count)}")
        _ask(f"Remove {'it' if len(sizes) == 1 else f'these {len(sizes)} runs'}?")
    removed = []
    for run in sizes:
        one = remove(run)
        removed.append({"run": str(one.path), "bytes": one.freed, "kept": list(one.kept)})
        if not json:
            kept = f"; kept, as no run made it: {', '.join(one.kept)}" if one.kept else ""
            plain([f"Removed {one.path}, {size(one.freed)} freed{kept}"])
    if json:
        print_json(removed)


def _ask(question: str) -> None:
    """Ends the command unless the user agrees.

    Raises:
        UserError: Nobody is there to be asked.
    """
    if not sys.stdin.isatty():
        raise UserError("Nobody can be asked here whether to remove that; add --yes.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
