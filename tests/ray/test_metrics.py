"""Metrics: what the engine tells reaches them, the dashboard asks for these and no others."""

import asyncio
import json
import re
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from chameleon_ray.cluster import metrics
from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.cluster.metrics import COUNTERS, GAUGES, Metrics, load_gauge
from chameleon_ray.record import Status
from tests.pure import engine_checks
from tests.pure.fake_result import record, task

DASHBOARD = Path(__file__).parents[2] / "docs" / "guides" / "grafana" / "chameleon.json"
EXPORTED = {f"ray_{name}_total": tags for name, (_, tags) in COUNTERS.items()} | {
    f"ray_{name}": tags for name, (_, tags) in GAUGES.items()
}
"""As Ray names them for Prometheus, with their tags."""


def queries() -> list[str]:
    body = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in body["panels"] for target in panel["targets"]]


def test_the_dashboard_asks_for_these_metrics_and_for_all_of_them() -> None:
    asked = {name for query in queries() for name in re.findall(r"ray_chameleon_\w+", query)}
    assert asked == set(EXPORTED)


def test_the_dashboard_groups_by_tags_that_there_are() -> None:
    for query in queries():
        (name, *_) = re.findall(r"ray_chameleon_\w+", query)
        grouped = re.search(r"by \(([^)]*)\)", query)
        tags = grouped[1].split(", ") if grouped else []
        tags += re.findall(r"(\w+)!?=", query)
        assert set(tags) <= set(EXPORTED[name]), query


class Spy:
    """In a metric's place: what it was told."""

    def __init__(self, name: str, description: str, tags: tuple[str, ...]) -> None:
        self.tags, self.told, self.default = tags, [], {}

    def set_default_tags(self, tags: dict[str, str]) -> None:
        self.default = tags

    def inc(self, value: float, tags: dict[str, str]) -> None:
        self.set(value, tags)
        assert value > 0, "Ray takes no other"

    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        assert set(self.default | (tags or {})) == set(self.tags)
        self.told.append((value, tags))


def test_what_the_engine_tells_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "Counter", Spy)
    monkeypatch.setattr(metrics, "Gauge", Spy)
    watcher, of = Metrics(), task("conv")
    watcher.proposed(of.digest, 3)
    for latency in (2.0, None):
        made = replace(record(of, latency), build_seconds=0.5, run_seconds=0.25)
        watcher.measured(made, 0.125 if latency else 0.0)
    watcher.finished(of.digest, "done")
    told = {name: spy.told for name, spy in watcher._counters.items()}
    assert told["chameleon_measurements"] == [
        (1, {"status": "ok", "device": "cpu"}),
        (1, {"status": Status.CRASH.value, "device": "cpu"}),
    ]
    assert told["chameleon_device_seconds"] == [(0.125, {"device": "cpu"})]
    assert told["chameleon_seconds"].count((0.5, {"phase": "build"})) == 2
    assert len(told["chameleon_layers_finished"]) == 1
    assert [value for value, _ in watcher._in_flight.told] == [3, 2, 1]


@pytest.mark.usefixtures("local_ray")
def test_an_engine_is_watched() -> None:
    """On a real Ray, whose metrics refuse values and tags that are not theirs."""
    loads: dict[str, list[int]] = {}

    def kept(name: str, factory):
        gauge, loads[name] = load_gauge(name), []

        def on_load(calls: int) -> None:
            gauge(calls)
            loads[name].append(calls)

        return ActorPool(name, factory, {}, time.perf_counter(), on_load=on_load)

    notes, tuners = engine_checks.run(kept, ("tiny-a",), separate=True)
    watcher = Metrics()
    for one in notes.records:
        watcher.measured(one, 0.001)
    for tuner in tuners:
        watcher.planned(tuner)
    assert notes.records
    assert len(loads) == 5
    assert all(max(loads[name]) > 0 for name in ("builder", "runner"))
    assert all(seen[-1:] in ([], [0]) for seen in loads.values())


@pytest.mark.usefixtures("local_ray")
def test_names_that_ray_cannot_take_are_written_out() -> None:
    name = metrics.in_ascii("conv 512→512 ü")
    assert name == "conv 512->512 \\xfc"
    metrics.gauge("chameleon_best_latency_seconds").set(1.0, {"task": "t", "layer": name})


@pytest.mark.usefixtures("local_ray")
def test_calls_are_counted_while_they_wait() -> None:
    loads: list[int] = []
    factory = partial(Sleeper, 0.2)
    pool = ActorPool("sleeper", factory, {}, time.perf_counter(), on_load=loads.append)

    async def body() -> None:
        calls = [asyncio.create_task(pool.call(Sleeper.sleep)) for _ in range(3)]
        await asyncio.gather(*calls)

    asyncio.run(body())
    pool.close()
    assert loads == [1, 2, 3, 2, 1, 0]


class Sleeper:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def sleep(self) -> None:
        time.sleep(self.seconds)


@pytest.mark.usefixtures("local_ray")
def test_watching_costs_next_to_nothing() -> None:
    watcher, one = Metrics(), record(task("conv"), 1.0)
    watcher.measured(one, 0.1)
    began = time.process_time()
    for _ in range(1000):
        watcher.measured(one, 0.1)
    assert time.process_time() - began < 1.0, "a millisecond a measurement would be felt"
