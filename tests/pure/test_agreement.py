"""Agreement of other tasks with measurements, and the turns that it gives them."""

import numpy as np
import pytest

from chameleon_ray.search.agreement import agreement, turns

POINTS = np.linspace(0, 1, 5)[:, None]
FITNESS = np.array([0.2, 0.4, 0.6, 0.8, 1.0])


def test_pairs_in_the_same_order_are_counted_whatever_the_times() -> None:
    assert agreement(POINTS, FITNESS, POINTS, FITNESS**7) == 10
    swapped = FITNESS[[1, 0, 2, 3, 4]]
    assert agreement(POINTS, FITNESS, POINTS, swapped) == 8


def test_a_task_that_reverses_the_order_says_nothing() -> None:
    assert agreement(POINTS, FITNESS, POINTS, FITNESS[::-1]) == 0


def test_ties_count_for_nothing() -> None:
    assert agreement(POINTS, np.zeros(5), POINTS, FITNESS) == 0
    assert agreement(POINTS, FITNESS, POINTS[:1], FITNESS[:1]) == 0


def test_the_nearest_record_foretells() -> None:
    few = np.array([[0.1], [0.9]])
    assert agreement(POINTS, FITNESS, few, np.array([0.5, 1.0])) == 6


@pytest.mark.parametrize(
    ("weights", "merged"),
    [
        ((0, 0), "axbycz"),
        ((1, 1), "axbycz"),
        ((2, 1), "abxcyz"),
        ((0, 3), "xyz"),
        ((5, 1), "abcxyz"),
    ],
)
def test_lists_have_turns_by_their_weights(weights: tuple[int, int], merged: str) -> None:
    assert "".join(turns(["abc", "xyz"], weights)) == merged


def test_no_lists_have_no_turns() -> None:
    assert turns([], []) == []
