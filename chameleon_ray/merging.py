"""Merging: lists the distinct layers of several models once each, with their weights added up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from chameleon_ray.task import Task


@dataclass(frozen=True)
class Merged:
    """The distinct layers of several models.

    Attributes:
        tasks: Each digest once, in an order in which all models soon have measured layers. The
            models take turns, each as often as it is important. A weight is the sum over the models
            of the model's importance times how often the layer occurs in it. Names are those of all
            models, and the reuse distance of constants is the longest one.
        users: Number of models that have a layer, by digest.
        before: Number of layers of all models, each counted in every model that has it. Lowerings
            other than a layer's first are not counted.
    """

    tasks: tuple[Task, ...]
    users: dict[str, int]
    before: int

    @property
    def distinct(self) -> tuple[Task, ...]:
        """The first lowering of each layer."""
        return tuple(task for task in self.tasks if not task.instead)

    def saved(self, digests: Iterable[str]) -> int:
        """Counts the measurements that tuning each model alone would have made again.

        Args:
            digests: The task of every measurement that was made.
        """
        return sum(self.users.get(digest, 1) - 1 for digest in digests)

    def shared(self, digests: Iterable[str]) -> int:
        """Counts the layers of a model that other models have, too."""
        return sum(self.users.get(digest, 0) > 1 for digest in digests)


def merged(models: Sequence[tuple[float, Sequence[Task]]]) -> Merged:
    """Merges layers that are equal in structure and target.

    Args:
        models: Importance and layers of each model; the layers of one model are distinct.
    """
    turns = [
        ((place + 1) / importance, number, layer)
        for number, (importance, layers) in enumerate(models)
        for place, layer in enumerate(layers)
    ]
    tasks: dict[str, Task] = {}
    users: dict[str, int] = {}
    for _, number, layer in sorted(turns, key=lambda turn: turn[:2]):
        known, more = tasks.get(layer.digest), models[number][0] * layer.weight
        weight, nodes = (known.weight, known.nodes) if known else (0, ())
        constants = (known or layer).constants
        if layer.constants.distance > constants.distance:
            constants = layer.constants
        tasks[layer.digest] = replace(
            known or layer, weight=weight + more, nodes=nodes + layer.nodes, constants=constants
        )
        users[layer.digest] = users.get(layer.digest, 0) + 1
    before = sum(not layer.instead for _, layers in models for layer in layers)
    return Merged(tuple(tasks.values()), users, before)
