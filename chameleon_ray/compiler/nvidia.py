"""NVIDIA GPUs: the resources a kernel may use, and its occupancy, by compute capability.

The figures are those of CUDA's programming guide (table "Technical specifications per compute
capability") and of ``cuda_occupancy.h``, which both come with the toolkit.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from chameleon_ray.compiler.target import TargetError

KIB = 1024
WARP = 32
MOST_THREADS = 1024
"""Most threads per block."""
MOST_BLOCKS = 65535
"""Most blocks along a grid's y, and along its z."""
STATIC_SHARED = 48 * KIB
"""Bytes of shared memory that a block may declare; more has to be asked for at launch."""
DYNAMIC = "shared.dyn"
"""Scope of buffers in the shared memory that a block asks for at launch."""
SHARED_LIMIT = "max_shared_memory_per_block"
"""Attribute of TVM's target; TVM has one limit for both kinds of shared memory."""
REGISTERS = 65536
"""Number of registers per multiprocessor, and per block."""
MOST_REGISTERS = 255
"""Most registers per thread."""
REGISTER_UNIT = 256
"""Number of registers in multiples of which a warp gets them."""
BUS_ORDER = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
"""Environment variable that makes CUDA number GPUs as NVML does."""
ARCH = re.compile(r"sm_(\d+)[af]?")


@dataclass(frozen=True)
class Multiprocessor:
    """The resources that the blocks on one multiprocessor share.

    Attributes:
        threads: Most resident threads.
        blocks: Most resident blocks.
        shared: Bytes of shared memory.
        reserved: Bytes of shared memory that the system takes per block.
        unit: Bytes in multiples of which a block gets shared memory.
    """

    threads: int
    blocks: int
    shared: int
    reserved: int = KIB
    unit: int = 128

    @property
    def opt_in(self) -> int:
        """Most bytes of shared memory that one block may ask for at launch."""
        return self.shared - self.reserved


MULTIPROCESSORS = {
    70: Multiprocessor(2048, 32, 96 * KIB, 0, 256),
    72: Multiprocessor(2048, 32, 96 * KIB, 0, 256),
    75: Multiprocessor(1024, 16, 64 * KIB, 0, 256),
    80: Multiprocessor(2048, 32, 164 * KIB),
    86: Multiprocessor(1536, 16, 100 * KIB),
    87: Multiprocessor(1536, 16, 164 * KIB),
    89: Multiprocessor(1536, 24, 100 * KIB),
    90: Multiprocessor(2048, 32, 228 * KIB),
    100: Multiprocessor(2048, 32, 228 * KIB),
    103: Multiprocessor(2048, 32, 228 * KIB),
    120: Multiprocessor(1536, 24, 100 * KIB),
}
"""Multiprocessors by compute capability, without the dot."""


def capability(arch: str) -> int | None:
    """Returns the number in an architecture's name, as 90 for ``sm_90a``; None for other names."""
    match = ARCH.fullmatch(arch)
    return int(match[1]) if match else None


def attributes(arch: str) -> dict[str, Any] | None:
    """Returns the attributes of TVM's target for an architecture; None where it is not known."""
    if capability(arch) not in MULTIPROCESSORS:
        return None
    return {
        "max_threads_per_block": MOST_THREADS,
        SHARED_LIMIT: STATIC_SHARED,
        "registers_per_block": REGISTERS,
        "thread_warp_size": WARP,
    }


def most_static(target: Any) -> int:
    """Returns the most bytes of shared memory that a block may declare, by a CUDA target."""
    return min(int(target.attrs[SHARED_LIMIT]), STATIC_SHARED)


def most_dynamic(target: Any) -> int:
    """Returns the most bytes of shared memory that a block may have, asked for at launch.

    Where the target says no more than what may be declared, it is what its architecture has.

    Args:
        target: A CUDA target with its architecture.
    """
    given = int(target.attrs[SHARED_LIMIT])
    known = MULTIPROCESSORS.get(capability(str(target.attrs.get("arch", ""))) or 0)
    return known.opt_in if known is not None and given == STATIC_SHARED else given


def roomy(target: Any) -> Any:
    """Returns a CUDA target whose limit is that of shared memory asked for at launch."""
    import tvm

    fields = json.loads(str(target))
    return tvm.target.Target({**fields, SHARED_LIMIT: most_dynamic(target)})


def completed(fields: dict[str, Any]) -> dict[str, Any]:
    """Adds the limits of its architecture to a GPU's target, where they are not given.

    Raises:
        TargetError: The architecture is missing, or not known.
    """
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


def occupancy(arch: str, threads: int, registers: int, shared: int) -> float:
    """Returns the share of a multiprocessor's warps that blocks of one kernel can keep resident.

    Args:
        arch: Architecture, as in the target.
        threads: Threads of a block.
        registers: Registers of a thread.
        shared: Bytes of a block's shared memory, static and dynamic.

    Returns:
        The share, from 0 to 1. At 0 not even one block fits, and the kernel cannot be launched.
    """
    sm = MULTIPROCESSORS[capability(arch) or 0]
    if not 0 < threads <= MOST_THREADS or shared > sm.opt_in or registers > MOST_REGISTERS:
        return 0.0
    warps = -(-threads // WARP)
    fitting = [sm.blocks, sm.threads // (warps * WARP)]
    if registers:
        per_warp = _rounded(registers * WARP, REGISTER_UNIT)
        quarter = REGISTERS // 4 // per_warp  # warps are spread over four schedulers
        fitting.append(4 * quarter // warps)
    if shared or sm.reserved:
        fitting.append(sm.shared // _rounded(shared + sm.reserved, sm.unit))
    return min(fitting) * warps * WARP / sm.threads


def _rounded(amount: int, unit: int) -> int:
    return -(-amount // unit) * unit
