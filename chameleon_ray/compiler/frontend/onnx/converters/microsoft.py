"""Operators of ONNX Runtime's own domain that its optimisers and exporters write."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from onnx import helper
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.converters.convolution import conv
from chameleon_ray.compiler.frontend.onnx.extents import rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant

DOMAIN = "com.microsoft"


def fused_conv(node: Node) -> relax.Expr:
    """Converts FusedConv: a convolution, the sum with a fourth input, and an activation."""
    attributes = {
        name: value for name, value in node.attributes.items() if not name.startswith("activation")
    }
    names = list(node.proto.input)[:3]
    proto = helper.make_node("Conv", names, list(node.proto.output), **attributes)
    plain = replace(node, proto=proto, version=11, inputs=node.inputs[:3], attributes=attributes)
    result = conv(plain)
    if not isinstance(result, relax.Expr):
        raise Untranslatable("its convolution is no tensor; export the model without it")
    other = node.optional(3)
    result = node.emit(result if other is None else relax.op.add(node.emit(result), other))
    return _activated(node, result)


def _activated(node: Node, x: relax.Expr) -> relax.Expr:
    name = node.attributes.get("activation", "")
    dtype = str(x.ty.dtype)
    given = node.attributes.get("activation_params", [])
    params = [relax.const(float(number), dtype) for number in given]
    if name == "LeakyRelu":
        return relax.op.nn.leakyrelu(x, float(given[0]))
    if name == "Clip":
        return relax.op.minimum(relax.op.maximum(x, params[0]), params[1])
    if name == "HardSigmoid":
        line = relax.op.add(relax.op.multiply(x, params[0]), params[1])
        bounds = [relax.const(bound, dtype) for bound in (0.0, 1.0)]
        return relax.op.minimum(relax.op.maximum(line, bounds[0]), bounds[1])
    plain: dict[str, Callable[[relax.Expr], relax.Expr]] = {
        "": lambda x: x,
        "Relu": relax.op.nn.relu,
        "Sigmoid": relax.op.sigmoid,
        "Tanh": relax.op.tanh,
    }
    if name not in plain:
        raise Untranslatable(f"its activation {name!r} is not supported; export without fusions")
    return plain[name](x)


def fused_matmul(node: Node) -> relax.Expr:
    """Converts FusedMatMul, a scaled product of matrices that may be transposed."""
    operands = []
    for place, side in enumerate("AB"):
        if node.attributes.get(f"transBatch{side}", 0):
            raise Untranslatable("it transposes batches; export the model without fusions")
        value = node.input(place)
        if node.attributes.get(f"trans{side}", 0) and rank(value) > 1:
            order = list(range(rank(value)))
            order[-2:] = order[:-3:-1]
            value = node.emit(relax.op.permute_dims(value, order))
        operands.append(value)
    product = node.emit(relax.op.matmul(*operands))
    scale = float(node.attributes.get("alpha", 1.0))
    if scale == 1:
        return product
    return relax.op.multiply(product, constant(np.array(scale), str(product.ty.dtype)))


def _gelu(function: Callable[[relax.Expr], relax.Expr]) -> Converter:
    """Converts activations whose second input, if there is one, is added first."""

    def convert(node: Node) -> relax.Expr:
        x, bias = node.input(0), node.optional(1)
        return function(x if bias is None else node.emit(relax.op.add(x, bias)))

    return convert


def quick_gelu(node: Node) -> relax.Expr:
    """Converts QuickGelu, ``x sigmoid(alpha x)``."""
    x = node.input(0)
    alpha = relax.const(float(node.attributes.get("alpha", 1.702)), str(x.ty.dtype))
    return relax.op.multiply(x, relax.op.sigmoid(relax.op.multiply(x, alpha)))


def skip_layer_norm(node: Node) -> Sequence[relax.Expr]:
    """Converts SkipLayerNormalization, whose last output is the sum before the norm."""
    total = _skipped(node, 4)
    deviation, mean, inverse = _standardised(node, total, True)
    result = relax.op.multiply(deviation, node.input(2))
    bias = node.optional(3)
    result = result if bias is None else relax.op.add(result, bias)
    return [_like(result, node), mean, inverse, total]


def skip_simplified_layer_norm(node: Node) -> Sequence[relax.Expr]:
    """Converts SkipSimplifiedLayerNormalization, a norm by the root mean square."""
    total = _skipped(node, 3)
    scaled, mean, inverse = _standardised(node, total, False)
    return [_like(relax.op.multiply(scaled, node.input(2)), node), mean, inverse, total]


def simplified_layer_norm(node: Node) -> Sequence[relax.Expr]:
    """Converts SimplifiedLayerNormalization, a norm by the root mean square."""
    x = node.input(0)
    scaled, _, inverse = _standardised(node, x, False)
    return [_like(relax.op.multiply(scaled, node.input(1)), node), inverse]


def _skipped(node: Node, bias: int) -> relax.Var:
    """Adds the first two inputs, and a bias if there is one."""
    total = relax.op.add(node.input(0), node.input(1))
    more = node.optional(bias)
    return node.emit(total if more is None else relax.op.add(total, more))


def _standardised(node: Node, x: relax.Expr, centred: bool) -> tuple[relax.Var, ...]:
    """Returns ``x`` with unit variance over the last axes, its mean, and what it was scaled by."""
    axis, count = int(node.attributes.get("axis", -1)), rank(x)
    axes = list(range(axis % count, count))
    epsilon = relax.const(float(node.attributes.get("epsilon", 1e-5)), str(x.ty.dtype))
    mean = node.emit(relax.op.mean(x, axes, keepdims=True))
    x = node.emit(relax.op.subtract(x, mean)) if centred else x
    square = node.emit(relax.op.mean(relax.op.multiply(x, x), axes, keepdims=True))
    inverse = node.emit(relax.op.rsqrt(relax.op.add(square, epsilon)))
    return node.emit(relax.op.multiply(x, inverse)), mean, inverse


def _like(value: relax.Expr, node: Node) -> relax.Var:
    """Returns a value in the type of the first input."""
    value, dtype = node.emit(value), str(node.input(0).ty.dtype)
    return value if str(value.ty.dtype) == dtype else node.emit(relax.op.astype(value, dtype))


CONVERTERS: dict[Key, Converter] = {
    (DOMAIN, "FusedConv"): fused_conv,
    (DOMAIN, "FusedMatMul"): fused_matmul,
    (DOMAIN, "Gelu"): _gelu(relax.op.nn.gelu),
    (DOMAIN, "BiasGelu"): _gelu(relax.op.nn.gelu),
    (DOMAIN, "FastGelu"): _gelu(relax.op.nn.gelu_tanh),
    (DOMAIN, "QuickGelu"): quick_gelu,
    (DOMAIN, "SkipLayerNormalization"): skip_layer_norm,
    (DOMAIN, "SkipSimplifiedLayerNormalization"): skip_simplified_layer_norm,
    (DOMAIN, "SimplifiedLayerNormalization"): simplified_layer_norm,
    ("", "SimplifiedLayerNormalization"): simplified_layer_norm,
}
