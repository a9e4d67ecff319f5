"""The figure of several runs: sums that lack layers are told, and not drawn beside whole ones."""

from chameleon_ray.report.course import Course
from chameleon_ray.report.layer_history import Point
from chameleon_ray.runs.side_by_side import courses_figure

WHOLE = Course((Point(10, 60.0, 20.0), Point(30, 120.0, 12.0)), (), 0)
PART = Course((Point(5, 30.0, 4.0),), (), 3)


def test_a_sum_that_lacks_layers_is_told_and_not_drawn() -> None:
    figure = courses_figure({"one": WHOLE, "two": PART})
    assert figure.told.endswith("one 12.0 ms, two 4.00 ms without 3 layers never timed.")
    assert [name for name, _ in figure.legend] == ["one"]
    time, measured = (view.options for view in figure.views)
    assert time["x"]["domain"] == [0, 2.0]
    assert measured["x"]["domain"] == [0, 30]


def test_it_is_drawn_where_there_is_no_other() -> None:
    assert [name for name, _ in courses_figure({"two": PART}).legend] == ["two"]
