"""Ray application metrics of a run, for Prometheus.

Ray exports them where its dashboard agent runs. Elsewhere they cost microseconds and go nowhere.
"""

import math
from collections.abc import Callable

from ray.util.metrics import Counter, Gauge

from chameleon_ray.layer_names import own_name
from chameleon_ray.record import Record
from chameleon_ray.tuner import Tuner

COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "chameleon_measurements": ("Configurations measured", ("status", "device")),
    "chameleon_plans": ("Plans of which every configuration was measured", ()),
    "chameleon_device_seconds": ("Seconds in which a device executed kernels", ("device",)),
    "chameleon_seconds": ("Seconds spent exploring, building and running", ("phase",)),
    "chameleon_layers_finished": ("Layers that get no more plans", ()),
}
"""Counters: description and tags by name; Prometheus has them as ``ray_NAME_total``."""
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "chameleon_in_flight": ("Configurations proposed and not measured yet", ()),
    "chameleon_calls": ("Calls that a pool is doing, or that wait for it", ("crew",)),
    "chameleon_best_latency_seconds": ("Best latency of a layer so far", ("task", "layer")),
}
"""Gauges: description and tags by name; Prometheus has them as ``ray_NAME``."""


def counter(name: str) -> Counter:
    description, tags = COUNTERS[name]
    return Counter(name, description, tags)


def gauge(name: str) -> Gauge:
    description, tags = GAUGES[name]
    return Gauge(name, description, tags)


class Metrics:
    """A watcher of the engine that keeps Ray's metrics."""

    def __init__(self) -> None:
        """Registers the metrics with Ray, which must be running."""
        self._counters = {name: counter(name) for name in COUNTERS}
        self._in_flight = gauge("chameleon_in_flight")
        self._best = gauge("chameleon_best_latency_seconds")
        self._proposed = self._measured = 0

    def proposed(self, task: str, count: int) -> None:
        self._proposed += count
        self._in_flight.set(self._proposed - self._measured)

    def measured(self, record: Record, timing_seconds: float) -> None:
        self._measured += 1
        self._in_flight.set(max(self._proposed - self._measured, 0))
        device = {"device": in_ascii(record.device)}
        self._add("chameleon_measurements", 1, device | {"status": record.status.value})
        self._add("chameleon_device_seconds", timing_seconds, device)
        self._add("chameleon_seconds", record.explore_seconds, {"phase": "explore"})
        self._add("chameleon_seconds", record.build_seconds, {"phase": "build"})
        self._add("chameleon_seconds", record.run_seconds, {"phase": "run"})

    def planned(self, tuner: Tuner) -> None:
        self._add("chameleon_plans", 1, {})
        if math.isfinite(tuner.best_latency):
            tags = {"task": tuner.task.digest, "layer": in_ascii(own_name(tuner.task))}
            self._best.set(tuner.best_latency, tags)

    def finished(self, task: str, reason: str) -> None:
        self._add("chameleon_layers_finished", 1, {})

    def _add(self, name: str, amount: float, tags: dict[str, str]) -> None:
        if amount > 0:  # Ray takes no other
            self._counters[name].inc(amount, tags)


def in_ascii(text: str) -> str:
    """Returns a text as the value of a tag, for which Ray takes nothing but ASCII."""
    return text.replace("→", "->").encode("ascii", "backslashreplace").decode()


def load_gauge(pool: str) -> Callable[[int], None]:
    """Makes a callback that reports a pool's load, the calls done or waiting, to Ray's metrics."""
    load = gauge("chameleon_calls")
    return lambda calls: load.set(calls, {"crew": pool})
