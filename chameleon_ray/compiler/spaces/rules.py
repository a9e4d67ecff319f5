"""MetaSchedule's rules, in generators of the sketches of a layer."""

from collections.abc import Sequence
from typing import Any

from tvm.s_tir.meta_schedule.mutator import Mutator
from tvm.s_tir.meta_schedule.postproc import Postproc
from tvm.s_tir.meta_schedule.schedule_rule import (
    MultiLevelTilingTensorCore,
    ReuseType,
    ScheduleRule,
)
from tvm.s_tir.meta_schedule.space_generator import PostOrderApply
from tvm.target.codegen import target_has_features

from chameleon_ray.compiler.dot_products import register_dot_products
from chameleon_ray.compiler.nvidia import capability
from chameleon_ray.compiler.tensor_cores import register_tensor_cores
from chameleon_ray.compiler.tvm_process import register_intrinsics
from chameleon_ray.measure.precision import PRECISION, SHORT

TENSOR_CORE_RULES = "cuda-tensorcore"
TENSOR_CORES = 75
"""First compute capability that TVM's tensor core rules are for."""


def cpu_generator(module: Any, target: Any) -> PostOrderApply:
    """Makes the generator of a layer's sketches, which has the postprocessors of their schedules.

    The intrinsics that its rules name are registered. On x86, layers of bytes are kept from TVM's
    rules with dot products: LLVM 22 refuses the one of VNNI, and that of AVX-512 saturates.

    Args:
        module: IRModule with one PrimFunc ``main``.
        target: ``tvm.target.Target`` of a CPU.
    """
    register_intrinsics("x86")
    register_dot_products()
    if {"int8", "uint8"} & set(_inputs(module)) and target_has_features("sse2", target):
        return _by_rules("llvm")
    return PostOrderApply()


def cuda_generator(module: Any, target: Any) -> PostOrderApply:
    """Makes the generator of a layer's sketches, which has the postprocessors of their schedules.

    The intrinsics of tensor cores take seconds to register, so they are registered only for layers
    that have a use for them.

    Args:
        module: IRModule with one PrimFunc ``main``.
        target: ``tvm.target.Target`` of an NVIDIA GPU.
    """
    if _may_use_tensor_cores(module):
        register_tensor_cores()
    if not suits_tensor_cores(module, target):
        return _by_rules("cuda")
    register_intrinsics("cuda")
    rules = [
        rule
        for rule in ScheduleRule.create(TENSOR_CORE_RULES)
        if not isinstance(rule, MultiLevelTilingTensorCore)
    ]
    tilings = (
        _tiling([("float16", "float16")], "shared.dyn"),
        _tiling([("float16", "float32"), ("int8", "int32")], "shared"),
    )
    return _by_rules(TENSOR_CORE_RULES, [rules[0], *tilings, *rules[1:]])


def _tiling(types: Sequence[tuple[str, str]], scope: str) -> ScheduleRule:
    """Makes TVM's rule for tensor cores, for types of operands and of results.

    Args:
        types: Type of the operands, type of the result.
        scope: Memory that results are gathered in. TVM mixes up the types of buffers in
            ``shared.dyn``, where the operands are, so that results of another type need another.
    """
    from tvm.s_tir.tensor_intrin.cuda import get_wmma_intrin_group

    return MultiLevelTilingTensorCore(
        intrin_groups=[
            get_wmma_intrin_group("shared.dyn", scope, operands, result, transposed)
            for operands, result in types
            for transposed in (False, True)
        ],
        structure="SSSRRSRS",
        tile_binds=["blockIdx.y", "blockIdx.x", "threadIdx.y"],
        max_innermost_factor=4,
        vector_load_lens=[1, 2, 3, 4, 8, 16],
        reuse_read=ReuseType("must", [4], "shared.dyn"),
        reuse_write=ReuseType("must", [2], scope),
    )


def _by_rules(rules: str, own: Sequence[ScheduleRule] = ()) -> PostOrderApply:
    """Makes a generator by one of TVM's sets of rules, of which some may be others."""
    return PostOrderApply(
        sch_rules=list(own) or ScheduleRule.create(rules),
        postprocs=Postproc.create(rules),
        mutator_probs=Mutator.create(rules),
    )


def _inputs(module: Any) -> list[str]:
    """Returns the types of the numbers in a layer's buffers."""
    return [str(getattr(param.ty, "dtype", "")) for param in module["main"].params]


def _may_use_tensor_cores(module: Any) -> bool:
    """Whether a layer multiplies types that this project's template for tensor cores is for."""
    inputs = _inputs(module)
    rounded = PRECISION in dict(module["main"].attrs or {})
    return rounded or any(inputs.count(dtype) > 1 for dtype in SHORT)


def suits_tensor_cores(module: Any, target: Any) -> bool:
    """Whether a layer multiplies types that TVM has tensor core intrinsics for; not float32."""
    if (capability(str(target.attrs.get("arch", ""))) or 0) < TENSOR_CORES:
        return False
    narrow = [dtype for dtype in _inputs(module) if dtype in ("float16", "int8")]
    return len(narrow) > 1
