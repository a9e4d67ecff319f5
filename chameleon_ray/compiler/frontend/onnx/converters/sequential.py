"""Programs that go through tensors element by element, where one result depends on the last."""

from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax, te
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from chameleon_ray.compiler.frontend.onnx.node import Node

Output = tuple[Sequence[Any], str]
"""Shape and type of a tensor that a program writes."""


def run(
    node: Node,
    name: str,
    program: Callable[..., None],
    tensors: Sequence[relax.Expr],
    outputs: Sequence[Output],
) -> list[relax.Expr]:
    """Runs a program at the place of a node.

    Args:
        node: The node that is converted.
        name: Name of the program's function.
        program: Writes the program with TVM's builder of programs, given what it reads and writes.
        tensors: What it reads.
        outputs: What it writes; variables are outputs that nothing reads.

    Returns:
        What it wrote.
    """

    def loops(*read: Any) -> Any:
        return te.extern(
            [shape for shape, _ in outputs],
            list(read),
            lambda ins, outs: _built(program, [*ins, *outs]),
            dtype=[dtype for _, dtype in outputs],
            name=name,
        )

    whole = node.emit(node.builder.call_te(loops, *tensors, primfunc_name_hint=name))
    if len(outputs) == 1:
        return [whole]
    return [node.emit(relax.TupleGetItem(whole, place)) for place in range(len(outputs))]


def _built(program: Callable[..., None], buffers: Sequence[Any]) -> Any:
    with IRBuilder() as builder:
        with T.seq_scope():
            program(*map(T.buffer_proxy, buffers))
        return builder.get()
