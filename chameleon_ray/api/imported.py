"""What a session knows once its models are imported and judged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.api.tuned_model import TunedModel
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import UserError
from chameleon_ray.merging import Merged
from chameleon_ray.record import Record
from chameleon_ray.task import Task
from chameleon_ray.vendor import is_searched


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


def demand_own(records: Iterable[Record], tasks: Iterable[Task], where: Path) -> None:
    """Raises a ``UserError`` where records are of configurations that their tasks do not have."""
    spaces = {task.digest: task.space for task in tasks}
    for record in records:
        space = spaces.get(record.task)
        if space is None or not is_searched(record.config):
            continue
        known = len(record.config) == len(space.knobs)
        if not known or not all(0 <= c < d for c, d in zip(record.config, space.dims, strict=True)):
            raise UserError(
                f"{where} holds measurements of configurations that the layers do not have, and is "
                "damaged; choose another --out."
            )
