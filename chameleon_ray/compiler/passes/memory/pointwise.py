"""Finds the arguments that a loop nest may write its output over."""

from typing import Any

import tvm
import tvm_ffi
from tvm.s_tir import Schedule


def is_pointwise(function: Any, place: int) -> bool:
    """Whether every element of an argument is read only to compute the same element of the output.

    Then the output may take the place of the argument, whatever the schedule: an element is written
    after the last time that it is read.

    Args:
        function: A PrimFunc whose last parameter is its output.
        place: The argument's place among the parameters.
    """
    output = function.params[-1]
    same = {function.params[place]}
    for block in _blocks(function):
        read = [region for region in block.reads if region.source in same]
        if read and not all(_is_same_point(block, region) for region in read):
            return False
        if read:
            same.add(block.writes[0].source)
        elif any(region.source == output for region in block.writes):
            return False
    return output in same


def _blocks(function: Any) -> list[Any]:
    """Returns the innermost blocks, in order."""
    schedule = Schedule(tvm.IRModule({"main": function}))
    blocks = schedule.get_child_blocks(schedule.get_sblock("root", "main"))
    return [schedule.get(block) for block in blocks]


def _is_same_point(block: Any, read: Any) -> bool:
    """Whether a block reads the same element of one buffer that it writes of another."""
    spatial = all(int(axis.iter_type) == tvm.tirx.IterVar.DataPar for axis in block.iter_vars)
    if not spatial or len(block.writes) != 1 or len(block.writes[0].region) != len(read.region):
        return False
    return all(
        tvm_ffi.structural_equal(one.min, other.min)
        and tvm_ffi.structural_equal(one.extent, other.extent)
        and isinstance(one.extent, tvm.tirx.IntImm)
        and int(one.extent) == 1
        for one, other in zip(block.writes[0].region, read.region, strict=True)
    )
