"""Does an ONNX model's shape arithmetic, so that TVM sees static shapes."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from chameleon_ray.compiler.frontend.inputs import InputSpec

SMALL = 1024
"""Most elements of a tensor that is taken for part of shape arithmetic, not for weights."""


SHAPELY = {"Shape", "Size", "ConstantOfShape", "Range"}
"""Operators without which there is no shape arithmetic."""


QUANTIZED = {"QuantizeLinear", "DequantizeLinear"}
"""Operators of constants that are left alone, so that layers can be computed in integers."""


def fix_shapes(proto: onnx.ModelProto, specs: Sequence[InputSpec]) -> onnx.ModelProto:
    """Computes what follows from the shapes of tensors, and the shapes that follow from that.

    Exporters write ``x.chunk(2, 1)`` as a slice whose bounds are computed from the shape of ``x``.
    TVM leaves such bounds, and every shape after them, open until run time. Nothing can tune open
    shapes.

    Args:
        proto: The model, which is changed.
        specs: The model's inputs.
    """
    if not any(node.op_type in SHAPELY for node in proto.graph.node):
        return proto
    for value in proto.graph.input:
        for spec in specs:
            if spec.name == value.name:
                _set_shape(value, spec.shape)
    while True:
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        if not _evaluate(proto):
            return proto


def _evaluate(proto: onnx.ModelProto) -> bool:
    """Replaces nodes by their values where the known shapes allow; returns whether it did any."""
    graph = proto.graph
    known = {
        weight.name: numpy_helper.to_array(weight)
        for weight in graph.initializer
        if np.prod(weight.dims) <= SMALL
    }
    shapes = {value.name: _shape(value) for value in (*graph.input, *graph.value_info)}
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
    known: dict[str, np.ndarray],
    shapes: dict[str, tuple[int, ...] | None],
    proto: onnx.ModelProto,
) -> list[np.ndarray] | None:
    """Returns a node's outputs where they are small and follow from what is known, else None."""
    if node.op_type in ("Shape", "Size"):
        shape = shapes.get(node.input[0])
        # Shape and Size only look at the shape, so any tensor of it will do; this one is 1 byte.
        feeds = None if shape is None else {node.input[0]: np.broadcast_to(np.int8(0), shape)}
    else:
        feeds = {name: known[name] for name in node.input if name in known}
        feeds = feeds if len(feeds) == len(set(filter(None, node.input))) else None
    has_graph = any(attribute.HasField("g") for attribute in node.attribute)
    kept = node.op_type.startswith("Random") or node.op_type in QUANTIZED
    if feeds is None or has_graph or node.domain or kept:
        return None
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "node", inputs, outputs)
    model = helper.make_model(graph, opset_imports=proto.opset_import)
    try:
        values = ReferenceEvaluator(model).run(None, feeds)
    except Exception:  # an operator that the reference lacks stays where it is
        return None
    arrays = [value for value in values if isinstance(value, np.ndarray | np.generic)]
    small = all(array.size <= SMALL for array in arrays)
    return [np.asarray(array) for array in arrays] if small and len(arrays) == len(values) else None


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    if not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value for d in dims) if all(d.HasField("dim_value") for d in dims) else None


def _set_shape(value: onnx.ValueInfoProto, shape: Sequence[int]) -> None:
    del value.type.tensor_type.shape.dim[:]
    for size in shape:
        value.type.tensor_type.shape.dim.add().dim_value = size
