"""What several entries of one layer hold together.

A measurement may be in several of them: garbage collection publishes a merged entry before its
parts go, another machine's cache keeps the parts, and a run may be imported that was kept before.
It counts once.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from chameleon_ray.options import Storing
from chameleon_ray.record import Record, Status
from chameleon_ray.space import Config
from chameleon_ray.store.entry import Chosen, Effort, Entry

AS_BEFORE = "as fast as before"
"""Why a layer that was timed again was not searched; its search is what it was."""


def joined(entries: Sequence[Entry], options: Storing) -> Entry:
    """Returns one entry with everything that several entries of one layer hold."""
    return replace(
        entries[0],
        records=measurements(entries),
        ended=ended_of(entries),
        effort=effort_of(entries),
        chosen=chosen_of(entries, options),
    )


def uncovered(entries: Iterable[Entry], options: Storing) -> list[Entry]:
    """Leaves out entries of one layer that larger ones make superfluous, the largest first.

    Their measurements are in those, which also have the same winner and end without them.
    """
    kept = list[Entry]()
    for entry in sorted(entries, key=lambda one: -len(one.records)):
        more = [*kept, entry]
        if not kept or _said(more, options) != _said(kept, options):
            kept = more
    return kept


def _said(entries: Sequence[Entry], options: Storing) -> tuple[int, Chosen | None, str]:
    return len(measurements(entries)), chosen_of(entries, options), ended_of(entries)


def measurements(entries: Iterable[Entry]) -> tuple[Record, ...]:
    """Returns all records of some entries, each measurement once."""
    records = (record for entry in entries for record in entry.records)
    return tuple({_measurement(record): record for record in records}.values())


def effort_of(entries: Iterable[Entry]) -> Effort:
    """Returns what the searches had that measured something which larger entries do not have."""
    known, efforts = set[Hashable](), list[Effort]()
    for entry in sorted(entries, key=lambda one: -len(one.records)):
        own = set(map(_measurement, entry.records))
        if not own <= known:
            efforts.append(entry.effort)
            known |= own
    return Effort(sum(one.seconds for one in efforts), sum(one.trials for one in efforts))


def ended_of(entries: Iterable[Entry]) -> str:
    """Returns why a search ended; that it went on being as fast says least."""
    reasons = [entry.ended for entry in entries if entry.ended]
    return min(reasons, key=lambda reason: reason == AS_BEFORE, default="")


def chosen_of(entries: Sequence[Entry], options: Storing) -> Chosen | None:
    """Returns the fastest winner; one whose final timing was disturbed where there is no other."""
    wrong = wrong_of(entries)
    right = [e.chosen for e in entries if e.chosen and e.chosen.config not in wrong]
    order = [(one.disturbed > options.disturbed, one.latency) for one in right]
    return right[order.index(min(order))] if right else None


def wrong_of(entries: Iterable[Entry]) -> set[Config]:
    """Returns the configurations whose output was wrong."""
    records = (record for entry in entries for record in entry.records)
    return {record.config for record in records if record.status is Status.WRONG_ANSWER}


def _measurement(record: Record) -> Hashable:
    """What is equal in copies of a record; runs and hubs keep less of it than was measured."""
    return record.config, record.status, record.latencies, record.conditions
