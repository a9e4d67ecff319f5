"""Tuning for CPUs: kernels by LLVM, timed on the cores that are kept free for them."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from chameleon_ray.compiler.kind import Device, Environment, TargetKind
from chameleon_ray.compiler.target import TargetError, device_name, fields_of, made
from chameleon_ray.compiler.tvm_process import register_intrinsics
from chameleon_ray.measure.measurer import Artifact, Runner
from chameleon_ray.measure.precision import TF32
from chameleon_ray.options import Measuring, Scheduling

NAME = "llvm"


def resolve(text: str, threads: int) -> str:
    """Completes a CPU's target with this machine's CPU where the text says nothing else.

    Raises:
        TargetError: The target cannot be timed on this machine, or LLVM does not know its CPU.
    """
    import tvm

    llvm, fields = tvm.target.codegen, fields_of(text)
    triple, here = fields.get("mtriple"), llvm.llvm_get_system_triple()
    if triple is not None and str(triple).partition("-")[0] != here.partition("-")[0]:
        raise TargetError(f"A target for {triple} cannot be timed here; this machine is {here}.")
    fields.setdefault("num-cores", threads)
    fields.setdefault("mcpu", llvm.llvm_get_system_cpu())
    target = made(text, fields)
    if fields["mcpu"] not in llvm.llvm_get_cpu_archlist(target):
        raise TargetError(
            f"LLVM knows no CPU {fields['mcpu']!r}; leave mcpu out for this machine's, "
            f"which is {llvm.llvm_get_system_cpu()!r}."
        )
    return str(target)


def demand_precision(target: str, precision: str) -> None:
    """Demands that a CPU can keep weights in a precision.

    Raises:
        TargetError: It cannot; the text says which precisions there are.
    """
    import tvm
    from tvm.target.codegen import target_has_features

    if precision == TF32:
        raise TargetError(
            f"{precision} is a precision of NVIDIA's tensor cores, and the target is a CPU; give "
            "--precision bfloat16 or float16, which store weights in 16 bits, or float32."
        )
    made = tvm.target.Target(json.loads(target))
    lacking = target_has_features("sse2", made) and not target_has_features("f16c", made)
    if precision == "float16" and lacking:
        raise TargetError(
            f"The CPU {made.attrs.get('mcpu', '')!r} has no instructions that convert float16; "
            "give --precision bfloat16, or float32."
        )


def probe() -> dict[str, Any]:
    """Returns whether TVM has LLVM, and LLVM's name of the CPU."""
    import tvm

    return {
        "enabled": tvm.runtime.enabled(NAME),
        "cpu": tvm.target.codegen.llvm_get_system_cpu(),
    }


def devices(probed: Mapping[str, Any], error: str) -> list[Device]:
    """Returns the CPU as the only device."""
    cores = len(os.sched_getaffinity(0))
    trouble = "TVM was built without LLVM" if probed else f"TVM cannot be used: {error}"
    works = bool(probed.get("enabled"))
    note = f"LLVM's name of it is {probed.get('cpu')}" if works else trouble
    return [Device(NAME, device_name(cores), works, note)]


def rules(layout: str, rewriting: Scheduling | None) -> dict[str, Any]:
    """Returns rules that pack weights for a CPU's vectors, and Winograd's convolutions.

    They are for ``NHWC``. Where memory is to be saved, no convolution is by Winograd's algorithm
    and no number of columns is rounded up, as both take workspaces.
    """
    from chameleon_ray.compiler.passes import pack_weights, winograd_cpu

    if layout != "NHWC":
        return {}
    matmul = partial(pack_weights.matmul, rounding=rewriting is None, shared={})
    if rewriting is None:
        return {"relax.nn.conv2d": winograd_cpu.conv2d, "relax.matmul": matmul}
    conv2d = partial(pack_weights.conv2d, rounding=False)
    return {"relax.nn.conv2d": conv2d, "relax.matmul": matmul}


def alternatives(module: Any, rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns rules by which convolutions have other algorithms, where there are rules at all.

    By the first of them every convolution has its second algorithm, where it has one, and so on.
    What the rules pack for matrix products is shared.
    """
    from chameleon_ray.compiler.passes import winograd_cpu
    from chameleon_ray.compiler.relax import bindings_of, operator

    calls = [b.value for b in bindings_of(module) if operator(b.value) == "relax.nn.conv2d"]
    most = max((len(winograd_cpu.algorithms(call)) for call in calls), default=1)
    return [
        {**rules, "relax.nn.conv2d": partial(winograd_cpu.conv2d, choice=choice)}
        for choice in range(1, most if rules else 1)
    ]


def integers(module: Any, layout: str, rewriting: Scheduling | None) -> Any:
    """Turns layers of small integers into loops over dot products, in ``NHWC`` only."""
    from chameleon_ray.compiler.passes.integer_layers import integer_layers

    return integer_layers(module, rewriting is None) if layout == "NHWC" else module


def joined(module: Any, layout: str) -> Any:
    """Makes a layer of attention, and of a product with what follows it, in ``NHWC`` only."""
    from chameleon_ray.compiler.passes.attention import with_attention
    from chameleon_ray.compiler.passes.late_reshapes import with_late_reshapes

    return with_attention(with_late_reshapes(module)) if layout == "NHWC" else module


def widened(target: Any) -> dict[str, str]:
    """Returns the 16-bit floats, which are all computed in float32."""
    from tvm.target.codegen import target_has_features

    native = {"float16": "avx512fp16", "bfloat16": "avx512bf16"}
    return {
        dtype: f"there are no kernels yet that use this CPU's {dtype} arithmetic"
        if target_has_features(feature, target)
        else f"this CPU has no {dtype} arithmetic"
        for dtype, feature in native.items()
    }


def templates() -> Sequence[Any]:
    """Returns the templates for CPUs; see ``spaces.templates``."""
    from chameleon_ray.compiler.spaces.templates import TEMPLATES

    return TEMPLATES[NAME]


def generator(module: Any, target: Any) -> Any:
    """Returns the generator of MetaSchedule's own sketches for CPUs."""
    from chameleon_ray.compiler.spaces.rules import cpu_generator

    return cpu_generator(module, target)


def warm() -> None:
    """Registers the intrinsics that TVM's rules name, and this project's elementary functions."""
    register_intrinsics("x86")
    from chameleon_ray.compiler.dot_products import register_dot_products
    from chameleon_ray.compiler.passes.elementary import register_elementary

    register_dot_products()
    register_elementary()


def default(module: Any, target: Any) -> Any:
    """Returns the layer or model with its loops as they are."""
    return module


def compile_layer(module: Any, target: Any, linked: bool) -> Artifact:
    """Compiles a layer to LLVM IR, of which the runner makes machine code, or a shared library."""
    from chameleon_ray.compiler.codegen import cpu_library

    return cpu_library.compile_layer(module, target, linked)


def compile_model(module: Any, target: Any) -> Any:
    """Compiles a model; all of it, tuned or not, has this project's elementary functions."""
    import tvm

    from chameleon_ray.compiler.passes.elementary import register_elementary

    register_elementary()
    return tvm.compile(module, target)


def build_timeout(options: Measuring) -> float:
    return options.build_timeout


def runner(options: Measuring, cores: tuple[int, ...], device: str) -> Runner:
    """Makes a runner bound to these cores, which builds where it has nothing else to do."""
    from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner

    return CpuRunner(LLVM, options, cores, device)


def environment(threads: int) -> Environment:
    """Returns variables that give TVM so many threads, on the cores of their process."""
    from chameleon_ray.compiler.runtime.cpu_runner import timing_environment

    return timing_environment(threads)


def device() -> Any:
    import tvm

    return tvm.cpu()


LLVM = TargetKind(
    name=NAME,
    resolve=resolve,
    demand_precision=demand_precision,
    probe=probe,
    devices=devices,
    device_name=device_name,
    layout="NHWC",
    rules=rules,
    alternatives=alternatives,
    integers=integers,
    joined=joined,
    widened=widened,
    templates=templates,
    generator=generator,
    warm=warm,
    default=default,
    compile_layer=compile_layer,
    compile_model=compile_model,
    build_timeout=build_timeout,
    runner=runner,
    helps=True,
    environment=environment,
    device=device,
)
