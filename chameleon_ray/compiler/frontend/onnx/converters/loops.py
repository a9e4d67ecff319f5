"""Loop and Scan with a number of iterations that is known; they are unrolled.

Where a loop's condition is computed at run time, all iterations run. What those compute that come
after the condition has failed is thrown away.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst

from chameleon_ray.compiler.frontend.onnx.converters.run_time_extents import first
from chameleon_ray.compiler.frontend.onnx.converters.stacking import stacked
from chameleon_ray.compiler.frontend.onnx.extents import axis_of, extents, rank
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable
from chameleon_ray.compiler.relax import constant, is_static

MOST = 1000
"""Most iterations that a loop is unrolled to."""
MOST_CONDITIONAL = 64
"""Most iterations of a loop whose condition is computed at run time."""

Values = list[relax.Expr]


def loop(node: Node) -> Values:
    """Converts Loop."""
    body = node.attributes["body"]
    values: Values = [node.input(place) for place in range(2, len(node.inputs))]
    declared = _declared(node, len(values))
    count, given = _count(node, declared), node.optional(1)
    condition = constant(np.array(True), "bool") if given is None else given
    if declared is not None and is_true(condition) is None:
        count, condition = min(count, declared), constant(np.array(True), "bool")
    active = True if is_true(condition) is True else condition
    scanned: list[Values] = []
    flags: Values = []
    for number in range(count):
        if is_true(condition) is False:
            break
        _check(number, count, active)
        place = constant(np.array(number), "int64")
        after, *results = node.convert_graph(body, [place, condition, *values])
        if declared is None or is_true(after) is not None:
            condition = after
        elif number + 1 >= declared:
            condition = constant(np.array(False), "bool")
        new, rows = results[: len(values)], results[len(values) :]
        scanned.append(rows)
        flags.append(constant(np.array(True), "bool") if active is True else active)
        if active is not True:
            new = [_chosen(node, active, *pair) for pair in zip(new, values, strict=True)]
        values = new
        active = _both(node, active, condition)
    if not scanned:
        return [*values, *_nothing(node, values, condition)]
    columns = [stacked(node, column) for column in zip(*scanned, strict=True)]
    if not all(is_true(flag) for flag in flags):
        total = node.emit(
            relax.op.sum(relax.op.astype(relax.op.stack(flags, 0), "int64"), [0], True)
        )
        columns = [first(node, column, total) for column in columns]
    return [*values, *columns]


def is_true(value: object) -> bool | None:
    """Returns the truth of a condition that is a constant; None of one that is computed."""
    return bool(value.value.numpy().item()) if isinstance(value, GenericConst) else None


def _declared(node: Node, carried: int) -> int | None:
    """Returns the number of iterations that follows from a declared shape of what is stacked."""
    shapes = [output.shape for output in node.outputs[carried:]]
    return next((shape[0] for shape in shapes if shape), None)


def _count(node: Node, declared: int | None) -> int:
    """Returns how many iterations a loop has at most; what is declared, where nothing is known."""
    if node.optional(0) is None:
        return MOST + 1
    known = node.known(0)
    if known is None and declared is not None:
        return declared
    if known is None:
        raise Untranslatable(
            "its number of iterations is computed at run time; export the model with a fixed number"
        )
    return max(int(known.item()), 0)


def _check(number: int, count: int, active: object) -> None:
    """Raises ``Untranslatable`` where a loop is too long to be unrolled."""
    if number >= MOST:
        raise Untranslatable(
            f"it may have more than {MOST} iterations; export the model with a fixed, smaller "
            "number of them"
        )
    if active is not True and count > MOST_CONDITIONAL:
        raise Untranslatable(
            "its condition is computed at run time; export the model with a fixed number of "
            f"iterations, or with {MOST_CONDITIONAL} at most"
        )


def _chosen(node: Node, active: Any, new: relax.Expr, old: relax.Expr) -> relax.Expr:
    """Returns the new value where the iteration counts, else the old one."""
    new, old = (one if one.ty is not None else node.emit(one) for one in (new, old))
    if not (is_static(new.ty, old.ty) and extents(new) == extents(old)):
        raise Untranslatable(
            "its condition is computed at run time while its values change their shapes; export "
            "the model with a fixed number of iterations"
        )
    return node.emit(relax.op.where(active, new, old))


def _both(node: Node, active: Any, condition: relax.Expr) -> Any:
    if is_true(condition) is True:
        return active
    scalar = node.emit(relax.op.reshape(condition, ()))
    return scalar if active is True else node.emit(relax.op.logical_and(active, scalar))


def _nothing(node: Node, values: Values, condition: relax.Expr) -> Values:
    """Returns what a loop without iterations stacks: tensors of no rows."""
    place = constant(np.array(0), "int64")
    results = node.convert_graph(node.attributes["body"], [place, condition, *values])
    rows = results[1 + len(values) :]
    return [constant(np.zeros((0, *extents(row))), str(row.ty.dtype)) for row in rows]


def scan(node: Node) -> Values:
    """Converts Scan of version 9 and later."""
    if node.version < 9:
        raise Untranslatable("Scan of operator set 8 is not supported; export with 9 or later")
    body, count = node.attributes["body"], int(node.attributes["num_scan_inputs"])
    states: Values = [node.input(place) for place in range(len(node.inputs) - count)]
    inputs = [node.input(len(states) + place) for place in range(count)]
    axes = node.attributes.get("scan_input_axes") or [0] * count
    axes = [axis_of(axis, rank(one)) for axis, one in zip(axes, inputs, strict=True)]
    backwards = node.attributes.get("scan_input_directions") or [0] * count
    steps = extents(inputs[0])[axes[0]]
    if steps > MOST:
        raise Untranslatable(f"it has more than {MOST} iterations; export a model with fewer")
    scanned: list[Values] = []
    for step in range(steps):
        parts = [
            _part(node, one, axis, steps - 1 - step if turned else step)
            for one, axis, turned in zip(inputs, axes, backwards, strict=True)
        ]
        results = node.convert_graph(body, [*states, *parts])
        states, rows = results[: len(states)], results[len(states) :]
        scanned.append(rows)
    return [*states, *_scan_outputs(node, scanned)]


def _part(node: Node, value: relax.Expr, axis: int, step: int) -> relax.Expr:
    place = constant(np.array([step]), "int64")
    return node.emit(relax.op.squeeze(relax.op.take(value, place, axis), [axis]))


def _scan_outputs(node: Node, scanned: Sequence[Values]) -> Values:
    """Stacks what the iterations give, along each output's axis and in its order."""
    columns = list(zip(*scanned, strict=True))
    axes = node.attributes.get("scan_output_axes") or [0] * len(columns)
    backwards = node.attributes.get("scan_output_directions") or [0] * len(columns)
    outputs = []
    for column, axis, turned in zip(columns, axes, backwards, strict=True):
        whole = stacked(node, column[::-1] if turned else column)
        count = rank(whole)
        order = list(range(1, count))
        order.insert(axis_of(axis, count), 0)
        outputs.append(whole if axis == 0 else node.emit(relax.op.permute_dims(whole, order)))
    return outputs


CONVERTERS: dict[Key, Converter] = {("", "Loop"): loop, ("", "Scan"): scan}
