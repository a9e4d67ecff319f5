"""Barriers between the steps of a kernel that share memory.

TVM adds barriers itself, but none where the index of a store and that of a load are equal. It takes
both for the same thread's. Where only the first threads along an axis fetch, TVM leaves the axis
out of the store's index, and all the threads along it load what one has stored: with no barrier
between, some load it too early, or find the next step's.
"""

from dataclasses import dataclass, field
from typing import Any

from tvm import tirx
from tvm.ir import IRModule
from tvm.s_tir import SBlock, SBlockRealize

SHARED = "shared"
PIPELINED = "software_pipeline"
"""How annotations of loops begin that TVM pipelines, with barriers of its own."""


@dataclass
class Touched:
    """Names of buffers in shared memory that statements read, and that they write."""

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)

    def conflicts(self, later: "Touched") -> bool:
        """Whether statements and later ones touch a buffer that one of them writes."""
        return bool(self.writes & (later.reads | later.writes) or self.reads & later.writes)

    def add(self, other: "Touched") -> None:
        self.reads |= other.reads
        self.writes |= other.writes


def with_barriers(module: IRModule) -> IRModule:
    """Puts barriers where steps of a kernel share memory, in all scheduled functions of a module.

    TVM adds no second one beside them. Loops that it pipelines are left as they are.
    """
    made = module.clone()
    for name, function in module.functions.items():
        if isinstance(function, tirx.PrimFunc) and isinstance(function.body, SBlockRealize):
            made.update_func(name, function.with_body(_separated(function.body, False)))
    return made


def _separated(statement: Any, repeated: bool) -> Any:
    """Returns a statement with barriers; ``repeated`` if a serial loop executes it several times.

    A statement without any is returned itself.
    """
    if isinstance(statement, tirx.For):
        if any(str(name).startswith(PIPELINED) for name in statement.annotations):
            return statement
        serial = int(statement.kind) != tirx.ForKind.THREAD_BINDING
        body = _separated(statement.body, repeated or serial)
        return statement if body.same_as(statement.body) else loop_of(statement, body)
    if isinstance(statement, SBlockRealize):
        body = _separated(statement.block.body, repeated)
        return statement if body.same_as(statement.block.body) else _block(statement, body)
    if isinstance(statement, tirx.SeqStmt):
        return _sequence(statement, repeated)
    return statement


def _sequence(statement: Any, repeated: bool) -> Any:
    """Puts barriers between the steps of a sequence, and before it where it is repeated."""
    steps = [_separated(step, repeated) for step in statement.seq]
    touched = [_touched(step) for step in steps]
    since, made = Touched(), list[Any]()
    if repeated:
        every = Touched()
        for one in touched:
            every.add(one)
        since.add(every)
    for step, one in zip(steps, touched, strict=True):
        if since.conflicts(one):
            made.append(_barrier())
            since = Touched()
        made.append(step)
        since.add(one)
    changed = len(made) > len(steps) or not all(map(_same, steps, statement.seq))
    return tirx.SeqStmt(made) if changed else statement


def _same(step: Any, before: Any) -> bool:
    return bool(step.same_as(before))


def _barrier() -> Any:
    return tirx.Evaluate(tirx.call_intrin("int32", "tirx.tvm_storage_sync", SHARED))


def _touched(statement: Any) -> Touched:
    """Returns what blocks in a statement say that they read and write in shared memory."""
    found = Touched()
    if isinstance(statement, SBlockRealize):
        block = statement.block
        found.reads = _shared(block.reads)
        found.writes = _shared(block.writes)
    elif isinstance(statement, tirx.For):
        found = _touched(statement.body)
    elif isinstance(statement, tirx.SeqStmt):
        for step in statement.seq:
            found.add(_touched(step))
    return found


def _shared(regions: Any) -> set[str]:
    """Returns the names of the buffers of some regions that are in shared memory."""
    buffers = [region.source for region in regions]
    return {buffer.name for buffer in buffers if buffer.scope().startswith(SHARED)}


def loop_of(loop: Any, body: Any) -> Any:
    """Returns a loop with another body."""
    return tirx.For(
        loop.loop_var,
        loop.min,
        loop.extent,
        loop.kind,
        body,
        loop.thread_binding,
        loop.annotations,
        loop.step,
        loop.span,
    )


def _block(realize: Any, body: Any) -> Any:
    block = realize.block
    made = SBlock(
        block.iter_vars,
        block.reads,
        block.writes,
        block.name_hint,
        body,
        block.init,
        block.alloc_buffers,
        block.match_buffers,
        block.annotations,
        block.span,
    )
    return SBlockRealize(realize.iter_values, realize.predicate, made, realize.span)
