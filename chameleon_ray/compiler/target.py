"""Targets: what the user asked for in, TVM's target as JSON and the device's name out."""

import json
import platform
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.nvidia import MULTIPROCESSORS, attributes, capability
from chameleon_ray.errors import UserError

KINDS = ("llvm", "cuda")
"""Kinds of target that there are builders and runners for."""
GPU = "cuda"
"""The target that stands for whatever GPU the runner has."""


LAYOUTS = {"llvm": "NHWC", "cuda": "NCHW"}
"""Of 2-D convolutions, by kind of target."""


class TargetError(UserError):
    """A target that cannot be used, in one sentence that says what to do."""


def is_gpu(target: Any) -> bool:
    """Whether a target, as the user gives it or TVM's own, is a GPU's."""
    text = str(target)
    return text == GPU or text.startswith(f"{GPU}:") or '"cuda"' in text


def layout_of(layout: str, target: Any) -> str:
    """The layout that was asked for; for ``auto`` the one that suits the target."""
    return LAYOUTS["cuda" if is_gpu(target) else "llvm"] if layout == "auto" else layout


def arch_of(text: str) -> str:
    """A GPU's architecture, where the target gives it."""
    return str(_fields(text).get("arch", ""))


def resolve(text: str, threads: int) -> str:
    """A complete target as JSON.

    Args:
        text: ``llvm`` for this machine's CPU, ``cuda:sm_90`` for a GPU of that architecture, or a
            target as JSON. A plain ``cuda`` is for the runner to complete, which has the GPU.
        threads: Threads a kernel may use on a CPU; a JSON target's own ``num-cores`` goes before.

    Raises:
        TargetError: It is unknown to TVM, or this machine can do nothing with it.
    """
    fields = _fields(text)
    kind = fields.get("kind")
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise TargetError(f"The target kind {kind!r} cannot be tuned for; use one of: {known}.")
    if kind == "cuda":
        return str(_made(text, _complete_gpu(fields)))
    return str(_complete_cpu(text, fields, threads))


def demand_known(text: str) -> None:
    """Sees to it that a GPU's architecture, where one is given, is one of them; without TVM.

    Raises:
        TargetError: It is not.
    """
    if is_gpu(text) and text != GPU:
        _complete_gpu(_fields(text))


def _fields(text: str) -> dict[str, Any]:
    """A target as the user gives it, as TVM's fields."""
    if not text.lstrip().startswith("{"):
        kind, _, arch = text.partition(":")
        return {"kind": kind, "arch": arch} if kind == "cuda" and arch else {"kind": text}
    try:
        return dict(json.loads(text))
    except json.JSONDecodeError as error:
        raise TargetError(
            f"The target is not JSON ({error}); give llvm, cuda, cuda:sm_90 or a target such as "
            '\'{"kind": "llvm", "mcpu": "skylake"}\'.'
        ) from error


def _complete_gpu(fields: dict[str, Any]) -> dict[str, Any]:
    """A GPU's limits by its architecture, where they are not given; nothing is read of a device."""
    arch = str(fields.get("arch", ""))
    if not arch:
        raise TargetError(
            "A target for CUDA without its architecture is completed where the GPU is; on a "
            "machine without one give it as in cuda:sm_90."
        )
    known = attributes(arch)
    if known is None:
        names = ", ".join(f"sm_{number}" for number in MULTIPROCESSORS)
        what = "no GPU's" if capability(arch) is None else "not known"
        raise TargetError(f"The architecture {arch!r} is {what}; use one of: {names}.")
    return {"host": {"kind": "llvm"}, **known, **fields}


def _complete_cpu(text: str, fields: dict[str, Any], threads: int) -> Any:
    import tvm

    llvm = tvm.target.codegen
    triple, here = fields.get("mtriple"), llvm.llvm_get_system_triple()
    if triple is not None and str(triple).partition("-")[0] != here.partition("-")[0]:
        raise TargetError(f"A target for {triple} cannot be timed here; this machine is {here}.")
    fields.setdefault("num-cores", threads)
    fields.setdefault("mcpu", llvm.llvm_get_system_cpu())
    target = _made(text, fields)
    if fields["mcpu"] not in llvm.llvm_get_cpu_archlist(target):
        raise TargetError(
            f"LLVM knows no CPU {fields['mcpu']!r}; leave mcpu out for this machine's, "
            f"which is {llvm.llvm_get_system_cpu()!r}."
        )
    return target


def _made(text: str, fields: dict[str, Any]) -> Any:
    """TVM's target of its fields, or its objection to them as a sentence."""
    import tvm

    try:
        return tvm.target.Target(fields)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1].partition(" Target creation from")[0]
        raise TargetError(f"TVM does not accept the target {text}: {reason}") from error


def vector_bits(target: Any) -> int:
    """Width of a CPU's vectors. TVM's own answer is 512 for any x86."""
    from tvm.target.codegen import target_has_features

    wide = {"avx512f": 512, "avx": 256}
    return max(
        (bits for name, bits in wide.items() if target_has_features(name, target)), default=128
    )


def vector_registers(target: Any) -> int:
    """How many vectors a CPU has at hand: 32 with AVX-512 and on 64-bit ARM, else 16."""
    arm = str(target.attrs.get("mtriple", "")).startswith("aarch64")
    return 32 if arm or vector_bits(target) == 512 else 16


def device_name(cores: int) -> str:
    """The CPU's model name and the number of cores that time."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        name = models[0] if models else name
    return f"{name}, {cores} core{'s' if cores > 1 else ''}"
