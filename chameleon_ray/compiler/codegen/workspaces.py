"""Whether recorded graphs outlive the workspaces that they use.

A layer of several kernels passes results on in a workspace, and a vendor's algorithm may need one,
too. TVM keeps workspaces for later layers, but frees one that is too small for a later request. A
graph that was recorded before would go on to use it.
"""

from collections.abc import Mapping, Sequence
from re import MULTILINE, findall, search
from typing import Any

import tvm
import tvm_ffi
from tvm.s_tir.stmt import SBlock

FUNCTION = r"^@(\S+):\n((?:  .*\n)*)"
"""A function in the text of an executable: its name, and its lines."""
CALL = r"^  call  (\S+) (.*)$"
"""A call: the name of what is called, and the rest of the line."""


def are_outgrown(executable: Any, module: Any, record: str) -> bool:
    """Whether a model may ask for larger workspaces after graphs with workspaces were recorded.

    The layers of one graph run once before they are recorded, so they do not disturb each other. A
    later layer with several workspaces counts as one that asks for more, as their order decides.

    Args:
        executable: The model's ``tvm.relax.VMExecutable``.
        module: Module with the model's scheduled PrimFuncs.
        record: Name of the function that records a graph.
    """
    sizes = {v.name_hint: _workspaces(f) for v, f in module.functions.items()}
    functions = {
        name: findall(CALL, lines, MULTILINE)
        for name, lines in findall(FUNCTION, executable.as_text(), MULTILINE)
    }
    return any(_asks_for_more(calls, functions, sizes, record) for calls in functions.values())


def _asks_for_more(
    calls: Sequence[tuple[str, str]],
    functions: Mapping[str, Sequence[tuple[str, str]]],
    sizes: Mapping[str, list[int]],
    record: str,
) -> bool:
    """Whether some call, or a later graph, of a function asks for more than graphs before it."""
    kept = 0
    for name, rest in calls:
        graph = search(r"f\[(\S+)\]", rest) if name == record else None
        inside = [called for called, _ in functions[graph[1]]] if graph else [name]
        asked = [sizes[called] for called in inside if sizes.get(called)]
        if kept and any(len(own) > 1 or max(own) > kept for own in asked):
            return True
        if graph:
            kept = max([kept, *(max(own) for own in asked)])
    return False


def _workspaces(function: Any) -> list[int]:
    """Returns the bytes of the workspaces of a PrimFunc; of what is none of them, none."""
    if not isinstance(function, tvm.tirx.PrimFunc):
        return []
    buffers: list[Any] = []
    tvm_ffi.structural_walk(function.body, (SBlock, lambda b: buffers.extend(b.alloc_buffers)))
    return [_bytes(buffer) for buffer in buffers if buffer.scope() == "global"]


def _bytes(buffer: Any) -> int:
    size = tvm.DataType(buffer.dtype).bits // 8
    for extent in buffer.shape:
        size *= int(extent) if isinstance(extent, tvm.tirx.IntImm) else 1 << 40
    return size
