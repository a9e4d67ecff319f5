"""Makes the values inside an ONNX file outputs, so that the first wrong one can be found."""

from pathlib import Path

import onnx
from onnx import TensorProto

MOST_BYTES = 1 << 30
"""Most bytes of a model that is copied."""
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def expose(path: Path, copy: Path) -> dict[str, str]:
    """Writes a copy of a file that gives what its nodes compute, in their order, as outputs.

    Integers that are no output are left out, as most of them are part of shape arithmetic. So are
    values of unknown type.

    Returns:
        Name and operator of the node that computes each output of the copy, in words; empty where
        the file is too large to be copied.
    """
    proto = onnx.load(path)
    if proto.ByteSize() > MOST_BYTES:
        return {}
    graph = onnx.shape_inference.infer_shapes(proto).graph
    declared = {value.name: value for value in graph.output}
    inferred = {value.name: value for value in graph.value_info if _is_float(value)} | declared
    nodes, outputs = dict[str, str](), []
    for number, node in enumerate(proto.graph.node, 1):
        for name in node.output:
            if name in inferred:
                called = repr(node.name) if node.name else f"number {number}"
                nodes[name] = f"{called} ({node.op_type})"
                outputs.append(inferred[name])
    del proto.graph.output[:]
    proto.graph.output.extend(outputs)
    onnx.save(proto, copy)
    return nodes


def _is_float(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type in FLOATS
