"""What entries know of a layer that is to be tuned: measurements that count, and candidates."""

import json
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from chameleon_ray.layer_names import title
from chameleon_ray.options import Storing
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.space import Config
from chameleon_ray.store.entry import Chosen, Effort, Entry, EntryError
from chameleon_ray.store.key import Circumstances
from chameleon_ray.store.merging import (
    AS_BEFORE,
    chosen_of,
    effort_of,
    ended_of,
    measurements,
    wrong_of,
)
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
        doubtful: Candidates that were measured with these versions on this device, while other
            processes disturbed it.
    """

    records: tuple[Record, ...] = ()
    candidates: tuple[Config, ...] = ()
    ended: str = ""
    effort: Effort = field(default_factory=Effort)
    chosen: Chosen | None = None
    doubtful: tuple[Config, ...] = ()

    def suffices(self, asked: Effort, least: float, options: Storing) -> bool:
        """Whether the layer need not be searched further.

        Args:
            asked: What a command would give the layer's search; infinite where it has no limit.
            least: Configurations of the space that must have been tried unless the search ended.
            options: Settings of the store.
        """
        if not self.doubtful and not any(record.latencies for record in self.records):
            return False
        configs = [record.config for record in self.records]
        tried = sum(map(is_searched, (*configs, *self.doubtful)))
        had, enough = self.effort, options.enough
        if self.ended != AS_BEFORE and (self.ended or tried < least):
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
    equal, other = _parted(task, entries, circumstances)
    timed = measurements(equal)
    records, times = _merged(timed, options), Counter(record.config for record in timed)
    believed = {config for config, count in times.items() if count > 1}
    doubtful = _doubtful(records, believed, options)
    tried = {record.config for record in records}
    candidates = [c for entry in other for c in _best(task, entry, options) if c not in tried]
    return Known(
        tuple(_marked(task, record) for record in records if record.config not in doubtful),
        (*doubtful, *tuple(dict.fromkeys(candidates))[: options.candidates]),
        ended_of(equal),
        effort_of(equal),
        chosen_of(equal, options),
        doubtful,
    )


def to_refresh(
    task: Task, entries: Iterable[Entry], circumstances: Circumstances, options: Storing
) -> Known:
    """Returns what is to be timed again of a layer: its stored winner and runners-up.

    The winner is that of the present circumstances, or else the fastest one of the same device.
    The effort is that of searches with other versions. Arguments are those of ``known_of``.
    """
    equal, other = _parted(task, entries, circumstances)
    here = [entry for entry in other if entry.circumstances.device == circumstances.device]
    won = [entry for entry in equal if entry.chosen] or [entry for entry in here if entry.chosen]
    chosen = chosen_of(won, options)
    first = [entry for entry in won if entry.chosen == chosen][:1]
    wrong = wrong_of(equal)
    found = (c for entry in (*first, *equal, *other) for c in _best(task, entry, options))
    candidates = tuple(dict.fromkeys(c for c in found if c not in wrong))
    config = _own(task, first[0], chosen.config) if chosen else None
    if chosen is None or config is None:
        return Known(candidates=candidates[: options.candidates])
    candidates = tuple(c for c in dict.fromkeys((config, *candidates)) if c != DEFAULT)
    past = [one for one in here if one.circumstances == first[0].circumstances]
    kept = replace(chosen, config=config)
    return Known((), candidates[: options.candidates], ended_of(past), effort_of(past), kept)


def _parted(
    task: Task, entries: Iterable[Entry], circumstances: Circumstances
) -> tuple[list[Entry], list[Entry]]:
    """Parts entries into those whose latencies count as measured, and others."""
    equal, other = list[Entry](), list[Entry]()
    for entry in entries:
        same = entry.space == task.space.digest and entry.circumstances == circumstances
        (equal if same else other).append(entry)
    return equal, other


def _doubtful(
    records: Sequence[Record], believed: Container[Config], options: Storing
) -> tuple[Config, ...]:
    """Returns the configurations that may be the best, were their timings not disturbed.

    Args:
        records: A record of each configuration.
        believed: Configurations that were timed more than once.
        options: Settings of the store.
    """
    right = sorted((r for r in records if r.latencies), key=lambda record: record.latency)
    doubted = {r.config for r in right if r.disturbed > options.disturbed}
    doubted -= {config for config in doubted if config in believed}
    best = min((r.latency for r in right if r.config not in doubted), default=inf)
    found = [
        r.config for r in right if r.config in doubted and r.latency * (1 - r.disturbed) < best
    ]
    return tuple(found[: options.doubtful])


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
                f"An entry of the layer {title(task)} in the store has a configuration that its "
                "design space lacks."
            )


def fits(config: Config, task: Task) -> bool:
    """Whether a configuration is one of a layer's: of its space, the default, or a vendor's."""
    if is_searched(config):
        return task.space.has(config)
    vendor = len(config) == 3 and 0 <= config[1] < len(LIBRARIES) and config[2] >= 0
    return config == DEFAULT or vendor


def _merged(records: Sequence[Record], options: Storing) -> list[Record]:
    """Returns one record of each configuration: a wrong answer, or else the middle success.

    Of timings that were disturbed and others, the others count.
    """
    by_config: dict[Config, list[Record]] = {}
    for record in records:
        by_config.setdefault(record.config, []).append(record)
    return [_middle(several, options) for several in by_config.values()]


def _middle(several: Sequence[Record], options: Storing) -> Record:
    wrong = [record for record in several if record.status is Status.WRONG_ANSWER]
    right = sorted((r for r in several if r.latencies), key=lambda record: record.latency)
    right = [r for r in right if r.disturbed <= options.disturbed] or right
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
    found = [_own(task, entry, record.config, record) for record in right[: options.candidates]]
    return [config for config in found if config is not None]


def _own(task: Task, entry: Entry, config: Config, record: Record | None = None) -> Config | None:
    """Returns an entry's configuration as one of a layer's space; None where it has none.

    Args:
        task: The layer.
        entry: The entry.
        config: The configuration, in the entry's space.
        record: The configuration's record, where it is known.
    """
    if not is_searched(config) or entry.space == task.space.digest:
        return config if fits(config, task) else None
    record = record or next((r for r in entry.records if r.config == config), None)
    return None if record is None else task.space.config(json.loads(record.values))
