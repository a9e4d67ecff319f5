"""The lock file: the winners of a model's layers as strict JSON, for version control.

It holds plain data only, and is checked when it is read. The same winners give the same text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

from chameleon_ray.errors import UserError
from chameleon_ray.space import Config

NAME = "chameleon.lock"
"""Name of the file in a run directory."""
SCHEMA = 1
OPTIONS: Mapping[str, tuple[type, ...]] = {
    "inputs": (list,),
    "layout": (str,),
    "precision": (str,),
    "memory_aware": (bool,),
    "template": (list,),
    "threads": (int, type(None)),
    "instances": (int,),
}
"""Options of a run that decide which layers a model has, and the types of their values."""


class LockError(UserError):
    """A lock that cannot be used, in one sentence that says what to do."""


@dataclass(frozen=True)
class LockedLayer:
    """The winner of one layer.

    Attributes:
        name: The layer's fused operators.
        space: Digest of its design space.
        config: Configuration of the winner; empty for the default schedule.
        latency: Seconds of the winner; infinite where the layer was not timed.
        default_latency: Seconds of the default schedule; infinite where it was not timed.
    """

    name: str
    space: str
    config: Config
    latency: float
    default_latency: float


@dataclass(frozen=True)
class Lock:
    """The winners of a model.

    Attributes:
        model: Name of the model.
        target: TVM target, as JSON.
        device: Device that timed.
        versions: Versions of the packages that matter.
        layers: Winner of each layer, by the layer's digest.
        options: Options that decide which layers the model has, by name; those of ``OPTIONS``, or
            none in locks of earlier versions.
        untuned, tuned: Seconds of the whole model; infinite where it was not timed.
    """

    model: str
    target: str
    device: str
    versions: Mapping[str, str]
    layers: Mapping[str, LockedLayer]
    options: Mapping[str, Any] = field(default_factory=dict)
    untuned: float = inf
    tuned: float = inf

    def dumps(self) -> str:
        """Returns the text of the file, which has a line per layer."""
        body = {
            "schema": SCHEMA,
            "model": self.model,
            "target": self.target,
            "device": self.device,
            "versions": dict(sorted(self.versions.items())),
            "options": {name: self.options[name] for name in OPTIONS if name in self.options},
            "seconds": {"untuned": _finite(self.untuned), "tuned": _finite(self.tuned)},
        }
        layers = [
            f"  {json.dumps(digest)}: {json.dumps(_body(layer), allow_nan=False)}"
            for digest, layer in sorted(self.layers.items())
        ]
        head = json.dumps(body, indent=1, allow_nan=False).removesuffix("\n}")
        return "\n".join([f'{head},\n "layers": {{', ",\n".join(layers), " }", "}", ""])

    @staticmethod
    def read(path: Path) -> "Lock":
        """Reads a lock file.

        Raises:
            LockError: It cannot be read, or is not a lock file of this version.
        """
        try:
            return _lock(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise LockError(
                f"The lock {path} cannot be read ({error.strerror}); give the {NAME} of a run."
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise LockError(
                f"{path} is no lock, as it is not JSON; give the {NAME} of a run."
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            said = f": {error}" if type(error) is ValueError else ""
            raise LockError(
                f"{path} is no lock of this version{said}; give the {NAME} of a run."
            ) from error


def _body(layer: LockedLayer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "space": layer.space,
        "config": list(layer.config),
        "seconds": _finite(layer.latency),
        "default_seconds": _finite(layer.default_latency),
    }


def _finite(seconds: float) -> float | None:
    return seconds if isfinite(seconds) else None


def _lock(body: Mapping[str, Any]) -> Lock:
    if body["schema"] != SCHEMA:
        raise ValueError(f"its schema is {body['schema']!r}")
    times, options = body.get("seconds", {}), body.get("options", {})
    return Lock(
        model=_text(body["model"]),
        target=_text(body["target"]),
        device=_text(body["device"]),
        versions={_text(name): _text(version) for name, version in body["versions"].items()},
        layers={digest: _layer(layer) for digest, layer in body["layers"].items()},
        options={name: _option(options, name) for name in OPTIONS if name in options},
        untuned=_seconds(times.get("untuned")),
        tuned=_seconds(times.get("tuned")),
    )


def _option(options: Mapping[str, Any], name: str) -> Any:
    value = options[name]
    if type(value) not in OPTIONS[name]:
        raise ValueError(f"its option {name} is {value!r}"[:80])
    return [_text(word) for word in value] if isinstance(value, list) else value


def _layer(body: Mapping[str, Any]) -> LockedLayer:
    config = body["config"]
    if not isinstance(config, list) or not all(type(number) is int for number in config):
        raise ValueError(f"a configuration is {config!r}"[:80])
    times = _seconds(body["seconds"]), _seconds(body["default_seconds"])
    return LockedLayer(_text(body["name"]), _text(body["space"]), tuple(config), *times)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a text is {value!r}"[:80])
    return value


def _seconds(value: Any) -> float:
    if value is None:
        return inf
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
        raise ValueError(f"a latency is {value!r}"[:80])
    return float(value)
