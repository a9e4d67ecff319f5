"""``chameleon pending``: tunes the graphs of ``torch.compile`` that wait for it."""

from typing import Annotated

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import LEAST, Debug
from chameleon_ray.commands.screen import screen, tell


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

        folders = waiting()
        if list_only or not folders:
            tell(f"{len(folders)} graphs wait for being tuned.")
        for folder in folders:
            if list_only:
                screen.print(str(folder / PROGRAM), markup=False)
                continue
            from chameleon_ray.interface.tuning import tune

            began = (folder / "run.json").exists()
            model = tune(folder / PROGRAM, out=folder, resume=began, minutes=minutes, trials=trials)
            screen.print(repr(model), markup=False)
