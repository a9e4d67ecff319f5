"""Parcels: large results stay in Ray's object store, the driver holds a reference to them.

What a builder made is such a result but for its label, which the driver reads: an artifact without
its code. Of anything else, as of a cost model's score, the driver has the reference alone.
"""

from dataclasses import replace
from typing import Any

import ray
from ray import ObjectRef

from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.pool import Worker


class StoringWorker(Worker):
    """A worker that takes what is in the object store, and can leave its results there."""

    def do(self, method: str, *args: Any) -> Any:
        """See ``Worker``; fetching is the network's time, and no phase."""
        return super().do(method, *map(opened, args))

    def make(self, method: str, *args: Any) -> tuple[Artifact | None, Any]:
        """As ``do``: the result's label, and what stays in the object store."""
        result = self.do(method, *args)
        if isinstance(result, Artifact):
            return replace(result, code=b""), result.code
        return None, result


def labelled(label: Artifact | None, content: ObjectRef) -> Any:
    """What stands for a result that is in the object store."""
    return content if label is None else replace(label, code=content)  # type: ignore[arg-type]


def opened(argument: Any) -> Any:
    """A result, or several, as they were made; anything else as it is.

    Raises:
        ray.exceptions.ObjectLostError: The node that held one is gone.
    """
    if isinstance(argument, tuple):
        return tuple(map(opened, argument))
    if isinstance(argument, ObjectRef):
        return ray.get(argument)
    if isinstance(argument, Artifact):
        return replace(argument, code=opened(argument.code))
    return argument
