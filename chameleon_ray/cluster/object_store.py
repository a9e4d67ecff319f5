"""Results that stay in Ray's object store, while the driver holds a reference to them.

The driver also reads the label of what a builder made: an artifact without its code. It has the
reference alone to any other result, such as a cost model's score.
"""

from dataclasses import replace
from typing import Any

import ray
from ray import ObjectRef

from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.pool import Worker


class StoringWorker(Worker):
    """A worker that can leave its results in the object store.

    Ray's dashboard shows an actor by what it is as a text. Names that Ray knows an actor by would
    have to differ between all commands of a namespace; this one may be any other's, too.
    """

    def __init__(self, name: str, *args: Any) -> None:
        """Makes a worker of a name for people; all else is as for ``Worker``."""
        self._name = name  # first, as Ray asks for it where the rest fails, too
        super().__init__(*args)

    def __repr__(self) -> str:
        return self._name

    def store(self, name: str, /, *args: Any, **kwargs: Any) -> tuple[Artifact | None, Any]:
        """Calls a method; returns its result's label and what stays in the object store."""
        result = self.call(name, *args, **kwargs)
        if isinstance(result, Artifact):
            return replace(result, code=b""), result.code
        return None, result


def labelled(label: Artifact | None, content: ObjectRef) -> Any:
    """Makes the stand-in for a result that is in the object store."""
    return content if label is None else replace(label, code=content)  # type: ignore[arg-type]


def fetched(argument: Any) -> Any:
    """Fetches the results that stand-ins in an argument stand for, also those in a tuple.

    Any other argument is returned unchanged.

    Raises:
        ray.exceptions.ObjectLostError: The node that held a result is gone.
    """
    if isinstance(argument, tuple):
        return tuple(map(fetched, argument))
    if isinstance(argument, ObjectRef):
        return ray.get(argument)
    if isinstance(argument, Artifact):
        return replace(argument, code=fetched(argument.code))
    return argument
