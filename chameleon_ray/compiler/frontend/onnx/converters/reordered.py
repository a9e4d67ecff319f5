"""ReverseSequence and TensorScatter, which put elements in places that an input says."""

from typing import Any

from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx.extents import axis_of, extents, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node


def reverse_sequence(node: Node) -> relax.Expr:
    """Converts ReverseSequence, which turns the first elements of each sequence round."""
    batch = node.attributes.get("batch_axis", 1)
    time = node.attributes.get("time_axis", 0)

    def reversed_(data: Any, lengths: Any) -> Any:
        def value(*place: Any) -> Any:
            step, length = place[time], tirx.Cast("int64", lengths(place[batch]))
            source = list(place)
            source[time] = tirx.Select(step < length, length - 1 - step, step)
            return data(*source)

        return te.compute(data.shape, value, "reversed")

    return node.builder.call_te(reversed_, node.input(0), node.input(1))


def tensor_scatter(node: Node) -> relax.Expr:
    """Converts TensorScatter, which writes a part of a cache, each sequence's at its own place."""
    cache, update = node.input(0), node.input(1)
    starts = node.optional(2)
    axis = axis_of(node.attributes.get("axis", -2), rank(cache))
    size, count = extents(cache)[axis], extents(update)[axis]
    circular = node.attributes.get("mode", "linear") == "circular"

    def scattered(cache: Any, update: Any, *starts: Any) -> Any:
        def value(*place: Any) -> Any:
            offset = place[axis]
            if starts:
                offset = offset - tirx.Cast("int64", starts[0](place[0]))
            offset = tirx.floormod(offset, size) if circular else offset
            source = list(place)
            source[axis] = tirx.max(tirx.min(offset, count - 1), 0)
            inside = tirx.all(offset >= 0, offset < count)
            return tirx.Select(inside, update(*source), cache(*place))

        return te.compute(cache.shape, value, "scattered")

    return node.builder.call_te(scattered, cache, update, *([] if starts is None else [starts]))


CONVERTERS: dict[Key, Converter] = {
    ("", "ReverseSequence"): reverse_sequence,
    ("", "TensorScatter"): tensor_scatter,
}
