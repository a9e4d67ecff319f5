"""``chameleon export``: writes what a server needs of a tuned model."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.commands.arguments import Json, Run
from chameleon_ray.commands.screen import print_json, screen


def export(
    run: Run,
    folder: Annotated[Path, typer.Argument(help="The directory to make.")],
    json: Json = False,
) -> None:
    """Writes a tuned model, TVM's runtime, and programs that load it in C++ and Python.

    Examples: chameleon export runs/resnet exported
    """
    from chameleon_ray import api

    manifest = api.export(run, folder)
    size = sum((folder / name).stat().st_size for name in ("model.so", *manifest.libraries))
    if json:
        print_json({"folder": str(folder), "bytes": size, **asdict(manifest)})
        return
    screen.print(
        f"{folder}: model.so and TVM's runtime, {size / 2**20:.0f} MiB; loader.py loads them "
        "in Python, cpp/ in C++.",
        markup=False,
    )
