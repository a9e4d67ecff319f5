"""``memory``: finds out how much memory a model's activations take in several orders."""

from dataclasses import replace
from typing import Any

from chameleon_ray.api.memory import weigh
from chameleon_ray.graph.footprint import Footprint
from chameleon_ray.interface.in_memory import spec_of
from chameleon_ray.interface.tuning import request_of
from chameleon_ray.measure.scratch import Scratch
from chameleon_ray.options import Scheduling


def memory(
    model: Any,
    example_inputs: Any = None,
    *,
    seconds: float = Scheduling.seconds,
    **options: Any,
) -> Footprint:
    """Computes the peak memory of a model's activations, as ``chameleon memory`` does.

    Args:
        model: As ``tune`` takes it.
        example_inputs: Arguments of a module's call, or another model's inputs by name.
        seconds: Seconds after which the best order found so far is taken.
        options: Other options of ``tune`` that say how the model is imported, as ``layout``.

    Returns:
        The stages by name: ``model_order``, ``scheduled`` and ``rewritten``.

    Raises:
        UserError: The model cannot be used, or its memory cannot be planned.
    """
    request = request_of(options)
    with Scratch() as folder:
        spec, examples = spec_of(model, example_inputs, folder)
        asked = replace(request, model=spec, examples=examples)
        return weigh(asked, Scheduling(seconds=seconds))
