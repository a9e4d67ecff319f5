"""``chameleon pending``: tunes the graphs of ``torch.compile`` that wait for it."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import LEAST, Debug
from chameleon_ray.commands.screen import screen, tell
from chameleon_ray.errors import Stopped, UserError


def pending(
    minutes: Annotated[
        float | None, typer.Option(min=LEAST["minutes"], help="Most wall time of each.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=LEAST["trials"], help="Most measurements of each.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Name them; tune nothing.")] = False,
    debug: Debug = False,
) -> None:
    """Tunes the graphs that torch.compile(backend="chameleon") has met and did not know."""
    with answering(debug):
        from chameleon_ray.interface.graph_cache import PROGRAM, waiting

        folders, failed = waiting(), 0
        if list_only or not folders:
            tell(f"{len(folders)} graphs wait for being tuned.")
        for folder in folders:
            if list_only:
                screen.print(str(folder / PROGRAM), markup=False)
            else:
                failed += not _tuned(folder / PROGRAM, minutes, trials)
        if failed:
            raise UserError(f"{failed} of {len(folders)} graphs could not be tuned; see above.")


def _tuned(program: Path, minutes: float | None, trials: int | None) -> bool:
    """Tunes a graph; says why where it cannot be, as torch goes on computing it then."""
    from chameleon_ray.interface.graph_cache import options_of
    from chameleon_ray.interface.tuning import tune

    folder = program.parent
    began = (folder / "run.json").exists()
    asked = {**options_of(folder), "minutes": minutes, "trials": trials}
    try:
        model = tune(program, out=folder, resume=began, **asked)
    except Stopped:
        raise
    except UserError as error:
        tell(f"{program}: {error}")
        return False
    screen.print(repr(model), markup=False)
    return True
