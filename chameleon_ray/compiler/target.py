"""Targets as the user gives them, the targets that TVM makes of them, and figures of CPUs."""

import json
import platform
from pathlib import Path
from typing import Any

from chameleon_ray.errors import UserError


class TargetError(UserError):
    """A target that cannot be used, in one sentence that says what to do."""


def arch_of(text: str) -> str:
    """Returns the architecture that a target names; empty where it names none."""
    return str(fields_of(text).get("arch", ""))


def fields_of(text: str) -> dict[str, Any]:
    """Reads TVM's fields from a target as the user gives it.

    Raises:
        TargetError: The target begins like JSON, but is none.
    """
    if not text.lstrip().startswith("{"):
        kind, _, arch = text.partition(":")
        return {"kind": kind, "arch": arch} if arch else {"kind": text}
    try:
        return dict(json.loads(text))
    except json.JSONDecodeError as error:
        raise TargetError(
            f"The target is not JSON ({error}); give llvm, cuda, cuda:sm_90 or a target such as "
            '\'{"kind": "llvm", "mcpu": "skylake"}\'.'
        ) from error


def made(text: str, fields: dict[str, Any]) -> Any:
    """Makes TVM's target from its fields; ``text`` is the user's, for the error.

    Raises:
        TargetError: TVM does not accept the fields.
    """
    import tvm

    try:
        return tvm.target.Target(fields)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1].partition(" Target creation from")[0]
        raise TargetError(f"TVM does not accept the target {text}: {reason}") from error


def vector_bits(target: Any) -> int:
    """Returns the width in bits of a CPU's vectors. TVM's own answer is 512 for any x86."""
    from tvm.target.codegen import target_has_features

    wide = {"avx512f": 512, "avx": 256}
    return max(
        (bits for name, bits in wide.items() if target_has_features(name, target)), default=128
    )


def vector_registers(target: Any) -> int:
    """Returns a CPU's number of vector registers: 32 with AVX-512 and on 64-bit ARM, else 16."""
    arm = str(target.attrs.get("mtriple", "")).startswith("aarch64")
    return 32 if arm or vector_bits(target) == 512 else 16


def device_name(cores: int, instances: int = 1) -> str:
    """Returns the CPU's model name and the cores that time, for people.

    Args:
        cores: Number of all cores that time.
        instances: Number of copies of a kernel that run on them at once, each on as many.
    """
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        name = models[0] if models else name
    each = cores // instances
    copies = f"{instances} x " if instances > 1 else ""
    return f"{name}, {copies}{each} core{'s' if each > 1 else ''}"
