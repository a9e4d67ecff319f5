"""What a session knows once its models are imported and judged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.errors import UserError
from chameleon_ray.lowerings import by_layer
from chameleon_ray.merging import Merged
from chameleon_ray.record import Record
from chameleon_ray.space import Config
from chameleon_ray.store.knowledge import Known
from chameleon_ray.task import Task
from chameleon_ray.vendor import is_searched
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
        before: Seconds that layers took in earlier runs, by ``Task.layer``; these are timed again,
            and searched where they take longer.
        locked: Configurations of the directory's own lock, by digest.
    """

    prepared: Mapping[SessionModel, Prepared]
    layers: Merged
    records: list[Record]
    known: Mapping[str, Known] = field(default_factory=dict)
    settled: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)
    locked: Mapping[str, Config] = field(default_factory=dict)

    @property
    def earlier(self) -> dict[str, Earlier]:
        """Winners of earlier runs, one of each layer, by the digest of the lowering.

        The store's come before the lock's; of several lowerings that won at some time, it is the
        fastest.
        """
        found = {}
        for tasks in by_layer(self.layers.tasks, lambda task: task).values():
            digests = [task.digest for task in tasks]
            stored = {d: self.known[d].chosen for d in digests if d in self.known}
            won = {digest: chosen for digest, chosen in stored.items() if chosen is not None}
            if won:
                digest = min(won, key=lambda one: won[one].latency)
                tunable = {task.digest for task in tasks if task.space.knobs}
                settled = self.settled.keys() >= tunable
                found[digest] = Earlier(won[digest].config, settled)
            elif locked := [digest for digest in digests if digest in self.locked]:
                found[locked[0]] = Earlier(self.locked[locked[0]])
        return found


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
