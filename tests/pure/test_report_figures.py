"""Figures of the report: the end that is marked is the table's, and what is far off is said why."""

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from chameleon_ray.record import DEFAULT
from chameleon_ray.report.course import Course, layers_of
from chameleon_ray.report.figure import Columns, Drawings, Figure, Mark, View
from chameleon_ray.report.hero import hero
from chameleon_ray.report.html import render
from chameleon_ray.report.layer_figure import layer_figure
from chameleon_ray.report.layer_history import Point
from chameleon_ray.report.layer_result import LayerOutcome, LayerResult
from chameleon_ray.report.model_figure import End, model_figure
from chameleon_ray.report.result import Compared, Latency
from chameleon_ray.report.ticks import ticks, whole_ticks
from tests.pure.fake_result import fake_result, record, task
from tests.pure.test_html import data

CURVE = [Point(1, 0.0, 4.0), Point(5, 1.0, 2.0), Point(9, 2.0, 2.0)]


def test_a_layer_s_curve_is_stepped_and_ends_with_the_final_timing() -> None:
    found = layer_figure("curve", "conv", CURVE, default_ms=4.5, final_ms=2.2)
    rule, line, _, final = found.views[0].marks
    assert rule.data == {"default, ms": [4.5]}
    assert line.data["measurements"] == [1, 5, 9]
    assert line.data["best, ms"] == [4.0, 2.0, 2.0]
    assert line.options["curve"] == "step-after"
    assert final.data == {"measurements": [9], "final timing, ms": [2.2]}
    low, high = found.views[0].options["y"]["domain"]
    assert low < 2.0 < 4.5 < high
    alone = layer_figure("curve", "conv", CURVE[:1], inf, inf)
    assert len(alone.views[0].marks) == 2


def test_the_curve_is_that_of_all_lowerings() -> None:
    first = task("conv")
    other = replace(first, digest="f" * 16, instead=first.digest, lowering="Winograd 2x2")
    records = {
        first.digest: [record(first, 4.0, DEFAULT, sequence=0), record(first, 3.0, sequence=2)],
        other.digest: [record(other, 3.5, sequence=1), record(other, 2.0, (2, 1), sequence=3)],
    }
    outcome = LayerOutcome(other.digest, (2, 1), 4e-3, 2.1e-3)
    row = LayerResult.among([first, other], records, {other.digest: outcome})
    assert [point.best_ms for point in row.curve] == pytest.approx([4.0, 3.5, 3.0, 2.0])
    assert row.curve[-1].measurements == row.measurements == 4


def told_of(best: float, config: tuple[int, ...] = (1, 1), reason: str = "") -> str:
    of = task("conv")
    records = (record(of, 4.0, DEFAULT, sequence=0), record(of, 2.0, (1, 1), sequence=1))
    outcome = LayerOutcome(of.digest, config, 4e-3, best, reason)
    result = replace(fake_result(Path("run")), tasks=(of,), records=records, outcomes=(outcome,))
    figures = data(render(result))["figures"]
    return next(one["told"] for one in figures if one["name"].startswith("curve-"))


def test_why_a_final_timing_is_far_from_the_search_s_is_said() -> None:
    assert told_of(2.1e-3).endswith("final timing 2.10 ms.")
    assert "That is 1.68 times what the search saw" in told_of(3.36e-3)
    kept = told_of(4e-3, DEFAULT, "no candidate passed the final")
    assert "The default schedule was kept: no candidate passed the final." in kept


def test_the_model_s_figure_has_two_views_and_the_final_timings() -> None:
    a, b = task("a", weight=2), task("b")
    records = [record(a, 4.0, DEFAULT, finished=30.0), record(b, 2.0, DEFAULT, finished=60.0)]
    course = Course.of(layers_of([a, b]), records)
    end = End(90.0, 9.5, 11.0, 40.0, {"ONNX Runtime": 13.0, "PyTorch": 99.0})
    found = model_figure(course, end, {a.digest: "a", b.digest: "b"})
    over_time, over_count = found.views
    assert [mark.kind for mark in over_time.marks] == [
        *("ruleY", "text", "line", "dot"),
        *("line", "dot", "dot"),
    ]
    assert over_time.marks[0].data["what"] == ["ONNX Runtime"], "PyTorch is too far off"
    assert over_time.marks[-1].data["model, ms"] == [11.0]
    assert over_time.marks[-1].data["minutes"] == [1.5]
    assert over_count.marks[-1].data["measurements"] == [2]
    assert "Untuned 40.0 ms" in found.told
    assert found.table is not None
    assert found.table["layer"] == ["b"], "plans count once every layer has a latency"
    live = model_figure(course, None, {})
    assert [mark.kind for mark in live.views[0].marks] == ["line", "dot"]


def test_what_is_far_above_the_picture_is_not_drawn_over_the_page() -> None:
    a, b = task("a"), task("b")
    course = Course.of(layers_of([a, b]), [record(a, 4.0, DEFAULT, finished=30.0)])
    found = model_figure(course, End(90.0, 4.0, 900.0), {})
    assert [mark.data["model, ms"] for mark in found.views[0].marks[-2:]] == [[4.0, 4.0], [4.0]]
    assert "900 ms (tuned model, timed as a whole)" in found.told


def test_layers_without_a_measurement_are_a_sentence() -> None:
    a, b, c = task("a"), task("b"), task("c")
    result = replace(
        fake_result(Path("run")), tasks=(a, b), records=(record(a, 4.0, DEFAULT),), outcomes=()
    )
    starved = render(replace(result, tasks=(a, b, c)))
    assert "2 layers never timed, so not in the sums." in starved
    assert "course" not in [one["name"] for one in data(starved)["figures"]]
    page = render(result)
    assert "course" in [one["name"] for one in data(page)["figures"]]
    assert "1 layer without a successful measurement: b." in page
    curves = [one["name"] for one in data(page)["figures"] if one["name"].startswith("curve-")]
    assert curves == [f"curve-{a.digest}"]


def test_data_that_marks_share_are_written_once_and_without_what_json_lacks() -> None:
    shared: Columns = {"x": [1, 2, 3], "y": [1 / 3, inf, None], "name": ["a\u202eb", "", "c"]}
    view = View("", (Mark("line", shared), Mark("dot", shared, {"x": "x"}, "x")))
    drawings = Drawings()
    drawings.place(Figure("f", "t", "told", (view,)))
    assert drawings.body["data"] == [
        {"x": [1, 2, 3], "y": [0.33333, None, None], "name": ["a\\u202eb", "", "c"]}
    ]
    assert [mark["data"] for mark in drawings.body["figures"][0]["views"][0]["marks"]] == [0, 0]


def test_the_top_names_what_the_user_would_run_instead() -> None:
    rivals = (
        Compared("ONNX Runtime", "1.22", Latency(0.020), 1),
        Compared("PyTorch", fault="it takes no such input"),
    )
    result = replace(
        fake_result(Path("run")), tuned=Latency(0.010), untuned=Latency(1.0), comparison=rivals
    )
    text = hero(result)
    assert text.index("tuned") < text.index("ONNX Runtime") < text.index("untuned TVM")
    assert "2.00x" in text
    assert "off the scale" in text, "of untuned TVM, which is a hundred times as slow"
    assert "Not compared with PyTorch: it takes no such input." in text
    faster = render(result)
    assert "<b>Yes.</b> It is 2.00 times as fast as ONNX Runtime" in faster
    slower = render(replace(result, tuned=Latency(0.040)))
    assert "<b>No.</b> It is 2.00 times as slow as ONNX Runtime" in slower


@pytest.mark.parametrize(("low", "high"), [(0.001, 900.0), (1.01, 1.02), (0.9, 2.2), (3.0, 3.8)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 4
    assert all(low <= tick <= high for tick in found)
    assert found == sorted(found)


def test_whole_ticks_are_ends_and_middle() -> None:
    assert (whole_ticks(1), whole_ticks(2), whole_ticks(117)) == ([1], [1, 2], [1, 59, 117])
