"""NonMaxSuppression with all its inputs, which may be computed at run time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import relax, tirx
from tvm.script.ir_builder import tirx as T

from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import first
from chameleon_ray.compiler.frontend.onnx.converters.sequential import run
from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.relax import constant

LEAST = float(np.finfo(np.float32).min)
"""Score that every box has, where no other threshold is given."""


def non_max_suppression(node: Node) -> relax.Expr:
    """Converts NonMaxSuppression.

    Each class of each image is gone through by descending score, the first of equal boxes first. A
    box is kept if it overlaps with none that was kept more than the threshold.
    """
    boxes, scores = node.input(0), node.input(1)
    images, classes, count = extents(scores)
    most, overlap, score = (
        _number(node, place, usual, dtype)
        for place, usual, dtype in ((2, 0, "int64"), (3, 0, "float32"), (4, None, "float32"))
    )
    order = node.emit(relax.op.argsort(scores, descending=True, dtype="int32"))
    centred = bool(node.attributes.get("center_point_box", 0))
    known = node.known(2)
    limit = count if known is None else min(count, max(int(known.item()), 0))
    rows = images * classes * limit

    outputs = [((max(rows, 1), 3), "int64"), ((1,), "int64"), ((max(count, 1),), "int32")]
    outputs += [((1,), "int32"), ((1,), "int32")]
    tensors = [boxes, scores, order, most, overlap, score]
    found, total, *_ = run(node, "nms", _program(images, classes, count, centred), tensors, outputs)
    return first(node, found, total)


def _program(images: int, classes: int, count: int, centred: bool) -> Callable[..., None]:
    """Writes the loops over images, classes, boxes by descending score, and boxes kept before."""

    def program(
        boxes: Any,
        scores: Any,
        order: Any,
        most: Any,
        overlap: Any,
        score: Any,
        found: Any,
        total: Any,
        kept: Any,
        number: Any,
        apart: Any,
    ) -> None:
        total[0] = T.int64(0)
        with T.serial(0, images) as image, T.serial(0, classes) as kind:
            number[0] = T.int32(0)
            with T.serial(0, count) as rank:
                box = order[image, kind, rank]
                wanted = tirx.all(scores[image, kind, box] > score[0], number[0] < most[0])
                apart[0] = tirx.Cast("int32", wanted)
                with T.serial(0, number[0]) as other, T.If(apart[0] != 0), T.Then():
                    ratio = _overlap(boxes, image, box, kept[other], centred)
                    apart[0] = tirx.Cast("int32", ratio <= overlap[0])
                with T.If(apart[0] != 0), T.Then():
                    kept[number[0]] = box
                    number[0] = number[0] + T.int32(1)
                    for column, value in enumerate((image, kind, box)):
                        found[total[0], column] = tirx.Cast("int64", value)
                    total[0] = total[0] + T.int64(1)

    return program


def _number(node: Node, place: int, usual: float | None, dtype: str) -> relax.Expr:
    """Returns a number that may be left out, as a vector of one."""
    given = node.optional(place)
    if given is None:
        return constant(np.array([LEAST if usual is None else usual]), dtype)
    known = node.known(place)
    if known is not None:
        return constant(known.reshape(1), dtype)
    return node.emit(relax.op.reshape(given, (1,)))


def _overlap(boxes: Any, image: Any, one: Any, other: Any, centred: bool) -> Any:
    """Returns the intersection of two boxes over their union; 0 where one has no area."""
    sides = [_sides([boxes[image, box, k] for k in range(4)], centred) for box in (one, other)]
    zero = T.float32(0)
    lengths = [
        tirx.max(tirx.min(high, other_high) - tirx.max(low, other_low), zero)
        for (low, high), (other_low, other_high) in zip(*sides, strict=True)
    ]
    areas = [(pair[0][1] - pair[0][0]) * (pair[1][1] - pair[1][0]) for pair in sides]
    shared = lengths[0] * lengths[1]
    union = areas[0] + areas[1] - shared
    valid = tirx.all(areas[0] > 0, areas[1] > 0, union > 0, shared > 0)
    return tirx.Select(valid, shared / tirx.Select(valid, union, T.float32(1)), zero)


def _sides(box: Sequence[Any], centred: bool) -> list[tuple[Any, Any]]:
    """Returns the lower and upper bounds of a box along both axes."""
    if centred:
        return [(box[k] - box[k + 2] / 2, box[k] + box[k + 2] / 2) for k in range(2)]
    return [(tirx.min(box[k], box[k + 2]), tirx.max(box[k], box[k + 2])) for k in range(2)]


CONVERTERS: dict[Key, Converter] = {("", "NonMaxSuppression"): non_max_suppression}
