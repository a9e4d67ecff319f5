"""What a session knows once its models are imported and judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chameleon_ray.api.tuned_model import TunedModel
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.merging import Merged
from chameleon_ray.record import Record
from chameleon_ray.store.knowledge import Known
from chameleon_ray.winners import Earlier


@dataclass(frozen=True)
class Imported:
    """The imported models of a session, their layers, and earlier measurements.

    Attributes:
        prepared: ``Prepared`` of each model that could be imported.
        layers: Distinct layers of the models that compute the right outputs.
        records: Measurements of earlier sessions, and those that stores knew.
        known: What stores know of each layer, by digest.
        settled: Why a layer is not searched, by digest; other layers are.
    """

    prepared: Mapping[TunedModel, Prepared]
    layers: Merged
    records: list[Record]
    known: Mapping[str, Known] = field(default_factory=dict)
    settled: Mapping[str, str] = field(default_factory=dict)

    @property
    def earlier(self) -> dict[str, Earlier]:
        """Winners of earlier runs, by digest."""
        return {
            digest: Earlier(known.chosen.config, digest in self.settled)
            for digest, known in self.known.items()
            if known.chosen is not None
        }
