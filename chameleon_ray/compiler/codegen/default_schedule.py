"""Default schedules on GPUs: a layer, or a whole model, in; the same with its loops bound out."""

from typing import Any


def default(module: Any, target: Any) -> Any:
    """What DLight makes of it: on a GPU loops must be bound to threads.

    Args:
        module: Its PrimFuncs that are marked as scheduled stay as they are.
        target: ``tvm.target.Target``.
    """
    import tvm
    from tvm.s_tir import dlight

    rules = (
        dlight.gpu.Matmul(),
        dlight.gpu.GEMV(),
        dlight.gpu.Reduction(),
        dlight.gpu.GeneralReduction(),
        dlight.gpu.Fallback(),
    )
    copied = tvm.IRModule(dict(module.functions), attrs=module.attrs)  # DLight changes what it gets
    with target:
        return dlight.ApplyDefaultSchedule(*map(_trying, rules))(copied)


def _trying(rule: Any) -> Any:
    """A rule of DLight's; where it fails, as that of matrix products does on those within
    Winograd's convolutions, the one that never does."""
    from tvm.s_tir import dlight
    from tvm.s_tir.schedule import ScheduleError

    @dlight.ScheduleRule.from_callable(type(rule).__name__)
    def tried(function: Any, target: Any, tunable: bool) -> Any:
        try:
            return rule.apply(function, target, tunable)
        except (AssertionError, ScheduleError):
            return dlight.gpu.Fallback().apply(function, target, tunable)

    return tried
