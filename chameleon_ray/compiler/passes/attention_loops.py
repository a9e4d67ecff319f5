"""The loops of attention on CPUs: as many rows of queries at once as a vector has numbers.

Scores, probabilities and outputs of these rows lie side by side in vectors. So the softmax of each
row is arithmetic on whole vectors, and keys and values are read as they are, one number after the
other. Only the queries of a part and its outputs are transposed. With L rows to a vector:

    query[d, r]    = factor * Q[b L + r, d]
    scores[j, r]   = sum of K[j, d] query[d, r] over d, and the mask
    weights[j, r]  = exp(scores[j, r] - greatest[r])
    outputs[e, r]  = sum of V[j, e] weights[j, r] over j
    O[b L + r, e]  = outputs[e, r] / total[r]

There are a few more scores than keys where the number of keys cannot be split; they are the last
key's once more, and count for the greatest only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax, te, tirx
from tvm.sym import Analyzer

from chameleon_ray.compiler.passes.pad_extents import rounded
from chameleon_ray.compiler.target import vector_bits

Read = Callable[..., Any]
"""Reads an element, given its place on each axis."""


@dataclass(frozen=True)
class Operand:
    """A tensor whose elements lie regularly in another one.

    Attributes:
        source: The other tensor.
        shape: Extents of its axes.
        first: Place of its first element in the source, counted in the order of its last axis.
        steps: By how much the place grows along each axis.
        factor: Number that the elements are to be multiplied by.
    """

    source: relax.Expr
    shape: tuple[int, ...]
    first: int
    steps: tuple[int, ...]
    factor: float

    @staticmethod
    def of(source: relax.Expr, places: np.ndarray, factor: float) -> "Operand | None":
        """Describes elements by their places in the source; None where these are irregular."""
        first = int(places.flat[0])
        corner = [0] * places.ndim
        steps = []
        for axis, extent in enumerate(places.shape):
            beside = (*corner[:axis], 1, *corner[axis + 1 :])
            steps.append(int(places[beside]) - first if extent > 1 else 0)
        regular = np.full((1,) * places.ndim, first)
        for axis, (step, extent) in enumerate(zip(steps, places.shape, strict=True)):
            along = np.arange(extent).reshape([-1 if n == axis else 1 for n in range(places.ndim)])
            regular = regular + step * along
        if not np.array_equal(regular, places):
            return None
        return Operand(source, places.shape, first, tuple(steps), factor)

    def transposed(self) -> "Operand":
        """Returns it with the last two axes exchanged."""
        *outer, row, column = self.shape
        *before, down, across = self.steps
        shape, steps = (*outer, column, row), (*before, across, down)
        return Operand(self.source, shape, self.first, steps, self.factor)

    def read(self, tensor: Any) -> Read:
        """Returns how to read an element from the source as a tensor; the factor is left out."""
        extents = [int(size) for size in tensor.shape]

        def element(*place: Any) -> Any:
            analyzer = Analyzer()
            for index, extent in zip(place, self.shape, strict=True):
                if isinstance(index, tirx.Var):
                    analyzer.bind(index, tvm.ir.Range(0, extent))
            flat = self.first + sum(i * step for i, step in zip(place, self.steps, strict=True))
            indices: list[Any] = []
            for extent in reversed(extents[1:]):
                indices.insert(0, analyzer.simplify(tirx.floormod(flat, extent)))
                flat = tirx.floordiv(flat, extent)
            return tensor[(analyzer.simplify(flat), *indices)]

        return element


def attended(
    reads: Sequence[Read], mask: Any | None, sizes: Sequence[int], factor: float, safe: bool
) -> Any:
    """Computes attention, ``(N, M, H, E)``; the target is in force.

    Args:
        reads: Of queries ``(N, H, M, D)``, keys ``(N, H, J, D)`` and values ``(N, H, J, E)``.
        mask: What is added to scores, ``(N, H, J, M)``, or 1 in place of any of these.
        sizes: N, H, M, D, J and E.
        factor: What scores are multiplied by.
        safe: Whether rows whose scores are all minus infinity give 0.
    """
    n, h, rows, depth, keys, width = sizes
    lanes = vector_bits(tvm.target.Target.current()) // 32
    blocks = -(-rows // lanes)
    at_query, at_key, at_value = reads

    def row(b: Any, r: Any) -> Any:
        place = b * lanes + r
        return place if rows % lanes == 0 else tirx.min(place, rows - 1)

    query = te.compute(
        (n, h, blocks, depth, lanes),
        lambda n, h, b, d, r: at_query(n, h, row(b, r), d) * tirx.const(factor, "float32"),
        name="attention_query",
    )
    scores = _scores(at_key, query, (keys, rounded(keys)))
    if mask is not None:
        scores = _masked(scores, mask, keys, row)
    weights = _weights(scores, keys)
    total = _over_keys(te.sum, weights, keys, "attention_total")
    outputs = _outputs(at_value, weights, width)

    def divided(n: Any, i: Any, h: Any, e: Any) -> Any:
        b, r = i // lanes, i % lanes
        sum_ = total[n, h, b, r]
        sum_ = tirx.Select(sum_ > 0.0, sum_, tirx.const(1.0, "float32")) if safe else sum_
        return outputs[n, h, b, e, r] / sum_

    return te.compute((n, rows, h, width), divided, name="attention")


def _scores(at_key: Read, query: Any, keys: tuple[int, int]) -> Any:
    """Multiplies queries by keys, of which there are fewer than scores to be made."""
    n, h, blocks, depth, lanes = query.shape
    given, wanted = keys
    d = te.reduce_axis((0, depth), "d")

    def product(n: Any, h: Any, b: Any, j: Any, r: Any) -> Any:
        key = j if given == wanted else tirx.min(j, given - 1)
        return te.sum(at_key(n, h, key, d) * query[n, h, b, d, r], axis=d)

    return te.compute((n, h, blocks, wanted, lanes), product, name="attention_scores")


def _masked(scores: Any, mask: Any, keys: int, row: Callable[[Any, Any], Any]) -> Any:
    """Adds a mask to scores."""

    def added(n: Any, h: Any, b: Any, j: Any, r: Any) -> Any:
        key = j if int(scores.shape[3]) == keys else tirx.min(j, keys - 1)
        place = [n, h, key, row(b, r)]
        found = [0 if int(size) == 1 else i for i, size in zip(place, mask.shape, strict=True)]
        return scores[n, h, b, j, r] + mask[tuple(found)]

    return te.compute(scores.shape, added, name="attention_masked")


def _weights(scores: Any, keys: int) -> Any:
    """Raises e to scores, less the greatest of each row."""
    n, h, blocks, wanted, lanes = scores.shape
    greatest = _over_keys(te.max, scores, int(wanted), "attention_greatest")
    return te.compute(
        (n, h, blocks, keys, lanes),
        lambda n, h, b, j, r: te.exp(scores[n, h, b, j, r] - greatest[n, h, b, r]),
        name="attention_weights",
    )


def _outputs(at_value: Read, weights: Any, width: int) -> Any:
    """Sums up the values by their weights."""
    n, h, blocks, keys, lanes = weights.shape
    j = te.reduce_axis((0, keys), "j")
    return te.compute(
        (n, h, blocks, width, lanes),
        lambda n, h, b, e, r: te.sum(at_value(n, h, j, e) * weights[n, h, b, j, r], axis=j),
        name="attention_outputs",
    )


def _over_keys(reduce: Callable[..., Any], of: Any, keys: int, name: str) -> Any:
    """Reduces over the keys."""
    n, h, blocks, _, lanes = of.shape
    j = te.reduce_axis((0, keys), "j")
    return te.compute(
        (n, h, blocks, lanes), lambda n, h, b, r: reduce(of[n, h, b, j, r], axis=j), name=name
    )
