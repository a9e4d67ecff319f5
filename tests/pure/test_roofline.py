"""How near layers are to the machine: known limits by arithmetic and by memory, and the sum."""

from dataclasses import replace
from math import inf
from pathlib import Path
from time import process_time, sleep

import pytest

from chameleon_ray.measure.ceiling import Ceiling, fastest, measured
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.layer_bars import layer_bars
from chameleon_ray.report.layer_table import layer_table
from chameleon_ray.report.roofline import reach, roofline, whole
from tests.pure.fake_result import fake_result, record, task

CEILING = Ceiling(flops=100e9, bytes=10e9, cores=1)
MULTIPLIES = replace(task("conv", weight=3, flop=1e8), traffic=1e6)  # limits: 1 ms and 0.1 ms
COPIES = replace(task("transpose", flop=0.0), traffic=2e7)  # limits: 0 and 2 ms


def rows(*milliseconds: float):
    tasks = (MULTIPLIES, COPIES)
    records = tuple(record(of, ms, DEFAULT) for of, ms in zip(tasks, milliseconds, strict=False))
    return replace(fake_result(Path("run")), tasks=tasks, records=records, outcomes=()).layers


def test_the_longer_of_two_times_is_the_limit() -> None:
    conv, transpose = (reach(row, CEILING) for row in rows(2.0, 4.0))
    assert conv is not None
    assert transpose is not None
    assert (conv.limit, conv.share, conv.by_memory) == (
        pytest.approx(1e-3),
        pytest.approx(0.5),
        False,
    )
    assert (conv.gflops, conv.intensity) == (pytest.approx(50.0), pytest.approx(100.0))
    assert (transpose.limit, transpose.share, transpose.by_memory) == (
        2e-3,
        pytest.approx(0.5),
        True,
    )


def test_a_layer_s_time_inside_the_model_counts_where_it_is_known() -> None:
    conv, transpose = rows(2.0, 4.0)
    inside = replace(conv, inside=4e-3)
    found = reach(inside, CEILING)
    assert found is not None
    assert (found.share, found.gflops) == (pytest.approx(0.25), pytest.approx(25.0))
    assert whole([inside, transpose], CEILING) == pytest.approx((3 * 1.0 + 2.0) / (3 * 4.0 + 4.0))
    assert "4.00" in layer_bars([inside, transpose], CEILING)


def test_layers_count_by_their_time_and_none_as_more_than_all_of_it() -> None:
    # 3 x 2 ms of which half is the limit; 1.6 ms that memory alone would take 2 ms for.
    assert whole(rows(2.0, 1.6), CEILING) == pytest.approx((3 * 1.0 + 1.6) / 7.6)


def test_what_is_beyond_a_limit_is_said_and_not_cut_off() -> None:
    conv, transpose = rows(0.8, 1.6)
    fast, copied = (reach(row, CEILING) for row in (conv, transpose))
    assert fast is not None
    assert copied is not None
    assert (fast.share, copied.share) == (pytest.approx(1.25), pytest.approx(1.25))
    page = layer_table([conv, transpose], CEILING)
    assert "125.0%<small>arithmetic</small>" in page
    assert "125.0%<small>memory</small>" in page
    bars = layer_bars([conv, transpose], CEILING)
    assert bars.count('<i style="width:100.0%"></i>') == 2, "no limit is longer than its bar"


def test_memory_does_not_limit_what_is_in_a_cache() -> None:
    conv, transpose = rows(2.0, 1.0)
    adds = replace(transpose, task=replace(transpose.task, flop=1e7))
    found = reach(adds, CEILING)
    assert found is not None
    assert (found.cached, found.by_memory, found.share) == (True, False, pytest.approx(0.1))
    assert "10.0%<small>arithmetic, its data being in a cache</small>" in layer_table(
        [adds], CEILING
    )
    assert reach(transpose, CEILING) is None, "nothing is known that limits it"
    assert whole([conv, transpose], CEILING) == pytest.approx(0.5)


def test_layers_that_were_never_timed_are_counted_and_not_drawn() -> None:
    conv, transpose = rows(2.0)
    bars = layer_bars([conv, transpose], CEILING)
    assert bars.count("<li>") == 1
    assert "1 layer more had no time to be measured" in bars
    assert "No layer was timed." in layer_bars([transpose], CEILING)
    page = layer_table([replace(transpose, reason="no candidate was faster")], CEILING)
    assert "never timed" in page
    assert "no candidate was faster" not in page, "there was none"


def test_what_is_not_known_has_no_limit() -> None:
    conv, transpose = rows(2.0)
    assert reach(conv, None) is None
    assert reach(transpose, CEILING) is None, "it never ran"
    assert transpose.best == inf
    assert reach(replace(conv, task=replace(conv.task, traffic=0.0)), CEILING) is None
    assert whole([transpose], CEILING) is None
    assert roofline([transpose], CEILING, {COPIES.digest: "t"}) is None


def test_the_figure_has_the_layers_under_the_roof() -> None:
    found = roofline(rows(2.0, 4.0), CEILING, {MULTIPLIES.digest: "conv", COPIES.digest: "t"})
    assert found is not None
    assert found.table is not None
    assert found.table["layer"] == ["conv"], "what has no operations has no rate"
    assert found.table["share of its limit, %"] == [pytest.approx(50.0)]


def test_the_rate_of_a_core_leaves_out_what_others_take_of_it() -> None:
    seen: list[float] = []

    def clock() -> float:
        seen.append(process_time())
        return seen[-1]

    assert fastest(lambda: sleep(0.01), clock) < 0.005, "it waited, and did not compute"
    assert len(seen) > 2


def test_this_machine_has_a_ceiling() -> None:
    ceiling = measured((0,))
    assert ceiling is not None
    assert ceiling.cores == 1
    assert 1e8 < ceiling.flops < 1e13
    assert 1e8 < ceiling.bytes < 1e13
