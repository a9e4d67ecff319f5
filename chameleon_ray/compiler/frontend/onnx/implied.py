"""Inputs of ONNX nodes that decide a shape, worked out from the shape that the graph declares.

A graph may compute the new shape of a reshaping at run time, or take it from the user, and still
declare what comes out of it. Then the declaration says which value the input has to have.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from chameleon_ray.compiler.frontend.onnx.node import attributes_of, key_of

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Shapes:
    """Known shapes of a node's inputs and outputs, in order; None where one is not known.

    Attributes:
        inputs: Shapes of the inputs.
        outputs: Shapes of the outputs.
    """

    inputs: tuple[Shape | None, ...]
    outputs: tuple[Shape | None, ...]


Rule = Callable[[onnx.NodeProto, Shapes], Sequence[int] | None]
"""Works out the value of the input; None where the shapes do not tell."""


def imply(graph: onnx.GraphProto, shapes: Mapping[str, Shape | None]) -> bool:
    """Replaces inputs that decide shapes by constants; returns whether it replaced any.

    Args:
        graph: The graph, which is changed.
        shapes: Known shapes by name.
    """
    known = {weight.name for weight in graph.initializer}
    found = False
    for node in graph.node:
        place, rule = RULES.get(key_of(node), (0, None))
        if rule is None or len(node.input) <= place or node.input[place] in {"", *known}:
            continue
        seen = Shapes(*(tuple(map(shapes.get, names)) for names in (node.input, node.output)))
        value = rule(node, seen)
        if value is None:
            continue
        name = f"{next(filter(None, node.output))}.{place}.implied"
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
        node.input[place] = name
        found = True
    return found


def spread(graph: onnx.GraphProto, shapes: Mapping[str, Shape | None]) -> bool:
    """Declares the inputs of operators that keep the shape like the outputs; returns whether any.

    Args:
        graph: The graph, which is changed; its types are inferred.
        shapes: Known shapes by name.
    """
    values = {value.name: value.type.tensor_type for value in graph.value_info}
    found = False
    for node in reversed(graph.node):
        if key_of(node) not in KEEPING or not node.input or node.input[0] not in values:
            continue
        tensor = values[node.input[0]]
        own = values.get(node.output[0])
        shape = shapes.get(node.output[0]) or (own and static_shape(own))
        if shape is not None and static_shape(tensor) is None:
            set_shape(tensor, shape)
            found = True
    return found


def static_shape(tensor: onnx.TypeProto.Tensor) -> Shape | None:
    """Returns a declared shape; None where it has open or negative extents, or there is none."""
    dims = tensor.shape.dim
    known = all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims)
    return tuple(dim.dim_value for dim in dims) if known and tensor.HasField("shape") else None


def set_shape(tensor: onnx.TypeProto.Tensor, shape: Sequence[int]) -> None:
    """Declares a shape, in place of what was declared."""
    tensor.shape.SetInParent()
    del tensor.shape.dim[:]
    for size in shape:
        tensor.shape.dim.add().dim_value = size


def _output(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    """Returns the shape of the output, as Reshape, Expand and ConstantOfShape take it."""
    return seen.outputs[0]


def _repeats(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    before, after = seen.inputs[0], seen.outputs[0]
    if before is None or after is None or 0 in before or len(before) != len(after):
        return None
    pairs = list(zip(before, after, strict=True))
    return None if any(new % old for old, new in pairs) else [new // old for old, new in pairs]


def _removed(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    """Returns axes of extent 1 without which the input has the output's shape, for Squeeze."""
    before, after, axes = seen.inputs[0], seen.outputs[0], seen.inputs[1]
    if before is None or after is None or (axes is not None and axes != _count(before, after)):
        return None
    return _dropped(before, after)


def _added(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    """Returns axes of extent 1 that the output has and the input has not, for Unsqueeze."""
    before, after = seen.inputs[0], seen.outputs[0]
    return None if before is None or after is None else _dropped(after, before)


def _count(before: Shape, after: Shape) -> Shape:
    return (len(before) - len(after),)


def _dropped(long: Shape, short: Shape) -> Sequence[int] | None:
    """Returns axes of extent 1 without which a shape is a shorter one; any of them do alike."""
    ones = [axis for axis, extent in enumerate(long) if extent == 1]
    for axes in itertools.combinations(ones, max(len(long) - len(short), 0)):
        if tuple(e for axis, e in enumerate(long) if axis not in axes) == short:
            return axes
    return None


def _parts(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    """Returns the extents of Split's outputs on its axis."""
    axis = int(attributes_of(node).get("axis", 0))
    if any(shape is None for shape in seen.outputs):
        return None
    return [shape[axis] for shape in seen.outputs if shape is not None]


def _largest(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    """Returns TopK's number of values."""
    axis = int(attributes_of(node).get("axis", -1))
    shape = next((shape for shape in seen.outputs if shape is not None), None)
    return None if shape is None else [shape[axis]]


def _grid(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    """Returns AffineGrid's size, whose channels do not matter."""
    shape = seen.outputs[0]
    return None if shape is None else [shape[0], 1, *shape[1:-1]]


def _on_axes(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    """Returns the extents of the output on the node's axes, for CenterCropPad and Resize."""
    shape, attributes = seen.outputs[0], attributes_of(node)
    if shape is None or attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        return None
    return [shape[axis] for axis in attributes.get("axes", range(len(shape)))]


def _reduced(node: onnx.NodeProto, seen: Shapes) -> Sequence[int] | None:
    """Returns the axes of a reduction, where only one choice leads to the output's shape."""
    before, axes, after = seen.inputs[0], seen.inputs[1], seen.outputs[0]
    if before is None or axes is None or len(axes) != 1 or after is None:
        return None
    fitting = reductions(before, axes[0], after, bool(attributes_of(node).get("keepdims", 1)))
    return fitting[0] if axes[0] and len(fitting) == 1 else None


def reductions(before: Shape, count: int, after: Shape, keeps: bool) -> list[tuple[int, ...]]:
    """Lists the choices of axes whose reduction leads from one shape to another.

    Args:
        before: Shape that is reduced.
        count: Number of axes.
        after: Shape of the result.
        keeps: Whether the axes stay, with an extent of 1.
    """
    return [
        axes
        for axes in itertools.combinations(range(len(before)), count)
        if after
        == tuple(
            1 if axis in axes else extent
            for axis, extent in enumerate(before)
            if keeps or axis not in axes
        )
    ]


REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
"""Reductions, without the word that their names begin with."""
RULES: dict[tuple[str, str], tuple[int, Rule | None]] = {
    ("", "Reshape"): (1, _output),
    ("", "Expand"): (1, _output),
    ("", "ConstantOfShape"): (0, _output),
    ("", "Tile"): (1, _repeats),
    ("", "Squeeze"): (1, _removed),
    ("", "Unsqueeze"): (1, _added),
    ("", "Split"): (1, _parts),
    ("", "TopK"): (1, _largest),
    ("", "AffineGrid"): (1, _grid),
    ("", "CenterCropPad"): (1, _on_axes),
    ("", "Resize"): (3, _on_axes),
    **{("", f"Reduce{name}"): (1, _reduced) for name in REDUCTIONS},
}
"""Place of the input that decides the shape, and the rule for it, by operator."""
KEEPING = {
    ("", kind)
    for kind in (
        *("Abs", "Cast", "CastLike", "Ceil", "Cos", "Erf", "Exp", "Floor", "Identity", "Log"),
        *("LogSoftmax", "Neg", "Not", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin"),
        *("Softmax", "Softplus", "Sqrt", "Tanh"),
    )
}
"""Operators whose output has the shape of their first input."""
