"""Turns attention into one layer: scores, softmax and the mean of the values by them.

Importers give it as two matrix products with a softmax between them. What only moves the operands
there, and the scale of the scores, becomes part of the layer.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax, te
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.passes.attention_loops import Operand, attended
from chameleon_ray.compiler.passes.moves import Moved, Moves, without_idle_moves
from chameleon_ray.compiler.relax import Emit, clean, constant, is_static, operator
from chameleon_ray.compiler.relax import rewrite_at_length as rewritten
from chameleon_ray.compiler.target import vector_bits

DTYPE = "float32"
"""Type of all operands."""
OPAQUE = 8
"""TVM's number of the pattern of loops that nothing is fused to."""
FULL = 0.7
"""Least share of the rows, rounded up to whole vectors, that there have to be."""


@dataclass(frozen=True)
class Attention:
    """Attention of N times H heads, with M rows of queries and J of keys and values.

    Attributes:
        query: ``(N, H, M, D)``.
        key: ``(N, H, J, D)``.
        value: ``(N, H, J, E)``.
        factor: What scores are multiplied by.
        mask: What is added to the scores, of four axes at most; None where there is nothing.
        safe: Whether rows whose scores are all minus infinity give 0.
    """

    query: Operand
    key: Operand
    value: Operand
    factor: float
    mask: relax.Expr | None
    safe: bool


def with_attention(mod: IRModule) -> IRModule:
    """Makes a layer of each attention in float32, and drops moves that this makes idle.

    Args:
        mod: In dataflow form, its constants folded; the target is in force.
    """
    moves = Moves(mod)
    builder = relax.BlockBuilder(mod)

    def replaced(binding: relax.Binding, emit: Emit) -> relax.Expr:
        found = _attention(binding.value, moves)
        if found is None:
            return binding.value
        made = emit(_called(builder, found, emit))
        heads = emit(relax.op.permute_dims(made, [0, 2, 1, 3]))
        return relax.op.reshape(heads, binding.var.ty.shape)

    changed = rewritten(mod, replaced)
    functions = builder.get().functions
    if len(functions) == len(changed.functions):
        return mod
    for variable, function in functions.items():
        if variable not in changed.functions:
            changed[variable] = function
    return without_idle_moves(clean(changed))


def _attention(call: Any, moves: Moves) -> Attention | None:
    """Describes the attention that a matrix product is the end of; None where it is of none."""
    if operator(call) != "relax.matmul" or not _is_plain(call):
        return None
    weights = moves.of(call.args[0])
    probable, safe = _probabilities(weights.source, moves)
    if probable is None or weights.factor != 1.0 or not _is_whole(weights):
        return None
    softmax = moves.value(probable)
    shape = _shape(probable)
    if len(shape) not in (3, 4) or int(softmax.attrs.axis) not in (-1, len(shape) - 1):
        return None
    scores = _scores(softmax.args[0], moves)
    if scores is None or not _fills_vectors(shape[-2]):
        return None
    product, factor, mask = scores
    batch, (rows, columns) = (1, *shape[:-2])[-2:], shape[-2:]
    depth, width = _shape(product.args[0])[-1], _shape(call.args[1])[-1]
    query = _operand(product.args[0], (*batch, rows, depth), moves)
    key = _operand(product.args[1], (*batch, depth, columns), moves).transposed()
    value = _operand(call.args[1], (*batch, columns, width), moves, scaled=False)
    return Attention(query, key, value, factor * query.factor * key.factor, mask, safe)


def _probabilities(value: relax.Expr, moves: Moves) -> tuple[relax.Expr | None, bool]:
    """Finds a softmax, and tells whether rows of minus infinity become zeros after it.

    torch decomposes its attention into ``where(all(scores == -inf), 0, softmax(scores))``.
    """
    call = moves.value(value)
    if operator(call) == "relax.nn.softmax" and is_static(value.ty):
        return value, False
    if operator(call) != "relax.where" or not _is_zero(call.args[1]):
        return None, False
    found = moves.of(call.args[2]).source
    softmax = moves.value(found)
    if operator(softmax) != "relax.nn.softmax" or not is_static(found.ty):
        return None, False
    asked = call.args[0]
    for name in ("relax.not_equal", "relax.min", "relax.astype", "relax.equal"):
        inner = moves.value(asked)
        if operator(inner) != name:
            return None, False
        asked = inner.args[0]
    infinite = isinstance(inner.args[1], GenericConst) and inner.args[1].value.numpy() == -np.inf
    same = asked.same_as(softmax.args[0])
    return (found, True) if same and np.all(infinite) else (None, False)


def _scores(value: relax.Expr, moves: Moves) -> tuple[Call, float, relax.Expr | None] | None:
    """Finds the product that gives scores, with the factor and the mask that follow it."""
    mask = None
    call = moves.value(value)
    if operator(call) == "relax.add":
        sides = [side for side in (0, 1) if _product(call.args[side], moves) is not None]
        if not sides:
            return None
        value, mask = call.args[sides[0]], call.args[1 - sides[0]]
        if not is_static(mask.ty) or str(mask.ty.dtype) != DTYPE:
            return None
        if mask.ty.ndim > value.ty.ndim or tuple(_shape(value)) != tuple(call.ty.shape):
            return None
        mask = None if _is_zero(mask) else mask
    product = _product(value, moves)
    return None if product is None else (product, moves.of(value).factor, mask)


def _product(value: relax.Expr, moves: Moves) -> Call | None:
    """Returns the matrix product that a value is, scaled and reshaped at most."""
    moved = moves.of(value)
    call = moves.value(moved.source)
    is_product = operator(call) == "relax.matmul" and _is_plain(call) and _is_whole(moved)
    return call if is_product else None


def _is_plain(call: Call) -> bool:
    """Whether a product has as many float32 matrices of known sizes on both sides."""
    types = [call.ty, *(arg.ty for arg in call.args)]
    if not is_static(*types) or {str(ty.dtype) for ty in types} != {DTYPE}:
        return False
    shapes = [_shape(arg) for arg in call.args]
    return len(shapes[0]) == len(shapes[1]) > 2 and shapes[0][:-2] == shapes[1][:-2]


def _is_whole(moved: Moved) -> bool:
    """Whether a value is its source, reshaped at most."""
    whole = moved.places.size == np.prod(_shape(moved.source))
    return bool(whole and np.array_equal(moved.places.ravel(), np.arange(moved.places.size)))


def _fills_vectors(rows: int) -> bool:
    lanes = vector_bits(tvm.target.Target.current()) // 32
    return rows >= FULL * lanes * -(-rows // lanes)


def _operand(
    value: relax.Expr, shape: tuple[int, ...], moves: Moves, scaled: bool = True
) -> Operand:
    """Describes an operand of four axes by what it is moved from, where that is regular."""
    moved = moves.of(value)
    if scaled or moved.factor == 1.0:
        found = Operand.of(moved.source, moved.places.reshape(shape), moved.factor)
        if found is not None:
            return found
    whole = Operand.of(value, np.arange(moved.places.size).reshape(shape), 1.0)
    assert whole is not None  # as every array of four axes is regular
    return whole


def _called(builder: relax.BlockBuilder, found: Attention, emit: Emit) -> Call:
    """Calls the loops of attention; operands of one source share a buffer."""
    operands = (found.query, found.key, found.value)
    sources: list[relax.Expr] = []
    for operand in operands:
        if not any(one.same_as(operand.source) for one in sources):
            sources.append(operand.source)
    masks = [] if found.mask is None else [_transposed(found.mask, emit)]
    arguments = [*sources, *masks]
    tensors = [te.placeholder(_shape(one), DTYPE, f"input{n}") for n, one in enumerate(arguments)]
    reads = [
        operand.read(
            next(t for t, one in zip(tensors, sources, strict=False) if one.same_as(operand.source))
        )
        for operand in operands
    ]
    sizes = (*found.query.shape, *found.value.shape[2:])
    mask = tensors[-1] if masks else None
    out = attended(reads, mask, sizes, found.factor, found.safe)
    function = te.create_prim_func([*tensors, out], "int64").without_attr("global_symbol")
    function = function.with_attr("op_pattern", OPAQUE).with_attr("tirx.noalias", True)
    ty = relax.TensorType(_sizes(out), DTYPE)
    return relax.call_tir(builder.add_func(function, "attention"), tuple(arguments), ty)


def _transposed(mask: relax.Expr, emit: Emit) -> relax.Expr:
    """Gives a mask four axes, and the rows of queries at last."""
    shape = (1, 1, 1, 1, *_shape(mask))[-4:]
    if isinstance(mask, GenericConst):
        return constant(mask.value.numpy().reshape(shape).transpose(0, 1, 3, 2), DTYPE)
    four = mask if mask.ty.ndim == 4 else emit(relax.op.reshape(mask, shape))
    return emit(relax.op.permute_dims(four, [0, 1, 3, 2]))


def _is_zero(value: relax.Expr) -> bool:
    return isinstance(value, GenericConst) and not value.value.numpy().any()


def _shape(value: relax.Expr) -> tuple[int, ...]:
    return tuple(int(size) for size in value.ty.shape)


def _sizes(tensor: Any) -> list[int]:
    return [int(size) for size in tensor.shape]
