"""The servers of a private Ray that it cannot do without, and whether one of them has ended."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import ray
import ray._private.services

NEEDED = ("raylet", "gcs_server")
"""Ray's names of the servers on one node that a session cannot do without."""
_started: list[subprocess.Popen] = []
"""Those of the private Ray that this process has, or starts."""
_ending = Event()
"""Whether they are ended on purpose."""


@contextmanager
def noted() -> Iterator[None]:
    """Has ``lost`` look at the servers that are started in the block, from their first moment."""
    before = ray._private.services.start_ray_process

    def start(command: list[str], name: str, *arguments: Any, **options: Any) -> Any:
        server = before(command, name, *arguments, **options)
        if name in NEEDED:
            _started.append(server.process)
        return server

    ray._private.services.start_ray_process = start
    try:
        yield
    finally:
        ray._private.services.start_ray_process = before
        _started.clear()
        _ending.clear()


def let_go() -> None:
    """Has ``lost`` take no more notice of the block's servers, as they are about to be ended."""
    _ending.set()


def lost() -> bool:
    """Whether a server that this process started has ended, without which Ray is of no use.

    Without its raylet, there are no workers, and Ray goes on waiting. Without its control store, no
    worker can be started, and Ray itself does not start.
    """
    if _ending.is_set():
        return False
    node = ray._private.worker._global_node
    dead = node.dead_processes() if node is not None else ()
    return any(name in NEEDED for name, _ in dead) or any(
        one.poll() is not None for one in _started
    )
