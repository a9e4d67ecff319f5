"""The servers of a private Ray that it cannot do without, and whether one of them has ended."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import ray
import ray._private.services

from chameleon_ray.cluster.reaper import OVER
from chameleon_ray.cluster.replaced import replaced
from chameleon_ray.signals import named

NEEDED = ("raylet", "gcs_server")
"""Ray's names of the servers on one node that a session cannot do without."""
LIMIT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "3600"}
"""Ray's option of a private Ray alone, as an environment variable.

Without its control store for so many seconds, Ray ends the process that has started it, with a line
of its own. A session sees the loss by itself, and starts Ray again or needs it no more; what waits
inside Ray, the reaper ends. The limit is for where there is no reaper any more.
"""
_started: list[tuple[str, subprocess.Popen]] = []
"""Those of the private Ray that this process has, or starts."""
_listeners: list[Callable[[str], None]] = []
"""What is told of each of them, and of their end on purpose."""
_ending = Event()
"""Whether they are ended on purpose."""
_unseen = Event()
"""Whether their end is not to be told now."""


@contextmanager
def noted(tell: Callable[[str], None]) -> Iterator[None]:
    """Has ``lost`` look at the servers that are started in the block, from their first moment.

    Args:
        tell: Is told the name and process id of each, and ``OVER`` before they are ended.
    """
    before = ray._private.services.start_ray_process

    def start(command: list[str], name: str, *arguments: Any, **options: Any) -> Any:
        server = before(command, name, *arguments, **options)
        if name in NEEDED:
            _started.append((name, server.process))
            tell(f"{name} {server.process.pid}")
        return server

    _listeners.append(tell)
    try:
        with replaced(ray._private.services, start_ray_process=start):
            yield
    finally:
        _listeners.clear()
        _started.clear()
        _ending.clear()


def let_go() -> None:
    """Has ``lost`` take no more notice of the block's servers, as they are about to be ended."""
    _ending.set()
    for tell in _listeners:
        tell(OVER)


@contextmanager
def unseen() -> Iterator[None]:
    """Has ``lost`` tell of no end before the block is over, as nothing may disturb it."""
    before = _unseen.is_set()
    _unseen.set()
    try:
        yield
    finally:
        if not before:
            _unseen.clear()


def lost() -> str:
    """Returns which server of this process has ended without which Ray is of no use; or nothing.

    Without its raylet, there are no workers, and Ray goes on waiting. Without its control store, no
    worker can be started, and Ray itself does not start.
    """
    if _ending.is_set() or _unseen.is_set():
        return ""
    node = ray._private.worker._global_node
    dead = node.dead_processes() if node is not None else ()
    ended = [*_started, *((name, process) for name, process in dead if name in NEEDED)]
    return next((_told(name, one.returncode) for name, one in ended if one.poll() is not None), "")


def _told(name: str, status: int) -> str:
    """Says how a server ended."""
    how = f"was killed by {named(-status)}" if status < 0 else f"ended with status {status}"
    return f"its {name} {how}"
