"""NonZero, Compress and Unique, the number of whose results is only known at run time."""

from collections.abc import Callable
from typing import Any

from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import (
    first,
    flat,
    places_of,
)
from chameleon_ray.compiler.frontend.onnx.converters.sequential import run
from chameleon_ray.compiler.frontend.onnx.converters.sorting import sortable
from chameleon_ray.compiler.frontend.onnx.extents import axis_of, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node


def non_zero(node: Node) -> relax.Expr:
    """Converts NonZero to the indices, a row per axis, of all elements that are not zero."""
    data = node.input(0)
    if rank(data) == 0:
        data = node.emit(relax.op.reshape(data, (1,)))
    shape = list(data.ty.shape)
    places = places_of(node, sortable(node, flat(node, data)))

    def indices(places: Any) -> Any:
        def index(axis: Any, place: Any) -> Any:
            stride, value = tirx.const(1, "int64"), None
            for number in reversed(range(len(shape))):
                own = tirx.floormod(tirx.floordiv(places(place), stride), shape[number])
                value = own if value is None else tirx.Select(axis == number, own, value)
                stride = stride * shape[number]
            return value

        return te.compute((len(shape), places.shape[0]), index, "indices")

    return node.emit(node.builder.call_te(indices, places))


def compress(node: Node) -> relax.Expr:
    """Converts Compress, which takes the parts of an axis that a vector of booleans chooses."""
    data, chosen = node.input(0), sortable(node, node.input(1))
    axis = node.attributes.get("axis")
    if axis is None:
        data, axis = flat(node, data), 0
    return relax.op.take(data, places_of(node, chosen), axis_of(axis, rank(data)), mode="clip")


def unique(node: Node) -> list[relax.Expr]:
    """Converts Unique with all its outputs."""
    data, axis = node.input(0), node.attributes.get("axis")
    count = max(rank(data), 1)
    if axis is None:
        data, axis, count = flat(node, data), 0, 1
    axis = axis_of(axis, count)
    order = [axis, *(other for other in range(count) if other != axis)]
    moved = node.emit(relax.op.permute_dims(data, order)) if axis else data
    rows = node.emit(relax.op.reshape(sortable(node, moved), (moved.ty.shape[0], -1)))
    groups = _grouped(node, rows, _sorted(node, rows), bool(node.attributes.get("sorted", 1)))
    places, inverse, counts, number = groups
    places = first(node, places, number)
    outputs = relax.op.take(data, places, axis, mode="clip")
    return [outputs, places, inverse, first(node, counts, number)]


def _sorted(node: Node, rows: relax.Expr) -> relax.Expr:
    """Returns the places of rows ``(N, M)`` in ascending order, equal ones as they were."""
    size, width = rows.ty.shape
    if int(width) == 1:
        return node.emit(relax.op.argsort(flat(node, rows), dtype="int64"))

    def ranked(rows: Any, order: Any, before: Any, sign: Any) -> None:
        with T.serial(0, size) as i:  # each row's place: how many are smaller, or equal and earlier
            before[0] = T.int64(0)
            with T.serial(0, size) as j:
                _compare(rows, i, j, sign, width)
                with T.If(tirx.any(sign[0] > 0, tirx.all(sign[0] == 0, j < i))), T.Then():
                    before[0] = before[0] + T.int64(1)
            order[before[0]] = tirx.Cast("int64", i)

    outputs = [((size,), "int64"), ((1,), "int64"), ((1,), "int32")]
    return run(node, "order", ranked, [rows], outputs)[0]


def _compare(rows: Any, i: Any, j: Any, sign: Any, width: Any) -> None:
    """Sets the sign of row ``i`` less row ``j``, of their first elements that differ."""
    sign[0] = T.int32(0)
    with T.serial(0, width) as k, T.If(sign[0] == 0), T.Then():
        sign[0] = tirx.Select(
            rows[i, k] > rows[j, k],
            T.int32(1),
            tirx.Select(rows[i, k] < rows[j, k], T.int32(-1), T.int32(0)),
        )


def _grouped(node: Node, rows: relax.Expr, order: relax.Expr, by_value: bool) -> list[relax.Expr]:
    """Finds equal rows.

    Returns:
        Place of each group's first row, group of each row, how many rows each has, and how many
        groups there are; the groups are in ascending order, or in that of their first rows.
    """
    size, width = rows.ty.shape

    vector, one = ((size,), "int64"), ((1,), "int64")
    outputs = [vector, vector, vector, one, vector, ((1,), "int32")]
    return run(node, "groups", _groups(size, width, by_value), [rows, order], outputs)[:4]


def _groups(size: Any, width: Any, by_value: bool) -> Callable[..., None]:
    """Writes the loops that number groups of equal rows, which are next to each other in order."""

    def groups(
        rows: Any,
        order: Any,
        places: Any,
        inverse: Any,
        counts: Any,
        number: Any,
        label: Any,
        sign: Any,
    ) -> None:
        number[0] = T.int64(0)
        with T.serial(0, size) as i:  # the group of each row, in ascending order
            sign[0] = T.int32(1)
            with T.If(i > 0), T.Then():
                _compare(rows, order[i], order[tirx.max(i - 1, 0)], sign, width)
            with T.If(sign[0] != 0), T.Then():
                label[number[0]] = number[0] if by_value else T.int64(-1)
                counts[number[0]] = T.int64(0)
                number[0] = number[0] + T.int64(1)
            inverse[order[i]] = number[0] - T.int64(1)
        if not by_value:
            number[0] = T.int64(0)
        with T.serial(0, size) as i:
            if not by_value:
                with T.If(label[inverse[i]] < 0), T.Then():
                    label[inverse[i]] = number[0]
                    number[0] = number[0] + T.int64(1)
            inverse[i] = label[inverse[i]]
            with T.If(counts[inverse[i]] == 0), T.Then():
                places[inverse[i]] = tirx.Cast("int64", i)
            counts[inverse[i]] = counts[inverse[i]] + T.int64(1)

    return groups


CONVERTERS: dict[Key, Converter] = {
    ("", "NonZero"): non_zero,
    ("", "Compress"): compress,
    ("", "Unique"): unique,
}
