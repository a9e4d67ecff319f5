"""Whether two runs are of one model, as far as their directories tell."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import UserError
from chameleon_ray.run_files import RunFiles


@dataclass(frozen=True)
class Known:
    """What is known of a model.

    Attributes:
        name: Its name.
        digest: Digest of its structure and weights; empty where that is not known.
        target: Complete target, as JSON.
        inputs: Shape and type of each input.
        layers: How often it has each layer, by the layer's digest, or 0 where that is not known.
    """

    name: str
    digest: str
    target: str
    inputs: Any
    layers: Mapping[str, float]


def known_of(prepared: Prepared) -> Known:
    """Returns what is known of a model that has just been imported."""
    shapes = [[list(array.shape), str(array.dtype)] for array in prepared.inputs]
    layers = {task.layer: task.weight for task in prepared.tasks if not task.instead}
    return Known(prepared.name, prepared.digest, prepared.target, shapes, layers)


def known_of_run(run: RunFiles) -> Known:
    """Returns what the directory of a run tells of its model.

    Raises:
        FolderError: The identity is damaged or was written by another version.
    """
    identity = run.identity() or {}
    lowerings = identity.get("lowerings", {})
    layers = dict.fromkeys((d for d in identity.get("spaces", {}) if d not in lowerings), 0.0)
    for digest, weight in _weights(run.summary).items():
        layer = lowerings.get(digest, digest)
        if layer in layers:
            layers[layer] = weight
    name, digest, target = (str(identity.get(k, "")) for k in ("model", "model_digest", "target"))
    return Known(name, digest, target, identity.get("inputs"), layers)


def demand_same(own: Known, path: Path, other: Known, baseline: Path) -> None:
    """Demands that two models may be compared, so that slower means something.

    They must have the same inputs and target, and be one model. They are where their names are
    equal, as options and versions give a model other layers, or their digests, or where they have
    the same layers equally often, as a model that was exported anew under another name.

    Args:
        own, other: What is known of the models.
        path, baseline: Where that is from, for people.

    Raises:
        UserError: They differ.
    """
    refused = f"{baseline} cannot be the baseline of {path}: "
    for key in ("inputs", "target"):
        if getattr(own, key) != getattr(other, key):
            raise UserError(
                f"{refused}their models' {key} differ; give a run of the same model for the same "
                "target."
            )
    if own.name != other.name and own.digest != other.digest and not _alike(own, other):
        raise UserError(
            f"{refused}it is a run of {other.name}, and that is {own.name}, which has other "
            "layers; give a run of the same model."
        )


def _alike(own: Known, other: Known) -> bool:
    """Whether models have the same layers, equally often as far as that is known of both."""
    if own.layers.keys() != other.layers.keys():
        return False
    pairs = ((count, other.layers[layer]) for layer, count in own.layers.items())
    return all(0 in pair or pair[0] == pair[1] for pair in pairs)


def _weights(summary: Path) -> dict[str, float]:
    """Returns how often a model has its layers, by digest; nothing where no summary tells it."""
    try:
        rows = json.loads(summary.read_text(encoding="utf-8"))["tasks"]
        return {str(row["digest"]): float(row["weight"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
