"""Pools of a run on a cluster: which actors they have, and what a runner's failure counts as."""

from dataclasses import replace
from pathlib import Path

import pytest
import ray

from chameleon_ray.api import pools, setup, workers
from chameleon_ray.cluster.placement import Node
from chameleon_ray.compiler.kinds import CUDA, LLVM
from chameleon_ray.measure import nvml
from chameleon_ray.measure.cores import available, machine
from chameleon_ray.measure.isolate import Ending, Outcome
from chameleon_ray.measure.measurer import Finalist, Timing
from chameleon_ray.options import Placing, Request
from chameleon_ray.pool import Unfit
from chameleon_ray.record import Status


def test_what_the_device_may_be_at_fault_for() -> None:
    doubted = {status for status in Status if pools.doubtful(Timing(status=status), 0)}
    assert doubted == {Status.RUN_ERROR, Status.CRASH}
    doubted = {status for status in Status if pools.doubtful(Timing(status=status), 1)}
    assert doubted == {Status.RUN_ERROR, Status.CRASH, Status.RUN_TIMEOUT}
    assert not pools.doubtful((Finalist((1.0,), 0.0, 0.0, True),), 5)


def test_a_device_may_be_at_fault_for_whole_models_too_but_not_for_slow_ones() -> None:
    doubted = {ending for ending in Ending if pools.doubtful(Outcome(ending), 5)}
    assert doubted == {Ending.ERROR, Ending.CRASH}


def test_a_node_with_another_device_is_turned_down() -> None:
    with pytest.raises(Unfit, match=r"it has .*, and this run is for Abacus, 1 core; tune for it"):
        workers.runner(Request("net"), LLVM, "another machine", (0,), "Abacus, 1 core")
    with pytest.raises(Unfit, match="--threads 4096"):
        workers.runner(Request("net", threads=4096), LLVM, "another machine", (0,), "Abacus")
    with pytest.raises(Unfit, match="--threads 4096"):
        workers.builder(Request("net"), LLVM, "another machine", (0,), 4096)


def test_a_node_of_as_many_cores_as_time_is_of_use_only_where_builds_are_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "available", lambda: (0, 1))
    with pytest.raises(Unfit, match="its 2 cores are all needed for timing"):
        workers.elsewhere(Request("net", threads=2), LLVM, 2)
    with pytest.raises(Unfit, match="its 2 cores"):
        workers.builder(Request("net"), LLVM, "another machine", (0,), 2)
    assert workers.elsewhere(Request("net"), LLVM, 2, frozen=True) == ((0, 1), (0, 1))
    assert workers.elsewhere(Request("net"), LLVM, 1) == ((0,), (1,))


def test_many_builders_generate_machine_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def linked(cores: int) -> bool:
        builder = workers.builder(Request("net"), LLVM, machine(), tuple(range(cores)), 1)
        try:
            return builder.linked
        finally:
            builder.close()

    assert [linked(cores) for cores in (1, 2, 3, 8)] == [False, False, True, True]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not linked(8)  # there is no linker


@pytest.mark.usefixtures("local_ray")
def test_where_gpus_time_every_node_keeps_a_core_for_each_of_its_own() -> None:
    request = Request("net", target="cuda:sm_90", address="10.0.0.1:6379")
    search, timing = workers.elsewhere(request, CUDA, 5)  # this Ray has no GPU
    assert (timing, set(search)) == (available()[-1:], set(available()[:-1] or available()))
    counts, spreads = pools._placed(request, True, 12, 4)
    head, worker = Node("a", "10.0.0.1", 16, here=True), Node("b", "10.0.0.2", 48, gpus=8)
    builders = [spreads["builder"](node) for node in (head, worker)]
    assert builders == [16 - 4 - counts["explorer"] - 1, 48 - 8]
    assert [spreads["runner"](node) for node in (head, worker)] == [0, 8]
    kept = pools._placed(replace(request, threads=10), True, 6, 10)[1]["builder"]
    assert kept(worker) == 48 - 10
    built = pools._placed(replace(request, build_only=True), False, 16, 0)[1]["builder"]
    assert built(worker) == 48


@pytest.mark.usefixtures("local_ray")
def test_a_head_keeps_cores_for_the_gpus_only_that_ray_hands_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvml, "count", lambda: 4)
    address = ray.get_runtime_context().gcs_address  # of a Ray without GPUs
    assert setup._gpus(Request("net", target="cuda", address=address), CUDA) == 0
    assert setup._gpus(Request("net", target="cuda"), CUDA) == 4
    assert setup._gpus(Request("net", target="cuda", address=address, engine="serial"), CUDA) == 4


def test_where_nothing_is_timed_all_cores_build() -> None:
    assert workers.elsewhere(Request("net", build_only=True), LLVM, 0) == (available(), ())


def test_more_devices_have_more_explorers_as_far_as_there_are_cores() -> None:
    assert [pools.actor_counts(1, devices)["explorer"] for devices in (0, 1, 16)] == [1, 1, 1]
    assert [pools.actor_counts(4, devices)["searcher"] for devices in (1, 7, 8, 16, 64)] == [
        1,
        1,
        2,
        4,
        4,
    ]
    assert [pools.actor_counts(32, devices)["explorer"] for devices in (1, 16, 64)] == [8, 8, 16]


def test_layers_in_flight() -> None:
    assert pools.layers_in_flight(Request("net", engine="serial"), 8) == 1
    assert pools.layers_in_flight(Request("net"), 8) == 10
    cluster = Request("net", address="10.0.0.1:6379")
    assert pools.layers_in_flight(cluster, 8) == Placing.layers
    assert pools.layers_in_flight(cluster, 30) == 32
