"""Parcels: compiled code travels through Ray's object store, the driver holds a reference to it."""

from dataclasses import replace
from typing import Any

import ray
from ray import ObjectRef

from chameleon_ray.crew import Worker
from chameleon_ray.measure.measurer import Artifact


class Porter(Worker):
    """A worker that takes artifacts whose code is in the object store, and can leave it there."""

    def do(self, method: str, *args: Any) -> Any:
        """See ``Worker``; fetching is the network's time, and no phase."""
        return super().do(method, *map(opened, args))

    def make(self, method: str, *args: Any) -> tuple[Any, bytes]:
        """An artifact without its code, and the code."""
        artifact: Artifact = self.do(method, *args)
        return replace(artifact, code=b""), artifact.code


def labelled(artifact: Artifact, code: ObjectRef) -> Artifact:
    """The artifact with a reference for its code."""
    return replace(artifact, code=code)  # type: ignore[arg-type]


def opened(argument: Any) -> Any:
    """An artifact, or several, with the code itself; anything else as it is.

    Raises:
        ray.exceptions.ObjectLostError: The node that held the code is gone.
    """
    if isinstance(argument, tuple):
        return tuple(map(opened, argument))
    if isinstance(argument, Artifact) and isinstance(argument.code, ObjectRef):
        return replace(argument, code=ray.get(argument.code))
    return argument
