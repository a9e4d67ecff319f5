"""Nodes to be killed: a Ray cluster of several nodes on this machine, on its loopback interface."""

import os
import signal
import time
from contextlib import suppress
from typing import Any

import psutil
from patience import patient, ports
from ray._private import ray_constants
from ray.cluster_utils import Cluster

from chameleon_ray.cluster.object_store import StoringWorker

QUICK = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 4,
}
"""A dead node is noticed in seconds, not in a quarter of a minute."""
FEWER = {"no_monitor": True, "include_log_monitor": False}
"""Servers of Ray's that nobody asks here."""
TITLE = f"ray::{StoringWorker.__name__}"
"""What Ray calls the process of an actor."""
STORE_BYTES = 80 << 20


class Nodes:
    """A head for the driver, and ``count`` nodes of ``cpus`` cores and ``gpus`` pretended GPUs."""

    def __init__(self, count: int, cpus: int = 2, gpus: int = 0) -> None:
        os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0")
        os.environ.update(RAY_worker_niceness="0", RAY_SCHEDULER_EVENTS="0")
        ray_constants.ENABLE_RAY_CLUSTER = False  # binds to 127.0.0.1
        self._offer = {"num_cpus": cpus, "num_gpus": gpus, "object_store_memory": STORE_BYTES}
        self._offer |= FEWER
        head: dict[str, Any] = {
            "num_cpus": 0,
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
        }
        head |= ports() | FEWER | {"_system_config": QUICK}
        with patient(head["dashboard_agent_listen_port"]):
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self.living: list[Any] = []
        self._frozen: list[int] = []
        for _ in range(count):
            self.add()

    def add(self) -> None:
        """A node joins."""
        taken = ports()
        with patient(taken["dashboard_agent_listen_port"]):
            self.living.append(self._cluster.add_node(wait=False, **self._offer, **taken))

    def kill(self, number: int) -> None:
        """A node dies without a word, and all on it."""
        node = self.living.pop(number)
        actors = [psutil.Process(pid) for pid in self._workers(node)]
        self._cluster.remove_node(node, allow_graceful=False)
        for actor in actors:
            if actor.is_running():
                actor.kill()

    def freeze(self, number: int) -> None:
        """A node falls silent, and all on it, as one does that the network has lost."""
        node = self.living.pop(number)
        raylets = [raylet.process.pid for raylet in node.all_processes["raylet"]]
        self._frozen = [*raylets, *self._workers(node)]
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def actors(self) -> list[int]:
        """Processes of the actors on all nodes, the head's included, that are set up."""
        nodes = [self._cluster.head_node, *self.living]
        return [pid for node in nodes for pid in self._workers(node)]

    def close(self) -> None:
        """Ends everything that was started here."""
        for pid in self._frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._cluster.shutdown()

    def _workers(self, node: Any) -> list[int]:
        found = []
        for raylet in node.all_processes.get("raylet", []):
            try:
                children = psutil.Process(raylet.process.pid).children()
                titles = {child.pid: (child.cmdline() or [""])[0] for child in children}
            except psutil.Error:  # it has just ended
                continue
            found += [pid for pid, title in titles.items() if title.startswith(TITLE)]
        return found


def until(true: Any, seconds: float) -> bool:
    """Waits for something; whether it came in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
