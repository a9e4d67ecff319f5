"""Default schedules on GPUs, which bind the loops of layers and models to threads."""

from typing import Any

SCHEDULED = "tirx.is_scheduled"
"""Attribute of a PrimFunc that has a schedule."""


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
        scheduled = dlight.ApplyDefaultSchedule(*map(_trying, rules))(copied)
    functions = {variable: _bound(one) for variable, one in scheduled.functions.items()}
    return tvm.IRModule(functions, attrs=scheduled.attrs)


def _bound(function: Any) -> Any:
    """Gives one thread to a PrimFunc that no rule scheduled.

    These are programs that go through tensors element by element. Without a thread they would run
    on the host, which cannot read a GPU's memory.
    """
    from tvm import tirx
    from tvm.s_tir.stmt import SBlock, SBlockRealize

    if not isinstance(function, tirx.PrimFunc) or SCHEDULED in function.attrs:
        return function
    body, zero, one = function.body, tirx.const(0, "int32"), tirx.const(1, "int32")
    for tag in ("threadIdx.x", "blockIdx.x"):
        thread = tirx.IterVar(None, tirx.Var(tag, "int32"), tirx.IterVar.ThreadIndex, tag)
        place = tirx.Var(tag.replace(".", "_"), "int32")
        body = tirx.For(place, zero, one, tirx.ForKind.THREAD_BINDING, body, thread)
    root = SBlockRealize([], True, SBlock([], [], [], "root", body))
    return function.with_body(root).with_attr(SCHEDULED, True)


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
