"""What a session knows once its models are imported and judged."""

from collections.abc import Mapping
from dataclasses import dataclass

from chameleon_ray.api.tuned_model import TunedModel
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.merging import Merged
from chameleon_ray.record import Record


@dataclass(frozen=True)
class Imported:
    """The imported models of a session, their layers, and earlier measurements.

    Attributes:
        prepared: ``Prepared`` of each model that could be imported.
        layers: Distinct layers of the models that compute the right outputs.
        records: Measurements of earlier sessions.
    """

    prepared: Mapping[TunedModel, Prepared]
    layers: Merged
    records: list[Record]
