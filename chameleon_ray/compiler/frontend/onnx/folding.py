"""Computes nodes of small constants, and sizes, while importing, by ONNX's reference evaluator."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from chameleon_ray.compiler.frontend.onnx.node import Node, draws_numbers, key_of
from chameleon_ray.compiler.frontend.onnx.weights import SMALL
from chameleon_ray.compiler.relax import is_static

KEPT = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
"""Operators that are not computed before the model runs, as they mark quantised graphs."""


def may_fold(proto: onnx.NodeProto) -> bool:
    """Whether a node of constants may be computed before the model runs."""
    domain, kind = key_of(proto)
    plain = not domain and kind not in KEPT and not draws_numbers(proto)
    return plain and not any(attribute.HasField("g") for attribute in proto.attribute)


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
    feeds = {name: array for name, array in known.items() if array is not None}
    if not feeds or len(feeds) < len(known) or not may_fold(proto):
        return None
    if any(array.size > SMALL for array in feeds.values()):
        return None
    return evaluated(proto, feeds, [helper.make_opsetid("", node.version)])


def evaluated(
    proto: onnx.NodeProto,
    feeds: Mapping[str, np.ndarray],
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> list[np.ndarray] | None:
    """Computes a node.

    Args:
        proto: The node.
        feeds: Its inputs, by name.
        opsets: Operator sets of the model.

    Returns:
        Its outputs in order; None where they are not all small tensors of numbers, or where the
        reference lacks the operator.
    """
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in proto.output]
    graph = helper.make_graph([proto], "node", inputs, outputs)
    try:
        model = helper.make_model(graph, opset_imports=opsets)
        values = ReferenceEvaluator(model).run(None, dict(feeds))
    except Exception:  # an operator that the reference lacks
        return None
    if not all(isinstance(value, np.ndarray | np.generic) for value in values):
        return None
    arrays = [np.asarray(value) for value in values]
    small = all(array.size <= SMALL and array.dtype.kind not in "OUS" for array in arrays)
    return arrays if small else None
