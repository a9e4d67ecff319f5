"""TVM's own converters of ONNX operators, called one at a time."""

import onnx
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from chameleon_ray.compiler.frontend.onnx.node import Converter, Node, Untranslatable

TAKE_SHAPES = {
    *("Reshape", "Resize", "ConstantOfShape", "Gather", "Slice", "Shape", "Expand", "Concat"),
    *("Equal", "Where", "Cast", "CastLike", "Squeeze"),
}
"""Operators whose converters take a shape as Relax has it; others take a tensor of its extents."""
OTHER_DOMAINS = {"Attention"}
"""Operators of other domains that have the name of one of ONNX's own."""
CONVERTER_CLASSES = onnx_frontend._get_convert_map()
"""TVM's converters, by operator."""


def converter(kind: str) -> Converter | None:
    """Returns TVM's converter of an operator of ONNX's own domain; None where it has none."""
    return convert if kind in CONVERTER_CLASSES and kind not in OTHER_DOMAINS else None


def convert(node: Node) -> relax.Expr:
    """Converts a node by TVM's converter of its operator.

    Raises:
        Untranslatable: TVM makes no tensor of it.
    """
    kind = node.proto.op_type
    inputs = onnx_frontend.onnx_input(
        value if kind in TAKE_SHAPES else _tensor(value, node) for value in node.inputs
    )
    function = CONVERTER_CLASSES[kind].get_converter(node.version)
    value = function(node.builder, inputs, _attributes(node.proto), [{}, {}])
    if not isinstance(value, relax.Expr):
        raise Untranslatable("TVM makes no tensor of it; export the model without it")
    return value


def _tensor(value: relax.Expr | None, node: Node) -> relax.Expr | None:
    """Returns a tensor of a shape's extents, and any other value as it is."""
    if value is None or not isinstance(getattr(value, "ty", None), relax.ShapeType):
        return value
    return node.emit(relax.op.shape_to_tensor(value))


def _attributes(proto: onnx.NodeProto) -> dict[str, object]:
    """Returns a node's attributes as TVM's converters want them."""
    importer = onnx_frontend.ONNXGraphImporter({}, {})
    attributes: dict[str, object] = importer._parse_attr(proto.attribute)
    attributes["tvm_custom"] = {"name": proto.name, "num_outputs": len(proto.output)}
    return attributes
