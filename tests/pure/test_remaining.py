"""What is left to gain is told: which layers are too little known, and what more time brings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chameleon_ray.layer_names import short_names
from chameleon_ray.record import Record
from chameleon_ray.report.layer_result import LayerResult
from chameleon_ray.report.remaining import NAMED, told
from chameleon_ray.task import Task
from tests.pure.fake_result import fake_result
from tests.pure.toys import task


@dataclass(frozen=True)
class Many:
    """What was searched of many layers."""

    tasks: Sequence[Task]
    records: Sequence[Record]
    layers: Sequence[LayerResult]


def test_layers_that_are_too_little_known_are_named() -> None:
    result = fake_result(Path("runs/net"))
    known = [row for row in result.layers if row.measurements and row.task.space.knobs]
    names = short_names(result.tasks, 40)
    text = told(result, {})
    named = [row for row in known if f" {names[row.task.layer]}," in text]
    assert len(named) == NAMED
    assert text.endswith(f", {len(known) - NAMED} more.")
    assert max(known, key=lambda row: row.task.weight * row.best) in named


def test_many_are_counted_and_the_first_ones_are_named() -> None:
    result = fake_result(Path("runs/net"))
    row = result.layers[0]
    tasks = tuple(
        replace(row.task, digest=f"{n:016x}", nodes=(f"block.{n}",)) for n in range(NAMED + 3)
    )
    rows = tuple(replace(row, task=task, best=1.0 + n) for n, task in enumerate(tasks))
    text = told(Many(tasks, result.records, rows), {})
    assert f": block.{NAMED + 2}, block.{NAMED + 1}, " in text
    assert text.endswith(" block.3, 3 more.")


def test_what_more_time_brings_comes_before_what_is_not_known() -> None:
    text = told(fake_result(Path("runs/net")))
    assert text.startswith("2 more minutes of search are worth ")
    assert text.index("confidence") < text.index("Of the others that cannot be said")


def test_a_space_that_was_tried_whole_holds_nothing_better() -> None:
    result, one = fake_result(Path("runs/net")), task("tiny-a")
    (base, *_) = (record for record in result.records if record.latencies)
    configs = [tuple(map(int, config)) for config in one.space.enumerate()]
    records = [replace(base, task=one.digest, config=config) for config in configs]
    row = replace(result.layers[0], task=one)
    told_of = Many((one,), records, (row,))
    assert told(told_of, {}) == "Every configuration of 1 layer was tried."
    other = replace(one, digest="other", instead=one.digest)
    assert other.layer == one.layer
    assert "too little was measured" in told(replace(told_of, tasks=(one, other)), {})
    assert "too little was measured" in told(replace(told_of, records=records[1:]), {})
