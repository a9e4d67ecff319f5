"""How TVM shares the memory of a block between the buffers of a kernel."""

from typing import Any

import tvm

from chameleon_ray.measure.precision import SHORT

NARROW = (*SHORT, "int8", "uint8")
"""Types whose products are added up in a longer one."""
DYNAMIC = "shared.dyn"
"""Scope of shared memory whose size is told at launch."""
UNSHARED = {"tirx.disable_storage_rewrite": True}


def sharing(module: Any) -> dict[str, bool]:
    """Returns TVM's options for compiling a layer or a model for a GPU.

    Left alone, TVM has a buffer of sums take the place of a dead one of shorter numbers, and then
    refuses to address it: so it did with 9 of 14 schedules of a product for tensor cores. A later
    pass shares dynamic memory by its bytes, so nothing is lost where the earlier one is left out.
    """
    functions = [f for f in module.functions.values() if isinstance(f, tvm.tirx.PrimFunc)]
    short = [f for f in functions if not _types(f).isdisjoint(NARROW)]
    return UNSHARED if any(DYNAMIC in f.script(show_meta=False) for f in short) else {}


def _types(function: Any) -> set[str]:
    return {str(getattr(param.ty, "dtype", "")) for param in function.params}
