"""The layers of a session in stores: what is known of them is taken, what is new is given."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from chameleon_ray.api.concurrency import wall_limit
from chameleon_ray.api.device_group import DeviceGroup
from chameleon_ray.api.imported import Imported
from chameleon_ray.api.known_enough import known_enough, told
from chameleon_ray.api.setup import Setup
from chameleon_ray.api.site import Site
from chameleon_ray.api.teaching import teach
from chameleon_ray.budget import lasts
from chameleon_ray.lowerings import by_layer
from chameleon_ray.options import Storing
from chameleon_ray.record import Record, own
from chameleon_ray.report.progress import Progress
from chameleon_ray.space import Config
from chameleon_ray.store.entry import Chosen, Effort, Entry, EntryError
from chameleon_ray.store.key import Circumstances, Key, target_folder
from chameleon_ray.store.knowledge import Known, demand_fit, known_of, to_refresh
from chameleon_ray.store.merging import AS_BEFORE
from chameleon_ray.store.store import Store
from chameleon_ray.task import Task
from chameleon_ray.winners import Winner

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
            store.try_writing()
        if store is None and not self.setup.earlier:
            return imported
        for group in self.groups:
            for digest in group.digests(imported.prepared):
                model = group.models[0]
                self._circumstances[digest] = model.circumstances(model.request.target)
        tasks = [task for task in imported.layers.tasks if task.space.knobs]
        by_task, self._keys = fitting(store, tasks, self.setup.earlier, self.progress.note)
        request, left_out = self.site.request, imported.settled
        known = {
            task.digest: self._known(task, by_task[task.digest], task.digest in left_out)
            for task in tasks
        }
        asked = [task for task in tasks if task.digest not in left_out]
        enough = known_enough(self.site, self.setup, asked, known, imported.records)
        settled = {**left_out, **enough.settled}
        if self.setup.transfer is not None:
            left = [task for task in tasks if task.digest not in settled]
            teach(self.setup.transfer, store, left, by_task, known, request.storing)
        records = self._taken(known, imported.records)
        if store is not None and store.writable and not store.keeps(self._keys):
            self.progress.note(f"Tuned layers are kept in {store.name}; --store none ends that.")
        installed = store.installed if store is not None else set[str]()
        self.progress.note(told(asked, known, enough, request.refresh, installed))
        return replace(
            imported, records=records, known=known, settled=settled, before=enough.before
        )

    def _known(self, task: Task, entries: Sequence[Entry], left_out: bool) -> Known:
        """Returns what entries know of a layer; one that is left out keeps it without doubt."""
        request, circumstances = self.site.request, self._circumstances[task.digest]
        if left_out:
            return known_of(task, entries, circumstances, replace(request.storing, disturbed=1.0))
        look = to_refresh if request.refresh else known_of
        return look(task, entries, circumstances, request.storing)

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

    def _give(self, imported: Imported, seconds: float) -> None:
        """Gives the store an entry for every layer of which something new is known.

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
        tasks = [task for task in imported.layers.tasks if task.space.knobs]
        made = sum(len(by_task[task.digest]) for task in tasks)
        searched = max(sum(bool(by_task[task.digest]) for task in tasks), 1)
        effort = Effort(seconds / searched, made / searched)
        known = imported.known
        entries = [
            self._entry(task, by_task[task.digest], effort, known.get(task.digest, Known()))
            for task in tasks
        ]
        store.publish(entry for entry in entries if _tells_more(entry, known.get(entry.task)))
        settings = {task: one.digest for task, one in self._circumstances.items()}
        store.level(key for key in self._keys if settings.get(key.task) == key.setting)

    def _entry(self, task: Task, records: Sequence[Record], effort: Effort, known: Known) -> Entry:
        winner, layer = self.winners.get(task.layer), self.progress.layers.get(task.digest)
        reason = layer.reason if layer else ""
        ended = reason if lasts(reason) else ""
        if reason == AS_BEFORE and self.site.request.refresh:
            ended, effort = known.ended or AS_BEFORE, known.effort
        chosen = None
        if winner is not None and winner.task == task.digest and winner.confirmed:
            chosen = Chosen(winner.config, winner.latency, winner.default_latency, winner.disturbed)
        return Entry(
            name=task.name,
            shape=task.shape,
            task=task.digest,
            target=task.target,
            space=task.space.digest,
            circumstances=self._circumstances[task.digest],
            records=tuple(records),
            ended=ended,
            effort=effort if records else Effort(),
            chosen=chosen,
        )


def _tells_more(entry: Entry, known: Known | None) -> bool:
    """Whether an entry has records, a winner or the end of a search that the store lacks."""
    if entry.records or known is None:
        return bool(entry.records)
    won = known.chosen.config if known.chosen else None
    new = entry.chosen is not None and entry.chosen.config != won
    return new or bool(entry.ended and not known.ended)


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
    """Returns the winners that a store has of layers, and their seconds, by digest.

    Of several lowerings of a layer that won at some time, it is the fastest.
    """
    if not tasks:
        return {}
    by_task, _ = fitting(store, tasks, (), lambda sentence: None)
    known = {
        task.digest: known_of(task, by_task[task.digest], circumstances, options).chosen
        for task in tasks
    }
    found = {digest: (one.config, one.latency) for digest, one in known.items() if one}
    groups = by_layer((task for task in tasks if task.digest in found), lambda task: task)
    best = [min(own, key=lambda task: found[task.digest][1]) for own in groups.values()]
    return {task.digest: found[task.digest] for task in best}
