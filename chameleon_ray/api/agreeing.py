"""The agreement of buckets on lowerings: the weights of a layer are kept once where all take one.

Each algorithm packs a layer's weights in its own way: Winograd's have up to seven times as many
numbers. So where one lowering is nearly the fastest for every bucket, all buckets take it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from chameleon_ray.lowerings import by_layer
from chameleon_ray.options import Confirming
from chameleon_ray.record import Record
from chameleon_ray.task import Task
from chameleon_ray.winners import Winner, unconfirmed


def agreed(
    winners: Mapping[str, Winner],
    buckets: Sequence[Sequence[Task]],
    records: Sequence[Record],
    options: Confirming,
) -> dict[str, Winner]:
    """Returns winners, by ``Task.layer``, in which buckets agree where that costs little.

    Args:
        winners: Winners by ``Task.layer``.
        buckets: The layers of each bucket, with all their lowerings. Layers of the same nodes of
            the source model compute the same for more rows.
        records: Measurements of all of them.
        options: Settings; ``sharing`` is how much slower a layer may become.
    """
    own: dict[str, list[Record]] = {}
    for record in records:
        own.setdefault(record.task, []).append(record)
    columns: dict[tuple[str, ...], list[dict[str, Winner]]] = {}
    for tasks in buckets:
        for layer, lowerings in by_layer(tasks, lambda task: task).items():
            known = {
                task.lowering: _winner(task, winners[layer], own.get(task.digest, []), options)
                for task in lowerings
            }
            columns.setdefault(lowerings[0].nodes, []).append(known)
    changed = dict(winners)
    layers = {task.digest: task.layer for tasks in buckets for task in tasks}
    for column in columns.values():
        if len(column) == len(buckets):
            changed |= {
                layers[one.task]: one for one in _one_for_all(column, winners, layers, options)
            }
    return changed


def _winner(task: Task, chosen: Winner, records: Sequence[Record], options: Confirming) -> Winner:
    """Returns the best of one lowering of a layer; the chosen one's is its winner."""
    if task.digest == chosen.task:
        return chosen
    best = unconfirmed(task, records, options)
    return replace(best, default_latency=chosen.default_latency)


def _one_for_all(
    column: Sequence[Mapping[str, Winner]],
    winners: Mapping[str, Winner],
    layers: Mapping[str, str],
    options: Confirming,
) -> list[Winner]:
    """Returns the winners of the lowering that costs least where all buckets take it.

    There are none where each costs some bucket too much.

    Args:
        column: The best of each lowering, by its name, for each bucket.
        winners: Winners by ``Task.layer``.
        layers: ``Task.layer`` by digest.
        options: Settings.
    """
    names = set.intersection(*(set(known) for known in column))
    costs: dict[str, list[float]] = {}
    for name in names:
        pairs = [(known[name], winners[layers[known[name].task]]) for known in column]
        costs[name] = [
            one.latency / best.latency - 1 if 0 < best.latency < inf else inf for one, best in pairs
        ]
    fitting = [name for name in names if max(costs[name]) <= options.sharing]
    if not fitting:
        return []
    name = min(sorted(fitting), key=lambda name: sum(costs[name]))
    return [known[name] for known in column]
