"""Racing: who is timed once, who often, and that noise then seldom decides."""

from itertools import chain, count, repeat
from statistics import median

import numpy as np

from chameleon_ray.measure.racing import race, take_turns
from chameleon_ray.options import Measuring

OPTIONS = Measuring()


def timings(latency: float, best: float) -> int:
    return len(race(lambda: latency, best, OPTIONS))


def test_a_clearly_slower_one_is_given_up_after_one_timing():
    assert timings(1.01 * OPTIONS.slower, 1.0) == 1


def test_one_that_may_win_is_timed_again():
    assert timings(0.99 * OPTIONS.slower, 1.0) == OPTIONS.repeats
    assert timings(0.5, 1.0) == OPTIONS.repeats


def test_the_first_candidate_has_nothing_to_be_close_to():
    assert timings(1.0, float("inf")) == OPTIONS.repeats


def test_a_close_one_is_timed_often_from_either_side():
    near = OPTIONS.close / 2
    assert timings(1 + near, 1.0) == timings(1 - near, 1.0) == OPTIONS.close_repeats


def test_one_that_was_lucky_at_first_is_given_up_later():
    clock = chain([1.0], repeat(2.0))
    assert race(lambda: next(clock), 1.0, OPTIONS) == (1.0, 2.0)


def test_races_of_close_candidates_are_won_by_the_faster_more_often_than_by_three_timings():
    """The better of two that are 2 % apart, each timing with a noise of 3 %."""
    rng = np.random.default_rng(0)

    def noisy(latency: float) -> float:
        return latency * (1 + 0.03 * abs(rng.standard_normal()))

    def faster_wins(repeats: int) -> float:
        options = Measuring(close_repeats=repeats, close=0.1)
        pairs = [
            [median(race(lambda x=x: noisy(x), 1.0, options)) for x in (1.0, 1.02)]
            for _ in range(2000)
        ]
        return float(np.mean([fast < slow for fast, slow in pairs]))

    assert faster_wins(OPTIONS.close_repeats) > faster_wins(OPTIONS.repeats) + 0.02


def turns(first: list[float], options: Measuring = OPTIONS) -> list[list[float]]:
    """What comes of clocks that count how often any of them was read."""
    counter = count()
    return take_turns([lambda: float(next(counter))] * len(first), first, 3, options)


def test_finalists_are_timed_in_turns():
    assert turns([1e-3, 2e-3]) == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]


def test_a_hopeless_finalist_has_one_turn_and_a_long_one_none():
    slow = 2 * OPTIONS.hopeless * 1e-3
    assert turns([1e-3, slow]) == [[0.0, 2.0, 3.0], [1.0]]
    assert turns([slow, 1e-3], Measuring(long_seconds=1e-9)) == [[slow], [0.0, 1.0, 2.0]]
