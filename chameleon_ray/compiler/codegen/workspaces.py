"""Whether recorded graphs outlive the workspaces that they use.

A layer of several kernels passes results on in a workspace, and a vendor's algorithm may need one,
too. TVM keeps workspaces for later layers, but frees one that is too small for a later request. A
graph that was recorded before would go on to use it.
"""

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

    A later layer with several workspaces counts as such, as their order decides.

    Args:
        executable: The model's ``tvm.relax.VMExecutable``.
        module: Module with the model's scheduled PrimFuncs.
        record: Name of the function that records a graph.
    """
    functions = {
        name: findall(CALL, lines, MULTILINE)
        for name, lines in findall(FUNCTION, executable.as_text(), MULTILINE)
    }
    inside, after = [], []
    for calls in functions.values():
        recorded = [(place, rest) for place, (name, rest) in enumerate(calls) if name == record]
        for _, rest in recorded:
            graph = search(r"f\[(\S+)\]", rest)
            inside += functions[graph[1]] if graph else []
        after += calls[recorded[0][0] :] if recorded else []
    sizes = {v.name_hint: _workspaces(f) for v, f in module.functions.items()}
    kept = max((size for name, _ in inside for size in sizes.get(name, ())), default=0)
    later = [sizes[name] for name, _ in after if sizes.get(name)]
    return kept > 0 and any(len(own) > 1 or max(own) > kept for own in later)


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
