"""The course of a model: known sums, plans that gained, layers that never ran, two lowerings."""

from dataclasses import replace
from math import inf

import pytest

from chameleon_ray.record import DEFAULT
from chameleon_ray.report.course import Course, layers_of
from tests.pure.fake_result import record, task

A, B = task("a", weight=2), task("b")


def numbered(*records):
    return [
        replace(one, sequence=n, finished=float(n), plan=one.plan) for n, one in enumerate(records)
    ]


def test_the_sum_begins_when_every_layer_has_a_latency() -> None:
    records = numbered(
        record(A, 4.0, DEFAULT),
        record(A, 3.0, (1, 1)),
        record(B, 10.0, DEFAULT),
        record(B, None, (2, 1), plan=1),
        record(B, 6.0, (3, 1), plan=1),
        record(A, 5.0, (2, 1), plan=1),
    )
    course = Course.of(layers_of([A, B]), records)
    assert [tuple(point) for point in course.points] == [
        (3, 2.0, pytest.approx(16.0)),
        (5, 4.0, pytest.approx(12.0)),
        (6, 5.0, pytest.approx(12.0)),
    ]
    assert [(plan.task, plan.number, plan.count, plan.failed) for plan in course.plans] == [
        (B.digest, 0, 1, 0),
        (B.digest, 1, 2, 1),
        (A.digest, 1, 1, 0),
    ]
    assert [plan.gained_ms for plan in course.plans] == pytest.approx([0.0, 4.0, 0.0])


def test_what_is_known_before_counts_from_the_beginning() -> None:
    records = numbered(record(A, 4.0, DEFAULT), record(A, 1.0, (1, 1)))
    course = Course.of(layers_of([A, B]), records, {A.digest: 5e-3, B.digest: 1e-3})
    assert [point.best_ms for point in course.points] == pytest.approx([9.0, 3.0])
    assert course.left_out == 0


def test_a_layer_that_never_ran_is_left_out_and_counted() -> None:
    course = Course.of(layers_of([A, B]), numbered(record(A, 4.0, DEFAULT), record(B, None)))
    assert [point.best_ms for point in course.points] == pytest.approx([8.0])
    assert course.left_out == 1
    assert Course.of(layers_of([A, B]), []).points == ()


def test_the_fastest_lowering_is_the_layer_s() -> None:
    other = replace(B, digest="f" * 16, instead=B.digest)
    records = numbered(record(B, 4.0, DEFAULT), record(other, 3.0, (1, 1)))
    course = Course.of(layers_of([B, other]), records)
    assert [point.best_ms for point in course.points] == pytest.approx([4.0, 3.0])


def test_what_the_store_had_is_no_plan_and_no_measurement() -> None:
    records = numbered(record(B, 4.0, DEFAULT, origin="store"), record(B, 3.0, (1, 1)))
    course = Course.of(layers_of([B]), records)
    assert [point.measurements for point in course.points] == [0, 1]
    assert len(course.plans) == 1
    assert min(plan.best_ms for plan in course.plans) < inf
