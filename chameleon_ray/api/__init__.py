"""The composition root: a request in, a tuned and verified model out. Sees every floor.

What it offers is imported when it is asked for: a replay needs neither Ray nor TVM.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chameleon_ray.api.building import build
    from chameleon_ray.api.choices import Stopped, UserError
    from chameleon_ray.api.finished import apply, bench
    from chameleon_ray.api.nodes import cluster_devices
    from chameleon_ray.api.run import TROUBLE, tune
    from chameleon_ray.api.zoo import survey, tune_zoo
    from chameleon_ray.api.zoo_file import read_zoo
    from chameleon_ray.compiler.devices import devices

__all__ = [
    "TROUBLE",
    "Stopped",
    "UserError",
    "apply",
    "bench",
    "build",
    "cluster_devices",
    "devices",
    "read_zoo",
    "survey",
    "tune",
    "tune_zoo",
]

HOMES = {
    "Stopped": "chameleon_ray.api.choices",
    "UserError": "chameleon_ray.api.choices",
    "build": "chameleon_ray.api.building",
    "apply": "chameleon_ray.api.finished",
    "bench": "chameleon_ray.api.finished",
    "TROUBLE": "chameleon_ray.api.run",
    "tune": "chameleon_ray.api.run",
    "read_zoo": "chameleon_ray.api.zoo_file",
    "survey": "chameleon_ray.api.zoo",
    "tune_zoo": "chameleon_ray.api.zoo",
    "devices": "chameleon_ray.compiler.devices",
    "cluster_devices": "chameleon_ray.api.nodes",
}
"""Where each name is made."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
