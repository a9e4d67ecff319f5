"""Which models ask for larger workspaces than the graphs that were recorded before have."""

from dataclasses import dataclass

import pytest
import tvm
from tvm.script import tirx as T

from chameleon_ray.compiler.codegen.workspaces import are_outgrown

RECORD = "vm.builtin.cuda_graph.run_or_capture"


@dataclass(frozen=True)
class Text:
    """An executable as far as its text goes: what ``main`` calls, and what each graph does."""

    main: tuple[str, ...]
    graphs: dict[str, tuple[str, ...]]

    def as_text(self) -> str:
        calls = [
            f"  call  {RECORD} in: %vm, f[{name}], %6, i0 dst: %7\n"
            if name in self.graphs
            else f"  call  {name} in: %0, c[3], %3 dst: %void\n"
            for name in self.main
        ]
        parts = ["@main:\n", *calls, "  ret   %10\n\n", f"@{RECORD} packed_func;\n\n"]
        for name, inside in self.graphs.items():
            parts += [f"@{name}:\n", *(f"  call  {one} in: %0 dst: %void\n" for one in inside)]
            parts += ["  ret   %4\n\n"]
        return "".join(parts)


def copying(*sizes: int) -> tvm.tirx.PrimFunc:
    """A function that copies 1024 numbers by way of workspaces of so many."""

    @T.prim_func(s_tir=True)
    def plain(a: T.Buffer((1024,), "float32"), b: T.Buffer((1024,), "float32")) -> None:
        for i in range(1024):
            with T.sblock("copy"):
                v = T.axis.spatial(1024, i)
                b[v] = a[v]

    root = plain.body.block
    buffers = [tvm.tirx.decl_buffer((size,), "float32") for size in sizes]
    block = tvm.s_tir.stmt.SBlock(
        *(root.iter_vars, root.reads, root.writes, root.name_hint, root.body),
        alloc_buffers=buffers,
    )
    return plain.with_body(tvm.s_tir.stmt.SBlockRealize([], True, block))


@pytest.mark.parametrize(
    ("main", "graphs", "outgrown"),
    [
        (("large", "g", "none"), {"g": ("small", "none")}, False),
        (("none", "g", "small"), {"g": ("small", "large")}, False),
        (("none", "g", "large"), {"g": ("none",)}, False),
        (("none", "g", "large"), {"g": ("small",)}, True),
        (("none", "g", "two"), {"g": ("large",)}, True),
        (("g", "none", "h"), {"g": ("large",), "h": ("small",)}, False),
        (("g", "none", "h"), {"g": ("small",), "h": ("large",)}, True),
        (("large", "small"), {}, False),
    ],
    ids=[
        *("larger before", "smaller after", "no workspace in the graph", "larger after"),
        *("several after", "a smaller graph after", "a larger graph after", "no graph"),
    ],
)
def test_larger_workspaces_after_a_graph_are_told(
    main: tuple[str, ...], graphs: dict[str, tuple[str, ...]], outgrown: bool
) -> None:
    module = tvm.IRModule(
        {
            "none": copying(),
            "small": copying(100),
            "large": copying(200),
            "two": copying(50, 60),
        }
    )
    assert are_outgrown(Text(main, graphs), module, RECORD) == outgrown
