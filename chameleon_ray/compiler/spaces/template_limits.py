"""Limits of a template's configurations, from the bounds that it sets for its sampled variables."""

from collections.abc import Sequence
from typing import Any

from chameleon_ray.compiler.spaces.sketch import Sketch, Slot
from chameleon_ray.compiler.spaces.templates.template import Bound, Fitted, Term
from chameleon_ray.limit import Box, Limit, Product, Side


def template_limits(fitted: Fitted, sketches: Sequence[Sketch]) -> tuple[Limit, ...]:
    """Returns the limits of a template's configurations.

    Args:
        fitted: The template as it fits the layer, with bounds.
        sketches: The sketches made of its traces, in their order.
    """
    traces = [fitted.trace, *fitted.others]
    several = len(sketches) > 1
    return tuple(
        _limit(bound, trace, sketch, (number,) if several else ())
        for number, (trace, bounds, sketch) in enumerate(
            zip(traces, fitted.bounds, sketches, strict=True)
        )
        for bound in bounds
    )


def _limit(bound: Bound, trace: Any, sketch: Sketch, sketches: tuple[int, ...]) -> Limit:
    boxes = tuple(_box(term, trace, sketch) for term in bound.terms)
    return Limit(bound.name, boxes, bound.least, bound.most, sketches)


def _box(term: Term, trace: Any, sketch: Sketch) -> Box:
    unit, variables = term
    product = Product()
    for variable in variables:
        product *= _numbers(variable, trace, sketch)
    return Box(unit, (Side(1, ((1, product),)),))


def _numbers(variable: Any, trace: Any, sketch: Sketch) -> Product:
    """Returns a sampled variable as a product: its number for each choice of its knob."""
    for slot in sketch.slots:
        instruction = trace.insts[slot.instruction]
        for place, output in enumerate(instruction.outputs):
            if output.same_as(variable):
                return _product(slot, place, instruction)
    raise ValueError("the trace does not sample this variable")


def _product(slot: Slot, place: int, instruction: Any) -> Product:
    numbers = tuple(
        int(decision[place])
        if slot.kind == "SamplePerfectTile"
        else int(instruction.attrs[0][decision])
        for decision in slot.decisions
    )
    return Product(1, ((slot.knob, numbers),)) if slot.knob >= 0 else Product(numbers[0])
