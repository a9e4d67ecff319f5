"""Patience with a Ray node that starts on a busy machine.

A node waits 15 s for its agents to say which ports they took, and is waited for 30 s. Both times
are fixed in Ray 2.60, so they are got round here, for nodes of tests and measurements only.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from ray._private import ray_constants, services

STARTING_SECONDS = 600.0
AGENTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


def ports() -> dict[str, int]:
    """Ports that are free now, for a node's agents."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in AGENTS]
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(AGENTS, found, strict=True))


@contextmanager
def patient(listen_port: int) -> Iterator[None]:
    """While entered, one node may start as slowly as it does."""
    start, get = services.start_ray_process, services.get_node

    def started(command: list[str], kind: str, *args: Any, **more: Any) -> Any:
        if kind == ray_constants.PROCESS_TYPE_RAYLET:
            command = [*command, f"--dashboard_agent_listen_port={listen_port}"]
        return start(command, kind, *args, **more)

    with ExitStack() as stack:
        stack.enter_context(patch.object(services, "start_ray_process", started))
        stack.enter_context(patch.object(services, "get_node", _until_there(get)))
        yield


def _until_there(get: Callable[..., Any]) -> Callable[..., Any]:
    def found(*args: Any) -> Any:
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                return get(*args)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    return found
