"""Ray-parallel autotuning of whole deep-learning models, after Chameleon (Ahn et al., 2020).

The Python interface. Each name is imported when it is asked for: importing the package loads
neither Ray, TVM nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chameleon_ray.errors import Stopped, UserError
    from chameleon_ray.interface.memory import memory
    from chameleon_ray.interface.records import records
    from chameleon_ray.interface.relax_pass import relax_pass
    from chameleon_ray.interface.tuned_model import TunedModel, load
    from chameleon_ray.interface.tuning import tune
    from chameleon_ray.interface.zoo import zoo

__all__ = [
    "Stopped",
    "TunedModel",
    "UserError",
    "load",
    "memory",
    "records",
    "relax_pass",
    "tune",
    "zoo",
]
__version__ = "0.1.0"
ORIGINS = {
    "Stopped": "chameleon_ray.errors",
    "UserError": "chameleon_ray.errors",
    "TunedModel": "chameleon_ray.interface.tuned_model",
    "load": "chameleon_ray.interface.tuned_model",
    "memory": "chameleon_ray.interface.memory",
    "records": "chameleon_ray.interface.records",
    "relax_pass": "chameleon_ray.interface.relax_pass",
    "tune": "chameleon_ray.interface.tuning",
    "zoo": "chameleon_ray.interface.zoo",
}
"""Module that defines each name."""


def __getattr__(name: str) -> Any:
    if name not in ORIGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(ORIGINS[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
