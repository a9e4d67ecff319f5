"""What stored layers teach a layer that is to be searched: its own past, and others of its kind."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import numpy as np

from chameleon_ray.options import Storing
from chameleon_ray.store.entry import Entry
from chameleon_ray.store.key import Key, kind_folder, target_folder
from chameleon_ray.store.knowledge import Known
from chameleon_ray.store.store import Store
from chameleon_ray.task import Task
from chameleon_ray.transfer import Transfer, instructive


def teach(
    transfer: Transfer,
    store: Store | None,
    tasks: Sequence[Task],
    own: Mapping[str, Sequence[Entry]],
    known: Mapping[str, Known],
    options: Storing,
) -> None:
    """Teaches layers what was measured with other versions, and of other layers of their kinds.

    Args:
        transfer: What layers know of each other.
        store: The store; None where there is none.
        tasks: Layers that are to be searched.
        own: Entries of these layers, by digest.
        known: What of these counts as measured, by digest.
        options: Settings of the store.
    """
    rng = np.random.default_rng(0)  # the same entries teach the same
    for task in tasks:
        there = {record.config for record in known[task.digest].records}
        for number, entry in enumerate(own.get(task.digest, ())):
            past = [r for r in entry.records if r.config not in there]
            if past:  # under a name of its own: what a layer teaches itself is another one's
                name = f"{task.digest}, earlier {number}"
                chosen = instructive(past, transfer.options.rows, rng)
                transfer.learn(task.kind, [replace(record, task=name) for record in chosen])
    if store is None:
        return
    for kind in dict.fromkeys(task.kind for task in tasks):
        mine = [task for task in tasks if task.kind == kind]
        for entry in store.entries(_teachers(store, kind, mine, known, options)):
            transfer.learn(kind, instructive(entry.records, transfer.options.rows, rng))


def _teachers(
    store: Store, kind: str, tasks: Sequence[Task], known: Container[str], options: Storing
) -> list[Key]:
    """Returns entries of other layers of a kind: of the same target first, one of each layer."""
    folders = {target_folder(task.target) for task in tasks}
    families = {folder.partition("-")[0] for folder in folders}
    keys = [
        key
        for key in store.entry_keys()
        if key.kind == kind_folder(kind)
        and key.task not in known
        and key.target.partition("-")[0] in families
    ]
    keys.sort(key=lambda key: key.target not in folders)
    return list({key.task: key for key in reversed(keys)}.values())[::-1][: options.teachers]
