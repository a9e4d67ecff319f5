"""ReduceMax and ReduceMin of booleans, of which TVM knows no extremes."""

from dataclasses import replace

from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node
from chameleon_ray.compiler.frontend.onnx.tvm_converters import converter


def extreme(node: Node) -> relax.Expr:
    """Converts the operator by TVM's converter, and booleans by way of integers."""
    convert = converter(node.proto.op_type)
    assert convert is not None
    data = node.input(0)
    boolean = str(data.ty.dtype) == "bool"
    if boolean:
        numbers = node.emit(relax.op.astype(data, "uint8"))
        node = replace(node, inputs=(numbers, *node.inputs[1:]))
    value = convert(node)
    assert isinstance(value, relax.Expr)
    return relax.op.astype(node.emit(value), "bool") if boolean else value


CONVERTERS: dict[Key, Converter] = {("", "ReduceMax"): extreme, ("", "ReduceMin"): extreme}
