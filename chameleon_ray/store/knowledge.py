"""What entries know of a layer that is to be tuned: measurements that count, and candidates."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chameleon_ray.options import Storing
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.space import Config
from chameleon_ray.store.entry import Chosen, Effort, Entry, EntryError
from chameleon_ray.store.key import Circumstances
from chameleon_ray.task import Task
from chameleon_ray.vendor import LIBRARIES, is_searched, values_of

STORE = "store"
"""Origin of records that come from a store."""


@dataclass(frozen=True)
class Known:
    """What is known of one layer.

    Attributes:
        records: One record of each configuration that was measured on the same device with the same
            versions; these need not be measured again.
        candidates: The best configurations of other devices or versions, best ones first.
        ended: Why the layer's search came to its end; empty where more may be found.
        effort: What its searches had, all together.
        chosen: The winner; None where none is known.
    """

    records: tuple[Record, ...] = ()
    candidates: tuple[Config, ...] = ()
    ended: str = ""
    effort: Effort = field(default_factory=Effort)
    chosen: Chosen | None = None

    def suffices(self, asked: Effort, least: float, options: Storing) -> bool:
        """Whether the layer need not be searched further.

        Args:
            asked: What a command would give the layer's search; infinite where it has no limit.
            least: Configurations of the space that must have been tried unless the search ended.
            options: Settings of the store.
        """
        if not any(record.latencies for record in self.records):
            return False
        tried = sum(is_searched(record.config) for record in self.records)
        had, enough = self.effort, options.enough
        if self.ended or tried < least:
            return bool(self.ended)
        return any(
            part >= enough * whole
            for part, whole in ((had.seconds, asked.seconds), (had.trials, asked.trials))
        )


def known_of(
    task: Task, entries: Iterable[Entry], circumstances: Circumstances, options: Storing
) -> Known:
    """Returns what a layer's entries know of it.

    Args:
        task: The layer.
        entries: Entries of which ``demand_fit`` approves.
        circumstances: Device and versions that the layer would be measured with.
        options: Settings of the store.
    """
    equal, other = list[Entry](), list[Entry]()
    for entry in entries:
        same = entry.space == task.space.digest and entry.circumstances == circumstances
        (equal if same else other).append(entry)
    records = _merged([record for entry in equal for record in entry.records])
    tried = {record.config for record in records}
    wrong = {r.config for r in records if r.status is Status.WRONG_ANSWER}
    winners = [entry.chosen for entry in equal if entry.chosen]
    right = [chosen for chosen in winners if chosen.config not in wrong]
    candidates = [c for entry in other for c in _best(task, entry, options) if c not in tried]
    return Known(
        tuple(_marked(task, record) for record in records),
        tuple(dict.fromkeys(candidates))[: options.candidates],
        next((entry.ended for entry in equal if entry.ended), ""),
        Effort(
            sum(entry.effort.seconds for entry in equal),
            sum(entry.effort.trials for entry in equal),
        ),
        min(right, key=lambda chosen: chosen.latency, default=None),
    )


def demand_fit(entry: Entry, task: Task) -> None:
    """Demands that all configurations of an entry of the task's own space are possible.

    Raises:
        EntryError: One is not.
    """
    if entry.space != task.space.digest:
        return
    configs = [record.config for record in entry.records]
    configs += [entry.chosen.config] if entry.chosen else []
    for config in configs:
        if not fits(config, task):
            raise EntryError(
                f"An entry of the layer {task.name} in the store has a configuration that its "
                "design space lacks."
            )


def fits(config: Config, task: Task) -> bool:
    """Whether a configuration is one of a layer's: of its space, the default, or a vendor's."""
    if is_searched(config):
        return task.space.has(config)
    vendor = len(config) == 3 and 0 <= config[1] < len(LIBRARIES) and config[2] >= 0
    return config == DEFAULT or vendor


def _merged(records: Sequence[Record]) -> list[Record]:
    """Returns one record of each configuration: a wrong answer, or else the middle success."""
    by_config: dict[Config, list[Record]] = {}
    for record in records:
        by_config.setdefault(record.config, []).append(record)
    return [_middle(several) for several in by_config.values()]


def _middle(several: Sequence[Record]) -> Record:
    wrong = [record for record in several if record.status is Status.WRONG_ANSWER]
    right = sorted((r for r in several if r.latencies), key=lambda record: record.latency)
    return (wrong or right[len(right) // 2 :] or several)[0]


def _marked(task: Task, record: Record) -> Record:
    """Marks a record as the store's; what it says of its knobs is said by the space instead."""
    config = record.config
    values = task.space.values(config) if is_searched(config) else values_of(config)
    return replace(record, values=json.dumps(values), finished=0.0, origin=STORE)


def _best(task: Task, entry: Entry, options: Storing) -> list[Config]:
    """Returns the best configurations of an entry, as far as the layer's space has them."""
    first = entry.chosen.config if entry.chosen else None
    right = [r for r in entry.records if r.latencies and is_searched(r.config)]
    right.sort(key=lambda record: (record.config != first, record.latency))
    same = entry.space == task.space.digest
    found = [
        r.config if same else task.space.config(json.loads(r.values))
        for r in right[: options.candidates]
    ]
    return [config for config in found if config is not None]
