"""Buckets take one lowering of a layer, and so keep its weights once, where that costs little."""

from dataclasses import replace
from math import inf

import pytest

from chameleon_ray.api.agreeing import agreed
from chameleon_ray.options import Confirming
from chameleon_ray.task import Task
from chameleon_ray.winners import Winner
from tests.pure.fake_result import record, task

LOWERINGS = ("direct", "Winograd 2x2")


def layer(bucket: int, nodes: str = "conv1") -> list[Task]:
    """The lowerings of one layer of a bucket."""
    first = replace(task("layer"), digest=f"d{bucket}", nodes=(nodes,), lowering=LOWERINGS[0])
    return [
        first,
        replace(first, digest=f"w{bucket}", lowering=LOWERINGS[1], instead=first.digest),
    ]


def chosen(times: dict[str, float], winners: dict[str, str], nodes: str = "conv1") -> list[str]:
    """The tasks that both buckets get, given the seconds of each task, and the winner of each."""
    buckets = [layer(1), layer(2, nodes)]
    tasks = {one.digest: one for bucket in buckets for one in bucket}
    before = {first: Winner(won, (1, 1), times[won], 10.0) for first, won in winners.items()}
    records = [record(tasks[digest], 1e3 * seconds, (1, 1)) for digest, seconds in times.items()]
    found = agreed(before, buckets, records, Confirming())
    return [found[first].task for first in winners]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"d1": 1.0, "w1": 1.02, "d2": 2.0, "w2": 1.0}, ["w1", "w2"]),
        ({"d1": 1.0, "w1": 1.02, "d2": 1.005, "w2": 1.0}, ["d1", "d2"]),
        ({"d1": 1.0, "w1": 1.2, "d2": 2.0, "w2": 1.0}, ["d1", "w2"]),
        ({"d1": 1.0, "w2": 1.0}, ["d1", "w2"]),
    ],
)
def test_one_lowering_is_taken_where_no_bucket_loses_much(
    times: dict[str, float], expected: list[str]
) -> None:
    assert chosen(times, {"d1": "d1", "d2": "w2"}) == expected


def test_layers_of_other_nodes_have_other_weights() -> None:
    times = {"d1": 1.0, "w1": 1.02, "d2": 2.0, "w2": 1.0}
    assert chosen(times, {"d1": "d1", "d2": "w2"}, nodes="conv2") == ["d1", "w2"]


def test_nothing_is_agreed_on_where_a_bucket_was_not_measured() -> None:
    buckets = [layer(1), layer(2)]
    records = [record(*known, (1, 1)) for known in zip(buckets[0], (1000.0, 1020.0), strict=True)]
    winners = {"d1": Winner("d1", (1, 1), 1.0, 10.0), "d2": Winner("d2", (), inf, inf)}
    assert agreed(winners, buckets, records, Confirming()) == winners
