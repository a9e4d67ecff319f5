"""Draws example inputs that suit a model: no zero divisors, indices within their tables, masks.

What an input is for is read from the operators that it reaches in the imported module, by way of
operators that only move or cast its values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst, IRModule

from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.compiler.relax import bindings_of, operator
from chameleon_ray.measure.example import Arrays


@dataclass(frozen=True)
class Use:
    """What the values of an input have to be.

    Attributes:
        below: Number of entries of the smallest table that they index; None where they index none.
        least: Least value that the operators that they reach are defined for.
        most: Largest such value.
        divides: Whether something is divided by them.
        counted: Whether all that is known of them are operators that take any number.
    """

    below: int | None = None
    least: float = -inf
    most: float = inf
    divides: bool = False
    counted: bool = True


DRAWS = 3
"""Number of draws where the values of inputs are drawn."""
MOVING = {
    f"relax.{name}"
    for name in (
        *("astype", "reshape", "expand_dims", "squeeze", "broadcast_to", "permute_dims", "tile"),
        *("flatten", "strided_slice", "dynamic_strided_slice", "split", "repeat", "flip"),
    )
}
"""Operators whose results are values of their operands."""
INDEXING = {"relax.take", "relax.gather_elements", "relax.gather_nd"}
"""Operators whose second operand indexes the first."""
DIVIDING = {f"relax.{name}" for name in ("divide", "floor_divide", "mod", "floor_mod")}
"""Operators whose second operand must not be 0."""
DOMAINS = {
    "relax.log": (1e-2, inf),
    "relax.sqrt": (0.0, inf),
    "relax.rsqrt": (1e-2, inf),
    "relax.power": (0.0, inf),
    "relax.acosh": (1.0, inf),
    "relax.asin": (-1.0, 1.0),
    "relax.acos": (-1.0, 1.0),
    "relax.atanh": (-0.99, 0.99),
}
"""Least and largest value that an operator's first operand may have."""
COUNTING = {
    f"relax.{name}"
    for name in (
        *("add", "subtract", "multiply", "maximum", "minimum", "negative", "abs", "clip", "sum"),
        *("mean", "max", "min", "less", "less_equal", "greater", "greater_equal", "equal"),
        *("not_equal", "bitwise_and", "bitwise_or", "bitwise_xor", "dequantize", "matmul"),
    )
}
"""Operators that take any number."""


def uses_of(module: IRModule) -> list[Use]:
    """Returns what each parameter of ``main`` is for, in order."""
    params = module["main"].params
    uses = {param: Use() for param in params}
    carried: dict[relax.Var, tuple[relax.Var, ...]] = {param: (param,) for param in params}
    for binding in bindings_of(module):
        value, moved = binding.value, []
        for place, operand in enumerate(_operands(value)):
            for param in carried.get(operand, ()):
                if _moves(value, place):
                    moved.append(param)
                else:
                    uses[param] = _joined(uses[param], value, place)
        carried[binding.var] = tuple(moved)
    return list(uses.values())


def draw(spec: InputSpec, use: Use, rng: np.random.Generator) -> np.ndarray:
    """Draws values for an input.

    Integers whose use is not known are zeros and ones, which are valid indices anywhere. What is
    called a mask has ones up to a random length, and zeros after it, so that no row is all zeros.

    Args:
        spec: The input's name, shape and type.
        use: What it is for.
        rng: Source of all that is drawn.
    """
    dtype, shape = np.dtype(spec.dtype), spec.shape
    if use.below is not None:
        return np.asarray(rng.integers(0, use.below, shape), dtype)
    if "mask" in spec.name.lower() and shape and dtype.kind != "f":
        lengths = rng.integers(-(-shape[-1] // 2), shape[-1] + 1, (*shape[:-1], 1))
        return np.asarray(np.arange(shape[-1]) < lengths, dtype)
    if use.divides:
        sizes = rng.uniform(0.5, 2, shape) if dtype.kind == "f" else rng.integers(1, 8, shape)
        signs = rng.choice([-1, 1], shape) if dtype.kind in "if" and use.least < 0 else 1
        return np.asarray(sizes * signs, dtype)
    if dtype.kind == "f" or dtype.name == "bfloat16":
        return np.asarray(_floats(use, shape, rng), dtype)
    if dtype.kind in "iu" and use.counted:
        least, most = max(np.iinfo(dtype).min, -100), min(np.iinfo(dtype).max, 100)
        return np.asarray(rng.integers(least, most, shape, endpoint=True), dtype)
    return np.asarray(rng.integers(0, 2, shape), dtype)


def _floats(use: Use, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws normal numbers, or even ones where only some are allowed."""
    if use.least == -inf and use.most == inf:
        return rng.standard_normal(shape)
    return rng.uniform(max(use.least, -2), min(use.most, max(use.least, 0) + 2), shape)


def _operands(value: Any) -> Iterator[relax.Var]:
    """Yields the variables that a call, a tuple or a part of one reads; None for anything else."""
    if isinstance(value, relax.Var):
        yield value
    elif isinstance(value, relax.TupleGetItem):
        yield value.tuple_value
    elif isinstance(value, relax.Tuple):
        yield from value.fields
    elif hasattr(value, "args"):
        for argument in value.args:
            yield from argument.fields if isinstance(argument, relax.Tuple) else (argument,)


def _moves(value: Any, place: int) -> bool:
    """Whether a value consists of its operand's values; an offset from the end counts as such."""
    name = operator(value)
    if not name:
        return not hasattr(value, "args")
    if name in ("relax.add", "relax.subtract"):
        dtype = str(value.ty.dtype)
        return "int" in dtype and isinstance(value.args[1 - place], GenericConst)
    if name == "relax.where":
        return place > 0
    return name == "relax.concat" or (name in MOVING and place == 0)


def _joined(use: Use, call: Any, place: int) -> Use:
    """Adds what an operator asks of its operand at ``place``."""
    name = operator(call)
    if name in INDEXING and place == 1:
        extent = _extent(call)
        return use if extent is None else replace(use, below=min(use.below or extent, extent))
    if name in DIVIDING and place == 1:
        return replace(use, divides=True)
    if name in DOMAINS and place == 0:
        least, most = DOMAINS[name]
        return replace(use, least=max(use.least, least), most=min(use.most, most))
    return replace(use, counted=use.counted and name in COUNTING | DIVIDING)


def _extent(call: Any) -> int | None:
    """Returns the number of entries of the axis that a call indexes; None where that is open."""
    table = call.args[0].ty
    shape = getattr(table, "shape", None)
    if not isinstance(shape, relax.ShapeExpr):
        return None
    if operator(call) == "relax.gather_nd":
        extents = list(shape)
    else:
        axis = getattr(call.attrs, "axis", None)
        extents = [shape[int(axis or 0)]]
    known = [int(extent) for extent in extents if hasattr(extent, "value")]
    return min(known) if len(known) == len(extents) and known else None


def drawn(
    specs: Sequence[InputSpec], uses: Sequence[Use], rng: np.random.Generator, count: int = DRAWS
) -> list[Arrays]:
    """Draws the inputs of a model several times, but for the values that the user gave.

    What is drawn of one input does not depend on what is given of others. Where all are given there
    is one draw.
    """
    free = any(spec.values is None for spec in specs)
    return [_draw_all(specs, uses, source) for source in rng.spawn(count if free else 1)]


def _draw_all(specs: Sequence[InputSpec], uses: Sequence[Use], rng: np.random.Generator) -> Arrays:
    return tuple(
        draw(spec, use, source) if spec.values is None else spec.values
        for spec, use, source in zip(specs, uses, rng.spawn(len(specs)), strict=True)
    )
