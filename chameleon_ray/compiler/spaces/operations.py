"""Counts the floating-point operations that a layer's loops execute.

TVM's estimate counts both branches of every ``if_then_else``. The transforms of Winograd's
algorithm choose among the rows of a matrix, so it counts every row for each row: six times too many
operations where tiles have 4 x 4 outputs.
"""

from typing import Any

import tvm
from tvm.ir import Call, IRModule
from tvm.s_tir import Schedule
from tvm.tirx import EQ, BufferStore

CHOICE = "prim.if_then_else"


def operations(module: IRModule) -> float:
    """Returns the floating-point operations of one execution of a layer.

    Where the place of an element decides which of several values it has, their mean counts.
    """
    estimate = tvm.s_tir.analysis.estimate_tir_flops
    found = float(estimate(module))
    schedule = Schedule(module, debug_mask=0)
    outermost = schedule.get_sblock(module["main"].body.block.name_hint)  # mostly called root
    for block in schedule.get_child_blocks(outermost):
        choices, loops = _choices(schedule.get(block).body), schedule.get_loops(block)
        if choices > 1 and loops:
            found -= float(estimate(schedule.get(loops[0]))) * (1 - 1 / choices)
    return found


def _choices(body: Any) -> int:
    """Returns the number of values that elements of a block may have; 1 where all have the same."""
    value, number = body.value if isinstance(body, BufferStore) else None, 1
    while isinstance(value, Call) and value.op.name == CHOICE and isinstance(value.args[0], EQ):
        value, number = value.args[2], number + 1
    return number
