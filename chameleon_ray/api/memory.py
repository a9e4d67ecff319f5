"""Finds out how much memory a model takes in several orders; needs TVM, but no Ray."""

import json
from contextlib import ExitStack
from pathlib import Path

from chameleon_ray.api.algorithms import LAYOUTS, check
from chameleon_ray.api.bounds import demand_bounds
from chameleon_ray.api.model_process import ModelProcess
from chameleon_ray.api.replay import destinations
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.errors import UserError
from chameleon_ray.graph.footprint import Footprint
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Request, Scheduling
from chameleon_ray.report.memory import figures
from chameleon_ray.report.summary import write_text


def weigh(request: Request, options: Scheduling, file: Path | None = None) -> Footprint:
    """Compares a model's own order with the best one, and with the rewritten model's.

    Args:
        request: The model, its inputs, the target and the layout.
        options: Settings of the searches for an order.
        file: File that the figures are written to as JSON; None where they are not.

    Raises:
        UserError: The model cannot be used or its memory not be planned, or there is no place for
            the file.
    """
    check("layout", request.layout, LAYOUTS)
    demand_bounds(request)
    destinations(None, file, ())
    kind = kind_of(request.target)
    with ExitStack() as stack:
        footprint = ModelProcess(kind, available(), stack).weigh(request, options)
    if file is not None:
        try:
            text = json.dumps(figures(footprint), indent=2, allow_nan=False)
            write_text(file, text + "\n")
        except OSError as error:
            raise UserError(f"Writing {file} failed: {error.strerror or error}.") from error
    return footprint
