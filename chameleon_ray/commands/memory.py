"""``chameleon memory``: weighs a model's activations."""

from typing import Annotated

import typer

from chameleon_ray.commands.arguments import LEAST, Figures, Inputs, Json, Seconds
from chameleon_ray.commands.choosing import Layout, Model
from chameleon_ray.commands.screen import print_json, screen
from chameleon_ray.options import Request, Scheduling


def memory(
    model: Model,
    inputs: Inputs = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=LEAST["seed"])] = 0,
    layout: Layout = "auto",
    seconds: Seconds = Scheduling.seconds,
    file: Figures = None,
    json: Json = False,
) -> None:
    """Peak memory of a model's activations: in its order, in the best one, and rewritten.

    Examples: chameleon memory swiftnet-a; chameleon memory net.onnx --seconds 60 --json
    """
    from chameleon_ray.api import memory as weighing
    from chameleon_ray.report.memory import figures, shown

    request = Request(model, tuple(inputs), seed=seed, layout=layout)
    footprint = weighing.weigh(request, Scheduling(seconds=seconds), file)
    if json:
        print_json(figures(footprint))
        return
    for part in shown(footprint, screen.width):
        screen.print(part, markup=False)
