"""``chameleon pending``: tunes the graphs of ``torch.compile`` that wait for it."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.commands.arguments import LEAST, Json
from chameleon_ray.commands.screen import plain, print_json, tell
from chameleon_ray.errors import Stopped, UserError


def pending(
    minutes: Annotated[
        float | None, typer.Option(min=LEAST["minutes"], help="Most wall time of each.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=LEAST["trials"], help="Most measurements of each.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Name them; tune nothing.")] = False,
    json: Json = False,
) -> None:
    """Tunes the graphs that torch.compile(backend="chameleon") has met and did not know.

    Examples: chameleon pending --list; chameleon pending --minutes 5
    """
    from chameleon_ray.interface.graph_cache import PROGRAM, waiting

    programs, faults = [folder / PROGRAM for folder in waiting()], dict[Path, str]()
    if list_only or not programs:
        tell(f"{len(programs)} graphs wait for being tuned.")
    for program in programs:
        if not list_only:
            faults[program] = _tuned(program, minutes, trials)
            tell(f"{program}: {faults[program] or 'tuned'}")
    if json:
        print_json([{"program": str(one), "fault": faults.get(one) or None} for one in programs])
    else:
        plain(str(one) for one in programs if not faults.get(one))
    if failed := sum(map(bool, faults.values())):
        raise UserError(f"{failed} of {len(programs)} graphs could not be tuned; see above.")


def _tuned(program: Path, minutes: float | None, trials: int | None) -> str:
    """Tunes a graph; returns why where it cannot be, as torch goes on computing it then."""
    from chameleon_ray.interface.graph_cache import is_of_another, options_of
    from chameleon_ray.interface.tuning import tune

    folder = program.parent
    if is_of_another(folder):
        return "it waits for a machine with another CPU, or more cores; tune it there."
    began = (folder / "run.json").exists()
    asked = {"compare": (), **options_of(folder), "minutes": minutes, "trials": trials}
    try:
        tune(program, out=folder, resume=began, **asked)
    except Stopped:
        raise
    except UserError as error:
        return str(error)
    return ""
