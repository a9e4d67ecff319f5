"""Computes nodes of small constants, such as a loop's counter, and sizes, while importing."""

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator
from tvm.ir import GenericConst

from chameleon_ray.compiler.frontend.onnx.node import Node
from chameleon_ray.compiler.relax import is_static

SMALL = 1024
"""Most elements of a tensor that is computed ahead of time."""


def sizes(node: Node) -> list[np.ndarray] | None:
    """Returns the output of Shape or Size of a tensor of known extents, or of any node of sizes.

    Shape inference leaves those open that follow an If whose branches give different shapes.

    Returns:
        None where the node is another, or what it computes is only known at run time.
    """
    kind, value = node.proto.op_type, node.optional(0)
    if not node.proto.domain and kind in ("Shape", "Size") and value is not None:
        if not is_static(value.ty):
            return None
        shape = np.array([int(size) for size in value.ty.shape], np.int64)
        if kind == "Size":
            return [np.asarray(np.prod(shape), np.int64)]
        return [shape[node.attributes.get("start", 0) : node.attributes.get("end")]]
    known = [node.known(place) for place, name in enumerate(node.proto.input) if name]
    whole = all(one is not None and one.dtype in (np.int64, np.bool_) for one in known)
    return folded(node) if whole else None


def folded(node: Node) -> list[np.ndarray] | None:
    """Returns the outputs of a node of small constants; None where it is another, or too hard."""
    proto = node.proto
    known = {name: node.known(place) for place, name in enumerate(proto.input) if name}
    if proto.domain or not known or proto.op_type.startswith(("Random", "Sequence")):
        return None
    if any(attribute.HasField("g") for attribute in proto.attribute):
        return None
    feeds = {name: array for name, array in known.items() if array is not None}
    if len(feeds) < len(known) or any(array.size > SMALL for array in feeds.values()):
        return None
    try:
        values = ReferenceEvaluator(_model(node, feeds)).run(None, feeds)
    except Exception:  # an operator that the reference lacks
        return None
    arrays = [np.asarray(value) for value in values]
    small = all(array.size <= SMALL and array.dtype.kind in "biuf" for array in arrays)
    return arrays if small and not any(isinstance(value, list) for value in values) else None


def _model(node: Node, feeds: dict[str, np.ndarray]) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.proto.output]
    graph = helper.make_graph([node.proto], "node", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.version)])


def is_true(value: object) -> bool | None:
    """Returns the truth of a condition that is a constant; None of one that is computed."""
    return bool(value.value.numpy().item()) if isinstance(value, GenericConst) else None
