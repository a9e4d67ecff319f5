"""MetaSchedule's rules, in generators of the sketches of a layer."""

from typing import Any

from tvm.s_tir.meta_schedule.mutator import Mutator
from tvm.s_tir.meta_schedule.postproc import Postproc
from tvm.s_tir.meta_schedule.schedule_rule import ScheduleRule
from tvm.s_tir.meta_schedule.space_generator import PostOrderApply

from chameleon_ray.compiler.dot_products import register_dot_products
from chameleon_ray.compiler.nvidia import capability
from chameleon_ray.compiler.tvm_process import register_intrinsics

TENSOR_CORES = 75
"""First compute capability that TVM's tensor core rules are for."""


def cpu_generator(module: Any, target: Any) -> PostOrderApply:
    """Makes the generator of a layer's sketches, which has the postprocessors of their schedules.

    The intrinsics that its rules name are registered.

    Args:
        module: IRModule with one PrimFunc ``main``.
        target: ``tvm.target.Target`` of a CPU.
    """
    register_intrinsics("x86")
    register_dot_products()
    return PostOrderApply()


def cuda_generator(module: Any, target: Any) -> PostOrderApply:
    """Makes the generator of a layer's sketches, which has the postprocessors of their schedules.

    The intrinsics of tensor cores take seconds to register, so they are registered only for layers
    that have a use for them.

    Args:
        module: IRModule with one PrimFunc ``main``.
        target: ``tvm.target.Target`` of an NVIDIA GPU.
    """
    rules = "cuda-tensorcore" if _suits_tensor_cores(module, target) else "cuda"
    if rules == "cuda-tensorcore":
        register_intrinsics("cuda")
    return PostOrderApply(
        sch_rules=ScheduleRule.create(rules),
        postprocs=Postproc.create(rules),
        mutator_probs=Mutator.create(rules),
    )


def _suits_tensor_cores(module: Any, target: Any) -> bool:
    """Whether a layer multiplies types that TVM has tensor core intrinsics for; not float32."""
    if (capability(str(target.attrs.get("arch", ""))) or 0) < TENSOR_CORES:
        return False
    inputs = [param.ty for param in module["main"].params]
    narrow = [p for p in inputs if str(getattr(p, "dtype", "")) in ("float16", "int8")]
    return len(narrow) > 1
