"""Kernels of a vendor's libraries, as configurations beside a task's design space.

Such a configuration is ``(MARK, library, algorithm)``. The library is its number in ``LIBRARIES``,
the algorithm its rank by the library's own estimate of speed, from 0 on. No index of a design space
is negative, so nothing else begins with ``MARK``.
"""

from collections.abc import Sequence

from chameleon_ray.record import DEFAULT
from chameleon_ray.space import Config

MARK = -1
LIBRARIES = ("cuBLASLt", "cuDNN")
CALLS = "chameleon.vendor"
"""Attribute of TVM's functions that call a library, with its name."""
FILES = {"cuBLASLt": "libcublasLt.so.13", "cuDNN": "libcudnn.so.9"}
"""File of each library that must be there at run time."""
WHEEL_OF = {"cuBLASLt": "nvidia-cublas", "cuDNN": "nvidia-cudnn-cu13"}
"""Name of the package on PyPI that has the file."""


def vendor_config(library: str, algorithm: int) -> Config:
    """Returns the configuration of a library's algorithm."""
    return (MARK, LIBRARIES.index(library), algorithm)


def library_of(config: Sequence[int]) -> str:
    """Returns the library of a vendor's configuration; empty for any other configuration."""
    return LIBRARIES[config[1]] if config and config[0] == MARK else ""


def values_of(config: Sequence[int]) -> dict[str, str | int]:
    """Returns what a vendor's configuration chooses, by name; nothing for the default schedule."""
    return {} if config == DEFAULT else {"library": library_of(config), "algorithm": config[2]}


def is_searched(config: Config) -> bool:
    """Whether a configuration is of the design space: not the default, and no vendor's."""
    return config != DEFAULT and config[0] != MARK


def libraries_used(configs: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Returns the libraries of some configurations, each once, in the order of ``LIBRARIES``."""
    found = {library_of(config) for config in configs}
    return tuple(library for library in LIBRARIES if library in found)
