"""Says how much memory something needs that the GPU has too little for."""

import gc
import re
from contextlib import suppress

from chameleon_ray.compiler.runtime.cudart import CudaError, Cudart
from chameleon_ray.errors import UserError

FULL = re.compile(
    r"out[ _]of[ _]memory|memory ?allocation|resource allocation failed"
    r"|CUDNN_STATUS_(INTERNAL_ERROR_DEVICE_)?ALLOC",
    re.IGNORECASE,
)
"""Pattern of the errors of TVM, CUDA and the vendor's libraries where a GPU's memory is full."""
UNITS = ("KiB", "MiB", "GiB")


class GpuFullError(UserError):
    """A GPU has too little memory for something, in one sentence with both figures."""


def is_full(error: Exception) -> bool:
    """Whether an error says that the GPU's memory is full."""
    return FULL.search(str(error)) is not None


def full(what: str, needed: int) -> GpuFullError:
    """Makes the error for something, named in the plural, that needs at least so many bytes.

    It is called when the error that said so is handled, so that what was allocated is free again.
    """
    gc.collect()
    there = ""
    with suppress(CudaError, OSError):
        cudart = Cudart()
        cudart.forget_error()
        memory = cudart.memory()
        there = (
            f", of which {bytes_in_words(memory.free)} of {bytes_in_words(memory.total)} are free"
        )
    return GpuFullError(
        f"{what} need at least {bytes_in_words(needed)} of the GPU's memory{there}; end what else "
        "uses the GPU, or give a smaller batch."
    )


def bytes_in_words(count: int) -> str:
    """Returns a number of bytes with a unit, such as ``1.5 GiB``."""
    power = 0
    while count >= 1024 ** (power + 2) and power < len(UNITS) - 1:
        power += 1
    return f"{count / 1024 ** (power + 1):.1f} {UNITS[power]}"
