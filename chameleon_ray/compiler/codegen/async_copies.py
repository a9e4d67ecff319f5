"""Vectors that a kernel copies to shared memory asynchronously.

An asynchronous copy moves up to 16 bytes that lie next to each other, from an address that is a
multiple of their number to another one. TVM makes one of each vector, and looks neither at how far
apart its elements lie nor at where the first one does. A GPU then stops the kernel, or copies other
elements.
"""

from collections.abc import Mapping
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import IRModule
from tvm.s_tir import SBlockRealize
from tvm.sym import Analyzer

ASYNCHRONOUS = "software_pipeline_async_stages"
"""Annotation of a loop that makes the copies of some of its stages asynchronous."""
PADDED = "buffer_dim_align"
"""Annotation of a block that leaves gaps between the rows that it writes."""
CONDITIONAL = "prim.if_then_else"
MANY = 1 << 20
"""More vectors than a loop copies."""


def with_split_vectors(module: IRModule) -> IRModule:
    """Has vectors that no asynchronous copy can take copied element by element.

    Args:
        module: Scheduled functions.
    """
    made = module.clone()
    for name, function in module.functions.items():
        if isinstance(function, tirx.PrimFunc) and isinstance(function.body, SBlockRealize):
            body = _split(function.body)
            if not body.same_as(function.body):
                made.update_func(name, function.with_body(body))
    return made


def _split(body: Any) -> Any:
    analyzer, found = Analyzer(), []

    def see(loop: Any) -> None:
        analyzer.bind(loop.loop_var, tvm.ir.Range.from_min_extent(loop.min, loop.extent))
        if ASYNCHRONOUS in loop.annotations:
            found.append(loop)

    def inside(loop: Any) -> Any:
        if ASYNCHRONOUS not in loop.annotations:
            return loop
        return tvm_ffi.structural_map(loop, (tirx.For, split))

    def split(loop: Any) -> Any:
        vector = int(loop.kind) == tirx.ForKind.VECTORIZED
        return loop if not vector or _is_one_piece(loop, analyzer) else _unrolled(loop)

    tvm_ffi.structural_walk(body, (tirx.For, see))
    return tvm_ffi.structural_map(body, (tirx.For, inside)) if found else body


def _is_one_piece(loop: Any, analyzer: Analyzer) -> bool:
    """Whether the elements that a loop over a vector copies are neighbours, and aligned.

    They have to be in the GPU's memory and in the shared one.
    True for what is no copy from a GPU's memory, which is not asynchronous.
    """
    realize = loop.body
    load = _loaded(realize.block.body) if isinstance(realize, SBlockRealize) else None
    if load is None or not load.source.scope().startswith("global"):
        return True
    block, lanes = realize.block, int(loop.extent)
    axes = {one.var: value for one, value in zip(block.iter_vars, realize.iter_values, strict=True)}

    def first(place: Any) -> Any:
        return _with(place, {loop.loop_var: loop.min})

    def step(index: Any) -> Any:
        """The way from the vector's first element to another one."""
        place = _by_vectors(_with(index, axes), loop.loop_var, lanes, analyzer)
        there = analyzer.simplify(place)
        return analyzer.simplify(there - first(there))

    def joined(place: Any) -> bool:
        """Whether the elements at a place are neighbours, of which the first one is aligned."""
        neighbours = analyzer.can_prove_equal(step(place), loop.loop_var)
        return neighbours and _is_multiple(first(_with(place, axes)), lanes, analyzer)

    store, padded = block.body, [list(map(int, one)) for one in block.annotations.get(PADDED, ())]
    rows = max((axis + 1 for _, axis, _, _ in padded), default=0)  # each begins after a gap
    if any(factor % lanes or offset % lanes for _, _, factor, offset in padded):
        return False
    return (
        joined(_place(load.indices, load.source.shape))
        and joined(_place(store.indices[rows:], store.buffer.shape[rows:]))
        and all(analyzer.can_prove(step(index) == 0) for index in store.indices[:rows])
    )


def _by_vectors(place: Any, lane: Any, lanes: int, analyzer: Analyzer) -> Any:
    """Writes the steps of whole vectors, where an element's number is added, as one multiple.

    With steps of several loops TVM does not see that vectors end where rows do.
    """
    known: list[tuple[Any, Any]] = []

    def number(whole: Any) -> Any:
        for other, variable in known:
            if tvm_ffi.structural_equal(other, whole):
                return variable
        variable = tirx.Var("vector", lane.ty)
        analyzer.bind(variable, tvm.ir.Range(0, MANY))
        known.append((whole, variable))
        return variable

    def written(total: Any) -> Any:
        if not total.b.same_as(lane) or not _is_multiple(total.a, lanes, analyzer):
            return total
        return number(total.a) * lanes + lane

    return tvm_ffi.structural_map(place, (tirx.Add, written))


def _is_multiple(number: Any, of: int, analyzer: Analyzer) -> bool:
    known = analyzer.modular_set(analyzer.simplify(number))
    return bool(known.coeff % of == 0 and known.base % of == 0)


def _loaded(statement: Any) -> Any:
    """Returns what a statement copies, perhaps on a condition; None where it computes."""
    value = statement.value if isinstance(statement, tirx.BufferStore) else None
    if isinstance(value, tvm.ir.Call) and getattr(value.op, "name", "") == CONDITIONAL:
        value = value.args[1]
    return value if isinstance(value, tvm.ir.TensorLoad) else None


def _place(indices: Any, shape: Any) -> Any:
    """Returns the number of an element in a buffer whose rows lie one after the other."""
    place, *rest = indices
    for index, extent in zip(rest, shape[1:], strict=True):
        place = place * extent + index
    return place


def _with(expression: Any, values: Mapping[Any, Any]) -> Any:
    """Puts values in the places of variables."""
    return tvm_ffi.structural_map(expression, (tvm.ir.Var, lambda found: values.get(found, found)))


def _unrolled(loop: Any) -> Any:
    kind = tirx.ForKind.UNROLLED
    return tirx.For(loop.loop_var, loop.min, loop.extent, kind, loop.body, None, loop.annotations)
