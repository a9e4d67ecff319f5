"""How TVM shares the memory of a block between the buffers of a kernel."""

from typing import Any

import tvm

from chameleon_ray.measure.precision import SHORT

NARROW = (*SHORT, "int8", "uint8")
"""Types whose products are added up in a longer one."""
MERGE = "tirx.merge_static_smem"


def sharing(module: Any) -> dict[str, bool]:
    """Returns TVM's options for compiling a layer or a model for a GPU.

    Left alone, TVM has a buffer of sums take the place of a dead one of shorter numbers, and then
    refuses to address it: so it did with 9 of 14 schedules of a product for tensor cores. Where
    there are such numbers, all buffers share memory by their bytes instead.
    """
    functions = (f for f in module.functions.values() if isinstance(f, tvm.tirx.PrimFunc))
    types = {str(getattr(p.ty, "dtype", "")) for function in functions for p in function.params}
    return {} if types.isdisjoint(NARROW) else {MERGE: True}
