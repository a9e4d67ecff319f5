"""Constant, in all its forms."""

from tvm import relax

from chameleon_ray.compiler.frontend.onnx.constants import constant_of
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant


def convert_constant(node: Node) -> relax.Expr:
    """Converts Constant."""
    value = constant_of(node.proto)
    if value is None:
        raise Untranslatable("its value is text, of which nothing can be computed")
    return constant(value, str(value.dtype))


CONVERTERS: dict[Key, Converter] = {("", "Constant"): convert_constant}
