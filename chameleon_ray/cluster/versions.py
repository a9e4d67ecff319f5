"""Versions of the distributions that have to be the same on every node."""

import importlib.metadata
from collections.abc import Callable

PINNED = ("chameleon_ray", "ray", "apache-tvm", "apache-tvm-ffi")
"""Distributions whose versions must be the same on every node."""
NONE = "none"
"""Version of a distribution that is not installed."""
Versions = dict[str, str]
"""Versions by distribution; ``none`` for one that is not installed."""


def differences(where: str, theirs: Versions, ours: Versions) -> list[str]:
    """Returns a phrase for each distribution whose versions differ."""
    return [
        f"{where} has {name} {theirs[name]}, this one {ours[name]}"
        for name in ours
        if theirs[name] != ours[name]
    ]


def reader() -> Callable[[], Versions]:
    """Makes a function that reads a machine's versions.

    The function is nested, so that Ray sends its code to nodes where this package is missing.
    """
    names, missing = PINNED, NONE

    def read() -> Versions:
        found = {name: importlib.metadata.distributions(name=name) for name in names}
        return {name: next((d.version for d in ds), missing) for name, ds in found.items()}

    return read
