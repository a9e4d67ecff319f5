"""Features of CPUs: what code for a target needs, and what this machine has."""

import json
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
SAME = (
    *("ssse3", "popcnt", "avx", "avx2", "fma", "f16c", "bmi2", "movbe", "gfni"),
    *("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512ifma", "avx512vbmi"),
)
FLAGS = dict.fromkeys(SAME, "") | {
    "sse3": "pni",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
    "bmi": "bmi1",
    "lzcnt": "abm",
    "avxvnni": "avx_vnni",
    "avx512vbmi2": "avx512_vbmi2",
    "avx512vnni": "avx512_vnni",
    "avx512bitalg": "avx512_bitalg",
    "avx512vpopcntdq": "avx512_vpopcntdq",
    "avx512bf16": "avx512_bf16",
    "avx512fp16": "avx512_fp16",
}
"""Linux's names of the features that LLVM's code for loops may need, by LLVM's; empty where equal.

They are those of x86; on other CPUs none is known.
"""


def flags_of(target: str) -> list[str]:
    """Returns the features that code for a CPU target needs, by Linux's names.

    Args:
        target: Complete target, as JSON.
    """
    import tvm
    from tvm.target.codegen import llvm_get_cpu_features

    found: Any = llvm_get_cpu_features(tvm.target.Target(json.loads(target)))
    needed = {str(name) for name in found}
    return [flag or name for name, flag in FLAGS.items() if name in needed]


def flags_here() -> set[str] | None:
    """Returns the features of this machine's CPU; None where Linux does not list them so."""
    try:
        text = CPUINFO.read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return None


def lacking(needed: list[str]) -> list[str]:
    """Returns which of these features this machine is known to lack."""
    here = flags_here()
    return [] if here is None else [flag for flag in needed if flag not in here]
