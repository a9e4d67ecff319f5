"""Default schedules on GPUs, which bind the loops of layers and models to threads."""

from typing import Any


def default(module: Any, target: Any) -> Any:
    """Schedules a layer or a whole model by DLight.

    Args:
        module: Module of PrimFuncs; those that are marked as scheduled stay as they are.
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
    """Makes a rule that tries one of DLight's, and applies DLight's fallback where that one fails.

    The rule of matrix products fails on those within Winograd's convolutions. The fallback never
    fails.
    """
    from tvm.s_tir import dlight
    from tvm.s_tir.schedule import ScheduleError

    @dlight.ScheduleRule.from_callable(type(rule).__name__)
    def tried(function: Any, target: Any, tunable: bool) -> Any:
        try:
            return rule.apply(function, target, tunable)
        except (AssertionError, ScheduleError):
            return dlight.gpu.Fallback().apply(function, target, tunable)

    return tried
