"""The Python interface, and the composition root that puts the parts of the package together.

Each name is imported when it is asked for, as a replay needs neither Ray nor TVM.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chameleon_ray.importing import uncollected

if TYPE_CHECKING:
    from chameleon_ray.api.bucketed import tune_buckets
    from chameleon_ray.api.build_only import build
    from chameleon_ray.api.checking import check, check_lock
    from chameleon_ray.api.exporting import export
    from chameleon_ray.api.finished_run import apply, bench
    from chameleon_ray.api.gpu_assignment import cluster_devices
    from chameleon_ray.api.run import tune
    from chameleon_ray.api.zoo import survey, tune_zoo
    from chameleon_ray.api.zoo_file import read_zoo
    from chameleon_ray.compiler.kinds.devices import devices
    from chameleon_ray.errors import Stopped, UserError

__all__ = [
    "Stopped",
    "UserError",
    "apply",
    "bench",
    "build",
    "check",
    "check_lock",
    "cluster_devices",
    "devices",
    "export",
    "read_zoo",
    "survey",
    "tune",
    "tune_buckets",
    "tune_zoo",
]

ORIGINS = {
    "Stopped": "chameleon_ray.errors",
    "UserError": "chameleon_ray.errors",
    "tune_buckets": "chameleon_ray.api.bucketed",
    "build": "chameleon_ray.api.build_only",
    "export": "chameleon_ray.api.exporting",
    "apply": "chameleon_ray.api.finished_run",
    "bench": "chameleon_ray.api.finished_run",
    "check": "chameleon_ray.api.checking",
    "check_lock": "chameleon_ray.api.checking",
    "tune": "chameleon_ray.api.run",
    "read_zoo": "chameleon_ray.api.zoo_file",
    "survey": "chameleon_ray.api.zoo",
    "tune_zoo": "chameleon_ray.api.zoo",
    "devices": "chameleon_ray.compiler.kinds.devices",
    "cluster_devices": "chameleon_ray.api.gpu_assignment",
}
"""Module that defines each name."""


def __getattr__(name: str) -> Any:
    if name not in ORIGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with uncollected():
        return getattr(import_module(ORIGINS[name]), name)
