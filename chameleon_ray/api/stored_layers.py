"""The layers of a session in stores: what is known of them is taken, what is new is given."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf

from chameleon_ray.api.concurrency import wall_limit
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.setup import Setup
from chameleon_ray.api.site import Site
from chameleon_ray.api.tuned_model import circumstances_of
from chameleon_ray.budget import lasts
from chameleon_ray.lowerings import by_layer
from chameleon_ray.options import Storing
from chameleon_ray.record import Record, own
from chameleon_ray.report.format import counted
from chameleon_ray.report.progress import Progress
from chameleon_ray.space import Config
from chameleon_ray.store.entry import Chosen, Effort, Entry, EntryError
from chameleon_ray.store.key import Circumstances, Key, kind_folder, target_folder
from chameleon_ray.store.knowledge import Known, demand_fit, known_of
from chameleon_ray.store.store import Store
from chameleon_ray.task import Task
from chameleon_ray.winners import Winner

SETTLED = "known from the store"
"""Why a layer is not searched again."""
LISTINGS = 3
"""Most times that a store is listed, whose entries another process may merge meanwhile."""


@dataclass
class StoredLayers:
    """Takes what stores know of a session's layers, and gives them what the session finds.

    Attributes:
        site: Directories and models of the session.
        setup: Store, entries of earlier runs, and what tasks know of each other.
        groups: Device groups of the session, whose devices are known.
        progress: Progress of the command, which is told what is known.
        winners: Winners by task digest, once they are chosen.
    """

    site: Site
    setup: Setup
    groups: Sequence[DeviceGroup]
    progress: Progress
    winners: Mapping[str, Winner] = field(default_factory=dict)
    _circumstances: dict[str, Circumstances] = field(default_factory=dict)
    _keys: list[Key] = field(default_factory=list)

    def recall(self, imported: Imported) -> Imported:
        """Adds what stores and earlier runs know of the layers to what is known of the models.

        Measurements that need not be made again become records of the session, marked.
        """
        store = self.setup.store
        if store is not None:
            store.tell = self.progress.note
        if store is None and not self.setup.earlier:
            return imported
        for group in self.groups:
            for digest in group.digests(imported.prepared):
                request = group.models[0].request
                self._circumstances[digest] = circumstances_of(
                    group.device, request.target, request.template
                )
        tasks = [task for task in imported.layers.tasks if task.space.knobs]
        by_task, self._keys = fitting(store, tasks, self.setup.earlier, self.progress.note)
        options = self.site.request.storing
        known = {
            task.digest: known_of(
                task, by_task[task.digest], self._circumstances[task.digest], options
            )
            for task in tasks
        }
        settled = self._settled(tasks, known, imported.records)
        self._teach([task for task in tasks if task.digest not in settled])
        records = self._taken(known, imported.records)
        self._tell(tasks, known, settled)
        return replace(imported, records=records, known=known, settled=settled)

    @contextmanager
    def keeping(self, imported: Imported) -> Iterator[None]:
        """Gives the store what the block measured, also where it is interrupted."""
        began, limit = self.progress.elapsed, None
        try:
            yield
            limit = wall_limit(self.site.request, len(self.site.models))
        finally:
            if self.setup.store is not None:
                self._give(imported, limit or self.progress.elapsed - began)

    def _settled(
        self, tasks: Sequence[Task], known: Mapping[str, Known], records: Sequence[Record]
    ) -> dict[str, str]:
        """Returns why layers are not searched, by digest; others are."""
        request, count = self.site.request, max(len(tasks), 1)
        limit, trials = wall_limit(request, len(self.site.models)), request.trials
        asked = Effort(
            inf if limit is None else limit / count, inf if trials is None else trials / count
        )
        least = request.storing.enough * self.setup.search.first_plan
        sizes = {task.digest: task.space.size for task in tasks}
        others = {task.digest for task in tasks if task.instead}  # which need not work at all
        begun = {record.task for record in own(records)}  # by an earlier session, which goes on
        return {
            digest: SETTLED
            for digest, one in known.items()
            if digest not in begun
            and (
                one.suffices(asked, min(least, sizes[digest]), request.storing)
                or bool(one.records and one.ended and digest in others)
            )
        }

    def _teach(self, tasks: Iterable[Task]) -> None:
        """Teaches layers that are searched what the store has of others of their kinds."""
        store, transfer = self.setup.store, self.setup.transfer
        if store is None or transfer is None:
            return
        for kind in dict.fromkeys(task.kind for task in tasks):
            keys = {
                key.task: key
                for key in self._keys
                if key.kind == kind_folder(kind) and key.task not in self._circumstances
            }
            chosen = list(keys.values())[: self.site.request.storing.teachers]
            for entry in store.entries(chosen):
                transfer.learn(kind, entry.records)

    def _taken(self, known: Mapping[str, Known], before: list[Record]) -> list[Record]:
        """Adds known records to those of earlier sessions, and keeps them in the directory."""
        there = {(record.task, record.config) for record in before}
        fresh = [
            r for one in known.values() for r in one.records if (r.task, r.config) not in there
        ]
        first = max((record.sequence + 1 for record in before), default=0)
        taken = [replace(record, sequence=first + n) for n, record in enumerate(fresh)]
        self.site.folder.database.append(taken)
        return [*before, *taken]

    def _tell(
        self, tasks: Sequence[Task], known: Mapping[str, Known], settled: Mapping[str, str]
    ) -> None:
        """Says how many layers need not be tuned, and what is known of the others."""
        layers = by_layer(tasks, lambda task: task).values()
        left = [own for own in layers if any(task.digest not in settled for task in own)]
        others = [[known[task.digest] for task in own] for own in left]
        begun = sum(any(one.records for one in own) for own in others)
        timed = sum(
            any(one.candidates for one in own) and not any(one.records for one in own)
            for own in others
        )
        done = len(layers) - len(left)
        parts = [
            f"{done} of {counted(len(layers), 'layer')} known, {len(left)} to tune",
            f"{begun} of them known in part" if begun else "",
            f"{timed} of them with candidates to time first" if timed else "",
        ]
        self.progress.note(", ".join(filter(None, parts)) + ".")

    def _give(self, imported: Imported, seconds: float) -> None:
        """Gives the store an entry for every layer of which something was measured.

        Args:
            imported: What was known before.
            seconds: Seconds that the command had, or its search where it was interrupted.
        """
        store, records = self.setup.store, own(self.site.folder.database.read())
        assert store is not None
        there = {
            (r.task, r.config, r.status) for one in imported.known.values() for r in one.records
        }
        by_task: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            if (record.task, record.config, record.status) not in there:
                by_task[record.task].append(record)
        layers = imported.layers.tasks
        tasks = [task for task in layers if by_task[task.digest] and task.space.knobs]
        made = sum(len(by_task[task.digest]) for task in tasks)
        searched = max(len(tasks), 1)
        effort = Effort(seconds / searched, made / searched)
        store.publish(self._entry(task, by_task[task.digest], effort) for task in tasks)
        digests = self._circumstances.keys()
        store.level(key for key in self._keys if key.task in digests)

    def _entry(self, task: Task, records: Sequence[Record], effort: Effort) -> Entry:
        winner, layer = self.winners.get(task.layer), self.progress.layers.get(task.digest)
        chosen = None
        if winner is not None and winner.task == task.digest and winner.confirmed:
            chosen = Chosen(winner.config, winner.latency, winner.default_latency)
        return Entry(
            name=task.name,
            shape=task.shape,
            task=task.digest,
            target=task.target,
            space=task.space.digest,
            circumstances=self._circumstances[task.digest],
            records=tuple(records),
            ended=layer.reason if layer and lasts(layer.reason) else "",
            effort=effort,
            chosen=chosen,
        )


def fitting(
    store: Store | None, tasks: Sequence[Task], more: Sequence[Entry], tell: Callable[[str], None]
) -> tuple[dict[str, list[Entry]], list[Key]]:
    """Finds the entries of layers that fit the layers' spaces.

    Args:
        store: The store; None where there is none.
        tasks: The layers.
        more: Entries from elsewhere.
        tell: Called with a sentence about an entry that is refused where there is no store.

    Returns:
        The entries by the layers' digests, and the keys of all of the targets' entries.
    """
    by_digest = {task.digest: task for task in tasks}
    found: dict[str, list[Entry]] = defaultdict(list)
    keys, entries = list[Key](), list(more)
    if store is not None:
        folders = dict.fromkeys(target_folder(task.target) for task in tasks)
        for _ in range(LISTINGS):
            keys = [key for folder in folders for key in store.entry_keys(folder)]
            wanted = [key for key in keys if key.task in by_digest]
            stored = store.entries(wanted)
            if len(stored) == sum(key not in store.refused for key in wanted):
                break
        entries += stored
    for entry in entries:
        try:
            if entry.task in by_digest:
                demand_fit(entry, by_digest[entry.task])
                found[entry.task].append(entry)
        except EntryError as error:
            (store.refuse if store is not None else tell)(str(error))
    return found, keys


def stored_winners(
    store: Store | None, tasks: Sequence[Task], circumstances: Circumstances, options: Storing
) -> dict[str, tuple[Config, float]]:
    """Returns the winners that a store has of layers, and their seconds, by digest."""
    by_task, _ = fitting(store, tasks, (), lambda sentence: None)
    known = {
        task.digest: known_of(task, by_task[task.digest], circumstances, options).chosen
        for task in tasks
    }
    return {digest: (one.config, one.latency) for digest, one in known.items() if one}
