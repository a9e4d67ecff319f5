"""Targets: what the user asked for in, TVM's target as JSON and the device's name out."""

import json
import platform
from pathlib import Path
from typing import Any

KINDS = ("llvm",)
"""Kinds of target whose kernels can be timed here."""


class TargetError(Exception):
    """A target that cannot be used, in one sentence that says what to do."""


def resolve(text: str, threads: int) -> str:
    """A complete target as JSON.

    Args:
        text: ``llvm`` for this machine's CPU, or a target as JSON.
        threads: Threads a kernel may use; a JSON target's own ``num-cores`` goes before it.

    Raises:
        TargetError: It is unknown to TVM or cannot be timed on this machine.
    """
    import tvm

    try:
        fields = json.loads(text) if text.lstrip().startswith("{") else {"kind": text}
    except json.JSONDecodeError as error:
        raise TargetError(
            f"The target is not JSON ({error}); give llvm or a target such as "
            '\'{"kind": "llvm", "mcpu": "skylake"}\'.'
        ) from error
    kind = fields.get("kind")
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise TargetError(f"The target kind {kind!r} cannot be timed here; use one of: {known}.")
    llvm = tvm.target.codegen
    triple, here = fields.get("mtriple"), llvm.llvm_get_system_triple()
    if triple is not None and str(triple).partition("-")[0] != here.partition("-")[0]:
        raise TargetError(f"A target for {triple} cannot be timed here; this machine is {here}.")
    fields.setdefault("num-cores", threads)
    fields.setdefault("mcpu", llvm.llvm_get_system_cpu())
    try:
        target = tvm.target.Target(fields)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1].partition(" Target creation from")[0]
        raise TargetError(f"TVM does not accept the target {text}: {reason}") from error
    if fields["mcpu"] not in llvm.llvm_get_cpu_archlist(target):
        raise TargetError(
            f"LLVM knows no CPU {fields['mcpu']!r}; leave mcpu out for this machine's, "
            f"which is {llvm.llvm_get_system_cpu()!r}."
        )
    return str(target)


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
