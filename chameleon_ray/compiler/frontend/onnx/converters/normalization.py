"""Normalisations with all their outputs, over any axes, of batches in training, too."""

from collections.abc import Sequence

import numpy as np
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant, is_static

STASH = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
"""Types in which statistics are computed, by ONNX's number."""


def layer_normalization(node: Node) -> Sequence[relax.Expr]:
    """Converts LayerNormalization to its output, the mean, and the inverse standard deviation."""
    data, dtype = node.input(0), str(node.input(0).ty.dtype)
    axes, stash = _axes(node), _stash(node)
    wide = _cast(node, data, stash)
    mean = node.emit(relax.op.mean(wide, axes, keepdims=True))
    centred = node.emit(relax.op.subtract(wide, mean))
    square = node.emit(relax.op.multiply(centred, centred))
    inverse = _inverse(node, node.emit(relax.op.mean(square, axes, keepdims=True)), stash)
    if len(node.proto.output) == 1 and _is_plain(node, axes, dtype):
        return [_operator(node, axes)]
    normal = _cast(node, node.emit(relax.op.multiply(centred, inverse)), dtype)
    scaled = node.emit(relax.op.multiply(normal, node.input(1)))
    bias = node.optional(2)
    told = [
        _cast(node, value, STASH[node.attributes.get("stash_type", 1)]) for value in (mean, inverse)
    ]
    return [scaled if bias is None else relax.op.add(scaled, bias), *told]


def _is_plain(node: Node, axes: list[int], dtype: str) -> bool:
    """Whether Relax's own operator does the same, which takes no doubles and no scale to repeat."""
    data, scale = node.input(0), node.input(1)
    if not is_static(data.ty, scale.ty):
        return False
    shape = extents(data)
    return (
        extents(scale) == tuple(shape[axis] for axis in axes) and dtype == _stash(node) != "float64"
    )


def _operator(node: Node, axes: list[int]) -> relax.Expr:
    data, scale = node.input(0), node.input(1)
    bias = node.optional(2)
    bias = relax.op.zeros_like(scale) if bias is None else bias
    return relax.op.nn.layer_norm(data, scale, bias, axes, node.attributes.get("epsilon", 1e-5))


def rms_normalization(node: Node) -> relax.Expr:
    """Converts RMSNormalization."""
    data, dtype = node.input(0), str(node.input(0).ty.dtype)
    axes, stash = _axes(node), _stash(node)
    wide = _cast(node, data, stash)
    square = node.emit(relax.op.multiply(wide, wide))
    inverse = _inverse(node, node.emit(relax.op.mean(square, axes, keepdims=True)), stash)
    normal = _cast(node, node.emit(relax.op.multiply(wide, inverse)), dtype)
    return relax.op.multiply(normal, node.input(1))


def _axes(node: Node) -> list[int]:
    """Returns the normalised axes, which are the last ones."""
    rank = node.input(0).ty.ndim
    return list(range(node.attributes.get("axis", -1) % rank, rank))


def _stash(node: Node) -> str:
    number = node.attributes.get("stash_type", 1)
    if number not in STASH:
        raise Untranslatable(f"its stash_type is {number}; export it with 1, which is float32")
    return "float64" if str(node.input(0).ty.dtype) == "float64" else STASH[number]


def _inverse(node: Node, variance: relax.Expr, dtype: str) -> relax.Expr:
    """Returns one over the square root of a variance and epsilon."""
    epsilon = constant(np.asarray(node.attributes.get("epsilon", 1e-5)), dtype)
    return node.emit(relax.op.rsqrt(node.emit(relax.op.add(variance, epsilon))))


def _cast(node: Node, value: relax.Expr, dtype: str) -> relax.Expr:
    same = str(value.ty.dtype) == dtype
    return value if same else node.emit(relax.op.astype(value, dtype))


def batch_normalization(node: Node) -> Sequence[relax.Expr]:
    """Converts BatchNormalization; in training it normalises by the batch's own statistics.

    Before version 14 it is in training where it has more outputs than one.
    """
    training = node.attributes.get("training_mode", 0)
    if node.version < 14 and len(node.proto.output) > 1:
        raise Untranslatable("it is in training mode; export the model in inference mode")
    data, scale, bias, mean, variance = (node.input(place) for place in range(5))
    epsilon = node.attributes.get("epsilon", 1e-5)
    if not training:
        return [_folded(node, epsilon)]
    rank = data.ty.ndim
    axes = [0, *range(2, rank)]
    current = node.emit(relax.op.mean(data, axes))
    spread = node.emit(relax.op.variance(data, axes))
    keep = float(node.attributes.get("momentum", 0.9))

    def running(before: relax.Expr, now: relax.Expr) -> relax.Expr:
        dtype = str(before.ty.dtype)
        kept = node.emit(relax.op.multiply(before, constant(np.asarray(keep), dtype)))
        new = node.emit(relax.op.multiply(now, constant(np.asarray(1 - keep), dtype)))
        return node.emit(relax.op.add(kept, new))

    shape = [-1 if place == 1 else 1 for place in range(rank)]
    centred = node.emit(relax.op.subtract(data, _shaped(node, current, shape)))
    factor = node.emit(relax.op.multiply(_inverse(node, spread, str(spread.ty.dtype)), scale))
    scaled = node.emit(relax.op.multiply(centred, _shaped(node, factor, shape)))
    output = relax.op.add(scaled, _shaped(node, bias, shape))
    return [output, running(mean, current), running(variance, spread)]


def _folded(node: Node, epsilon: float) -> relax.Expr:
    data, scale, bias, mean, variance = (node.input(place) for place in range(5))
    normal = relax.op.nn.batch_norm(
        data, scale, bias, mean, variance, axis=1, epsilon=epsilon, training=False
    )
    return relax.TupleGetItem(node.emit(normal), 0)


def _shaped(node: Node, value: relax.Expr, shape: list[int]) -> relax.Expr:
    return node.emit(relax.op.reshape(value, shape))


CONVERTERS: dict[Key, Converter] = {
    ("", "LayerNormalization"): layer_normalization,
    ("", "RMSNormalization"): rms_normalization,
    ("", "BatchNormalization"): batch_normalization,
}
