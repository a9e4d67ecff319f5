"""``chameleon memory``: weighs a model's activations."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import LEAST, Debug, Inputs, Layout, Model, Seconds
from chameleon_ray.commands.screen import screen
from chameleon_ray.options import Request, Scheduling


def memory(
    model: Model,
    inputs: Inputs = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=LEAST["seed"])] = 0,
    layout: Layout = "auto",
    seconds: Seconds = Scheduling.seconds,
    file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    debug: Debug = False,
) -> None:
    """Peak memory of a model's activations: in its order, in the best one, and rewritten."""
    with answering(debug):
        from chameleon_ray.api import memory as weighing
        from chameleon_ray.report.memory import shown

        request = Request(model, tuple(inputs), seed=seed, layout=layout)
        footprint = weighing.weigh(request, Scheduling(seconds=seconds), file)
        for part in shown(footprint, screen.width):
            screen.print(part, markup=False)
