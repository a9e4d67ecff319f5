"""Default schedules: a layer, or a whole model, in; the same as TVM schedules it untuned out."""

from typing import Any

from chameleon_ray.compiler.target import is_gpu

SCHEDULED = "tirx.is_scheduled"
"""The attribute of functions that are not to be scheduled again."""


def default(module: Any, target: Any) -> Any:
    """On a CPU the loops as they are; on a GPU, where they must be bound to threads, DLight's.

    Args:
        module: Its PrimFuncs that are marked as scheduled stay as they are.
        target: ``tvm.target.Target``.
    """
    if not is_gpu(target):
        return module
    import tvm

    functions = {
        variable: _bound(function, target)
        if isinstance(function, tvm.tirx.PrimFunc) and SCHEDULED not in (function.attrs or {})
        else function
        for variable, function in module.functions.items()
    }
    return tvm.IRModule(functions, attrs=module.attrs)


def _bound(function: Any, target: Any) -> Any:
    """One function by the first of DLight's rules that fits; its rule for matrix products fails on
    some that are not quite."""
    import tvm
    from tvm.s_tir.dlight import ApplyDefaultSchedule, gpu

    rest = (gpu.GEMV(), gpu.Reduction(), gpu.GeneralReduction(), gpu.Fallback())
    for rules in ((gpu.Matmul(), *rest), rest, (gpu.Fallback(),)):
        try:
            with target:
                done = ApplyDefaultSchedule(*rules)(tvm.IRModule({"main": function}))
        except Exception as error:
            trouble = error
        else:
            return done["main"]
    raise trouble
