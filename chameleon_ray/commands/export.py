"""``chameleon export``: writes what a server needs of a tuned model."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import Debug, Run
from chameleon_ray.commands.screen import screen


def export(
    run: Run,
    folder: Annotated[Path, typer.Argument(help="The directory to make.")],
    debug: Debug = False,
) -> None:
    """Writes a tuned model, TVM's runtime, and programs that load it in C++ and Python."""
    with answering(debug):
        from chameleon_ray import api

        manifest = api.export(run, folder)
        size = sum((folder / name).stat().st_size for name in ("model.so", *manifest.libraries))
        screen.print(
            f"{folder}: model.so and TVM's runtime, {size / 2**20:.0f} MiB; loader.py loads them "
            "in Python, cpp/ in C++.",
            markup=False,
        )
