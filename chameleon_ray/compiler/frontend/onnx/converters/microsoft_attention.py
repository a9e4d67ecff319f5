"""Attention and rotary embeddings of ONNX Runtime's own domain, without caches."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx.converters.stacking import OPAQUE
from chameleon_ray.compiler.frontend.onnx.extents import columns, extents, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant

DOMAIN = "com.microsoft"


def rotary_embedding(node: Node) -> relax.Expr:
    """Converts RotaryEmbedding of ``(B, S, H D)`` or ``(B, H, S, D)``.

    Sines and cosines, ``(P, R / 2)``, are taken at the positions: ``(B, S)``, or the first only.
    """
    data, positions = node.input(0), node.input(1)
    cosines, sines = node.input(2), node.input(3)
    half = extents(cosines)[1]
    shape, heads = extents(data), int(node.attributes.get("num_heads", 0))
    width = int(node.attributes.get("rotary_embedding_dim", 0))
    if rank(data) == 3:
        size = shape[-1] // heads if heads and width else 2 * half
        split = node.emit(relax.op.reshape(data, (*shape[:2], -1, size)))
        turned = _turned(node, split, positions, cosines, sines, 1)
        return relax.op.reshape(node.emit(turned), shape)
    return _turned(node, data, positions, cosines, sines, 2)


def _turned(
    node: Node,
    data: relax.Expr,
    positions: relax.Expr,
    cosines: relax.Expr,
    sines: relax.Expr,
    step_axis: int,
) -> relax.Expr:
    """Turns pairs of the first elements of the last axis of a tensor of four axes."""
    interleaved = bool(node.attributes.get("interleaved", 0))
    half, scalar = extents(cosines)[1], rank(positions) == 1
    scale = float(node.attributes.get("scale", 1.0))

    def turned(data: Any, positions: Any, cosines: Any, sines: Any) -> Any:
        def value(*place: Any) -> Any:
            *outer, d = place
            step = place[step_axis]
            position = positions(0) + step if scalar else positions(place[0], step)
            pair = d // 2 if interleaved else tirx.floormod(d, half)
            first = d % 2 == 0 if interleaved else d < half
            other = d + tirx.Select(first, 1, -1) * (1 if interleaved else half)
            inside = tirx.max(tirx.min(other, data.shape[3] - 1), 0)
            angle = (position, tirx.min(pair, half - 1))
            sine = tirx.Select(first, -sines(*angle), sines(*angle))
            result = data(*place) * cosines(*angle) + data(*outer, inside) * sine
            result = result if scale == 1 else result * tirx.const(scale, data.dtype)
            return tirx.Select(d < 2 * half, result, data(*place))

        return te.compute(data.shape, value, "turned")

    return node.builder.call_te(turned, data, positions, cosines, sines)


def attention(node: Node) -> relax.Expr:
    """Converts Attention, whose queries, keys and values are one product of its input."""
    _refuse(node, {4: "past states", 6: "shared caches"})
    if node.attributes.get("do_rotary", 0):
        raise Untranslatable("it rotates its inputs; export the model without fusions")
    product = node.emit(relax.op.matmul(node.input(0), node.input(1)))
    bias = node.optional(2)
    product = product if bias is None else node.emit(relax.op.add(product, bias))
    width = extents(product)[-1]
    sizes = node.attributes.get("qkv_hidden_sizes") or [width // 3] * 3
    ends = [0, sizes[0], sizes[0] + sizes[1], sum(sizes)]
    parts = [node.emit(columns(product, *ends[k : k + 2])) for k in range(3)]
    return _attended(node, parts, node.optional(3), node.optional(5))


def multi_head_attention(node: Node) -> relax.Expr:
    """Converts MultiHeadAttention of separate queries, keys and values, of three axes each."""
    _refuse(node, {6: "past keys", 7: "past values"})
    values = [node.optional(place) for place in range(3)]
    parts = [value for value in values if value is not None and rank(value) == 3]
    if len(parts) < 3:
        raise Untranslatable("its keys and values are packed; export the model without fusions")
    bias = node.optional(3)
    if bias is not None:
        start, biased = 0, []
        for part in parts:
            end = start + extents(part)[-1]
            own = columns(bias, start, end)
            biased.append(node.emit(relax.op.add(part, own)))
            start = end
        parts = biased
    return _attended(node, parts, node.optional(4), node.optional(5))


def _refuse(node: Node, unsupported: dict[int, str]) -> None:
    for place, name in unsupported.items():
        if node.optional(place) is not None:
            raise Untranslatable(f"it has {name}; export the model without a cache")


def _attended(
    node: Node,
    parts: Sequence[relax.Expr],
    mask: relax.Expr | None,
    bias: relax.Expr | None,
) -> relax.Expr:
    """Attends with all heads; queries ``(B, S, H D)``, keys and values ``(B, L, H D)``."""
    heads, shape = int(node.attributes["num_heads"]), extents(parts[0])
    q, k, v = (_heads(node, one, heads) for one in parts)
    dtype = str(q.ty.dtype)
    scale = float(node.attributes.get("scale", 0)) or 1 / math.sqrt(extents(q)[-1])
    scores = relax.op.matmul(q, relax.op.permute_dims(k, [0, 1, 3, 2]))
    scores = node.emit(relax.op.multiply(scores, constant(np.array(scale), dtype)))
    least = float(node.attributes.get("mask_filter_value", -10000.0))
    if mask is not None:
        scores = node.emit(relax.op.add(scores, _penalties(node, mask, scores, least)))
    scores = scores if bias is None else node.emit(relax.op.add(scores, bias))
    if node.attributes.get("unidirectional", 0):
        rows, width = extents(scores)[-2:]
        later = np.triu(np.full((rows, width), least), 1 + width - rows)
        scores = node.emit(relax.op.add(scores, constant(later, dtype)))
    result = relax.op.matmul(relax.op.nn.softmax(scores, -1), v)
    result = node.emit(relax.op.permute_dims(result, [0, 2, 1, 3]))
    return relax.op.reshape(result, (*shape[:2], -1))


def _heads(node: Node, value: relax.Expr, heads: int) -> relax.Var:
    batch, steps, _ = extents(value)
    split = relax.op.reshape(value, (batch, steps, heads, -1))
    return node.emit(relax.op.permute_dims(split, [0, 2, 1, 3]))


def _penalties(node: Node, mask: relax.Expr, scores: relax.Expr, least: float) -> relax.Expr:
    """Returns what is added to scores: a large negative number where the mask is zero.

    It is a loop nest of its own. MetaSchedule has no sketches of a product that is fused with it.
    """
    dtype, (batch, *_, count) = str(scores.ty.dtype), extents(scores)
    form = extents(mask)
    lengths = form == (batch,)
    if not lengths and len(form) not in (2, 3):
        raise Untranslatable("its mask has a form that is not supported; export without fusions")

    def penalties(mask: Any) -> Any:
        def value(b: Any, head: Any, row: Any, column: Any) -> Any:
            if lengths:  # how long each sequence is
                kept = column < mask(b)
            else:
                kept = mask(b, column) > 0 if len(form) == 2 else mask(b, row, column) > 0
            return tirx.Select(kept, tirx.const(0, dtype), tirx.const(least, dtype))

        rows = form[1] if len(form) == 3 else 1
        return te.compute((batch, 1, rows, count), value, "penalties")

    attributes = {"op_pattern": OPAQUE}
    return node.builder.call_te(penalties, mask, primfunc_attrs=attributes)


CONVERTERS: dict[Key, Converter] = {
    (DOMAIN, "RotaryEmbedding"): rotary_embedding,
    (DOMAIN, "Attention"): attention,
    (DOMAIN, "MultiHeadAttention"): multi_head_attention,
}
