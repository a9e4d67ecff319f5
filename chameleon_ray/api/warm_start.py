"""Warm starts: what the tasks of a run share, beginning with what earlier runs can teach."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from chameleon_ray.errors import UserError
from chameleon_ray.options import Search
from chameleon_ray.store.entry import Entry
from chameleon_ray.task import kind_of
from chameleon_ray.transfer import Transfer, instructive

UNTAUGHT = "This preset learns nothing from others; leave out --warm-start."


def transfer_of(search: Search, earlier: Iterable[Entry]) -> Transfer | None:
    """Makes the knowledge that a run's tasks share, beginning with the layers of earlier runs.

    The result is None where the tasks share nothing.

    Raises:
        UserError: There are earlier runs, and the search system learns nothing from others.
    """
    entries = list(earlier)
    if search.transfer is None:
        if entries:
            raise UserError(UNTAUGHT)
        return None
    transfer, rng = Transfer(search.transfer), np.random.default_rng(0)
    for number, entry in enumerate(entries):
        chosen = instructive(entry.records, search.transfer.rows, rng)
        # Under a name of its own: the same layer of another run is another task.
        records = [replace(record, task=f"{number}:{record.task}") for record in chosen]
        transfer.learn(kind_of(entry.name), records)
    return transfer
