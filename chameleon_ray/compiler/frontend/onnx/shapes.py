"""Does an ONNX model's shape arithmetic and folds its constants, so that shapes are static."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.compiler.frontend.onnx.constants import constant_of
from chameleon_ray.compiler.frontend.onnx.implied import (
    Shape,
    imply,
    set_shape,
    spread,
    static_shape,
)
from chameleon_ray.compiler.frontend.onnx.weights import SMALL

KEPT = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Bernoulli", "Multinomial"}
"""Operators that are not computed before the model runs, as they mark quantised graphs or draw."""


def fix_inputs(proto: onnx.ModelProto, specs: Sequence[InputSpec]) -> None:
    """Gives the inputs of a model the shapes that they are to have."""
    shapes = {spec.name: spec.shape for spec in specs}
    for value in proto.graph.input:
        if value.name in shapes:
            set_shape(value.type.tensor_type, shapes[value.name])


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
        if not any((_fold(proto, shapes), imply(graph, shapes), spread(graph, shapes))):
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
    if node.domain or node.op_type in KEPT or node.op_type.startswith("Random"):
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
    if feeds is None or any(attribute.HasField("g") for attribute in node.attribute):
        return None
    return _computed(node, feeds, proto)


def _computed(
    node: onnx.NodeProto, feeds: Mapping[str, np.ndarray], proto: onnx.ModelProto
) -> list[np.ndarray] | None:
    """Returns the outputs of a node by ONNX's reference; None where they are not all small."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "node", inputs, outputs)
    model = helper.make_model(graph, opset_imports=proto.opset_import)
    try:
        values = ReferenceEvaluator(model).run(None, dict(feeds))
    except Exception:  # an operator that the reference lacks stays where it is
        return None
    arrays = [value for value in values if isinstance(value, np.ndarray | np.generic)]
    small = all(array.size <= SMALL and array.dtype != object for array in arrays)
    return [np.asarray(array) for array in arrays] if small and len(arrays) == len(values) else None
