"""The layers of a session that are known well enough, and need not be searched, or not at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from chameleon_ray.api.concurrency import wall_limit
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.setup import Setup
from chameleon_ray.api.site import Site
from chameleon_ray.lowerings import by_layer
from chameleon_ray.record import Record, own
from chameleon_ray.report.format import counted
from chameleon_ray.report.layer_result import shown_name
from chameleon_ray.report.progress import Progress
from chameleon_ray.store.entry import Effort
from chameleon_ray.store.knowledge import Known
from chameleon_ray.store.merging import AS_BEFORE
from chameleon_ray.task import Task

SETTLED = "known from the store"
"""Why a layer is not searched again."""


@dataclass(frozen=True)
class KnownEnough:
    """What a session may leave out.

    Attributes:
        settled: Why layers are not searched, by digest.
        before: Seconds that layers took in earlier runs, by ``Task.layer``: these are timed again,
            and searched where they take longer. Infinite where they are not searched in any case.
    """

    settled: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)


def known_enough(
    site: Site,
    setup: Setup,
    tasks: Sequence[Task],
    known: Mapping[str, Known],
    records: Sequence[Record],
) -> KnownEnough:
    """Tells which layers need not be searched.

    Args:
        site: Directories and models of the session.
        setup: Search system of the session.
        tasks: Its layers that are to be tuned, as far as there is something to tune.
        known: What stores know of them, by digest.
        records: Measurements of earlier sessions in the same directory.
    """
    begun = {record.task for record in own(records)}  # by an earlier session, which goes on
    sufficing = _sufficing(site, setup, tasks, known) - begun
    settled = {digest: SETTLED for digest in sufficing if not known[digest].doubtful}
    before = {}
    for layer, lowerings in by_layer(tasks, lambda task: task).items():
        digests = {task.digest for task in lowerings}
        won = [known[digest].chosen for digest in digests]
        if site.request.refresh:
            before[layer] = min((one.latency for one in won if one), default=None)
        elif digests <= sufficing and not digests <= settled.keys():
            before[layer] = inf
    return KnownEnough(settled, {layer: one for layer, one in before.items() if one is not None})


def _sufficing(
    site: Site, setup: Setup, tasks: Sequence[Task], known: Mapping[str, Known]
) -> set[str]:
    """Returns the digests of layers whose stored searches had enough."""
    request, count = site.request, max(len(tasks), 1)
    limit, trials, options = wall_limit(request, len(site.models)), request.trials, request.storing
    asked = Effort(
        inf if limit is None else limit / count, inf if trials is None else trials / count
    )
    least = options.enough * setup.search.first_plan
    found = set()
    for task in tasks:
        one = known[task.digest]
        idle = bool(one.records and one.ended and task.instead)  # it need not work at all
        if idle or one.suffices(asked, min(least, task.space.size), options):
            found.add(task.digest)
    return found


def told(
    tasks: Sequence[Task],
    known: Mapping[str, Known],
    enough: KnownEnough,
    refresh: bool,
    installed: Collection[str] = (),
) -> str:
    """Tells how many layers need not be tuned, and what is known of the others.

    Args:
        tasks, known: As for ``known_enough``.
        enough: What came of it.
        refresh: Whether the store's winners are timed again.
        installed: Digests of the layers of which an installed hub has an entry.
    """
    layers = by_layer(tasks, lambda task: task)
    count = counted(len(layers), "layer")
    if refresh:
        again = len(enough.before)
        new = f"; {len(layers) - again} without a winner to tune" if again < len(layers) else ""
        return f"{again} of {count} to be timed again{new}."
    left = [own for own in layers.values() if any(t.digest not in enough.settled for t in own)]
    again = sum(own[0].layer in enough.before for own in left)
    others = [[known[t.digest] for t in own] for own in left if own[0].layer not in enough.before]
    begun = sum(any(one.records for one in own) for own in others)
    timed = sum(
        any(one.candidates for one in own) and not any(one.records for one in own) for own in others
    )
    whose = "its timing" if again == 1 else "their timings"
    hub = sum(any(t.digest in installed for t in own) for own in layers.values())
    parts = [
        f"{len(layers) - len(left)} of {count} known, {len(left) - again} to tune",
        f"{begun} of them known in part" if begun else "",
        f"{timed} of them with candidates to time first" if timed else "",
        f"{again} to be timed again, as other processes disturbed {whose}" if again else "",
    ]
    more = f" An installed hub has entries of {counted(hub, 'layer')}." if hub else ""
    return ", ".join(filter(None, parts)) + f".{more}"


def refreshed(imported: Imported, progress: Progress) -> str:
    """Tells which of the layers that were timed again are slower than they were."""
    names = {task.layer: shown_name(task) for task in imported.layers.distinct}
    kept = {one.task.layer for one in progress.layers.values() if one.reason == AS_BEFORE}
    slower = [names[layer] for layer in imported.before if layer not in kept]
    told = f"{len(imported.before) - len(slower)} of {counted(len(imported.before), 'layer')}"
    more = f"; slower than they were: {', '.join(slower)}" if slower else ""
    return f"{told} that were timed again are as fast as before{more}."
