"""Does an ONNX model's shape arithmetic and folds its constants, so that shapes are static."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.compiler.frontend.onnx.branches import choose
from chameleon_ray.compiler.frontend.onnx.constants import constant_of
from chameleon_ray.compiler.frontend.onnx.folding import evaluated, may_fold
from chameleon_ray.compiler.frontend.onnx.implied import (
    Shape,
    imply,
    set_shape,
    spread,
    static_shape,
)
from chameleon_ray.compiler.frontend.onnx.weights import SMALL


def fix_inputs(proto: onnx.ModelProto, specs: Sequence[InputSpec]) -> None:
    """Gives the inputs of a model the shapes that they are to have.

    Where an input's open extents were written as 0, those of other values are open, too.
    """
    graph, shapes = proto.graph, {spec.name: spec.shape for spec in specs}
    zero_is_open = False
    for value in graph.input:
        if value.name in shapes:
            dims, tensor = shapes[value.name], value.type.tensor_type
            zero_is_open |= 0 in (static_shape(tensor) or ()) and 0 not in dims
            set_shape(tensor, dims)
    for value in (*graph.value_info, *graph.output) if zero_is_open else ():
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value == 0:
                dim.ClearField("dim_value")


def fix_shapes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Computes what follows from constants and shapes, and the shapes that follow from that.

    Exporters write ``x.chunk(2, 1)`` as a slice whose bounds are computed from the shape of ``x``.
    TVM leaves such bounds, and every shape after them, open until run time. Nothing can tune open
    shapes.

    Args:
        proto: The model, whose inputs have static shapes; it is changed.
    """
    while True:
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        graph = proto.graph
        declared = (*graph.input, *graph.value_info, *graph.output)
        shapes = {value.name: static_shape(value.type.tensor_type) for value in declared}
        shapes |= {weight.name: tuple(weight.dims) for weight in graph.initializer}
        if not any(
            (_fold(proto, shapes), choose(graph), imply(graph, shapes), spread(graph, shapes))
        ):
            return proto


def _fold(proto: onnx.ModelProto, shapes: Mapping[str, Shape | None]) -> bool:
    """Replaces nodes by their values where the known shapes allow; returns whether it did any."""
    graph = proto.graph
    known = {
        weight.name: numpy_helper.to_array(weight)
        for weight in graph.initializer
        if weight.data_type != onnx.TensorProto.STRING
    }
    kept = []
    for node in graph.node:
        values = _values(node, known, shapes, proto)
        if values is None:
            kept.append(node)
            continue
        for name, value in zip(node.output, values, strict=True):
            if name:
                known[name] = value
                graph.initializer.append(numpy_helper.from_array(value, name))
    done = len(kept) < len(graph.node)
    del graph.node[:]
    graph.node.extend(kept)
    return done


def _values(
    node: onnx.NodeProto,
    known: Mapping[str, np.ndarray],
    shapes: Mapping[str, Shape | None],
    proto: onnx.ModelProto,
) -> list[np.ndarray] | None:
    """Returns a node's outputs where they are small and follow from what is known, else None."""
    if not may_fold(node):
        return None
    if node.op_type == "Constant":
        value = constant_of(node)
        return None if value is None or value.size > SMALL else [value]
    if node.op_type in ("Shape", "Size"):
        shape = shapes.get(node.input[0])
        if shape is None and node.input[0] in known:
            shape = known[node.input[0]].shape
        # Shape and Size only look at the shape, so any tensor of it will do; this one is 1 byte.
        feeds = None if shape is None else {node.input[0]: np.broadcast_to(np.int8(0), shape)}
    else:
        feeds = {name: known[name] for name in node.input if name in known}
        feeds = feeds if len(feeds) == len(set(filter(None, node.input))) else None
    return None if feeds is None else evaluated(node, feeds, proto.opset_import)
