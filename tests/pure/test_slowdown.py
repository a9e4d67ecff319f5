"""The test behind ``chameleon check``: few false alarms, and slowdowns found."""

from collections.abc import Sequence
from itertools import count as counting
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon

from chameleon_ray.api.pairs import in_pairs
from chameleon_ray.measure.slowdown import LAYOUT, LEAST, Slowdown, chance_of, pair_ratio
from chameleon_ray.options import Checking, Confirming
from chameleon_ray.report.slowdown import markdown

LIMIT = 0.05
COMPARISONS = 100
LIBRARY, BASELINE = (Path("library.so"), "main"), (Path("baseline.so"), "main")
Libraries = Sequence[tuple[Path, str]]


class Machine:
    """Latencies of two libraries on a busy machine, in a new process for each call of ``duel``.

    Both have drift and load in common, and have jitter and single outliers of their own. What a
    library was given when it was loaded is the same for all turns of a process.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        factor: float = 1.0,
        jitter: float = 0.02,
        loads: float = 0.0,
        unlucky: float = 0.0,
        layout: float = 0.0,
    ) -> None:
        """Takes what differs.

        Args:
            rng: Source of the noise.
            factor: Latency of the library over its baseline's.
            jitter: Standard deviation from turn to turn, as a share.
            loads: Standard deviation from load to load, as a share.
            unlucky: Share of processes in which one library is 4 to 8 % slower in all turns.
            layout: Share by which the library differs in all processes, in a random direction.
        """
        self._rng, self._jitter, self._loads, self._unlucky = rng, jitter, loads, unlucky
        self._factor = factor * np.exp(layout * rng.choice([-1, 1]))
        self.orders = list[Libraries]()

    def duel(self, libraries: Libraries, options: Confirming) -> list[np.ndarray]:
        """Times libraries; the one that is loaded first is slower by half a percent."""
        self.orders.append(libraries)
        rng, shape = self._rng, (2, options.model_repeats)
        shared = np.cumsum(rng.normal(0, 0.01, shape[1])) + 0.3 * (rng.random(shape[1]) < 0.1)
        own = rng.normal(0, self._jitter, shape) + 0.5 * (rng.random(shape) < 0.05)
        loads = rng.normal([[0.005], [0.0]], self._loads)
        if rng.random() < self._unlucky:
            loads[rng.integers(2)] += rng.uniform(0.04, 0.08)
        times = np.exp(shared + own + loads)
        return [
            times[place] * (self._factor if library == LIBRARY else 1.0)
            for place, library in enumerate(libraries)
        ]


def compared(machine: Machine, **options: int) -> Slowdown:
    about = (LIBRARY, BASELINE), 1.0, LIMIT, Checking(**options)
    return in_pairs(machine.duel, *about, clock=lambda: 0.0)


NOISE = {
    "turns": {},
    "quiet turns and noisy loads": {"jitter": 0.005, "loads": 0.006, "unlucky": 0.1},
    "quiet turns and a layout that stays": {"jitter": 0.005, "loads": 0.002, "layout": 0.003},
    "everything": {"jitter": 0.03, "loads": 0.008, "unlucky": 0.1, "layout": 0.003},
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
@pytest.mark.parametrize(("factor", "least", "most"), [(1.0, 0, 1), (1.05, 95, COMPARISONS)])
def test_slowdowns_are_found_and_noise_is_not_one(
    factor: float, least: int, most: int, noise: dict[str, float]
) -> None:
    rng = np.random.default_rng(0)
    found = [compared(Machine(rng, factor, **noise)) for _ in range(COMPARISONS)]
    assert least <= sum(one.reaches(LIMIT) for one in found) <= most


def test_what_is_half_as_slow_as_the_limit_passes() -> None:
    rng = np.random.default_rng(0)
    noise = NOISE["quiet turns and noisy loads"]
    found = [compared(Machine(rng, 1.025, **noise)) for _ in range(COMPARISONS)]
    assert sum(one.reaches(LIMIT) for one in found) <= 1


def test_each_library_is_loaded_first_in_one_process_of_a_pair() -> None:
    machine = Machine(np.random.default_rng(0))
    found = compared(machine)
    assert machine.orders == [(LIBRARY, BASELINE), (BASELINE, LIBRARY)] * found.pairs
    assert found.pairs == LEAST, "equal libraries are told from the limit at the first look"


def test_more_pairs_are_timed_until_it_is_clear() -> None:
    near, factor = 0, 1 + LIMIT - LAYOUT
    for seed in range(10):
        found = compared(Machine(np.random.default_rng(seed), factor))
        assert found.pairs in (10, 20, 30)
        assert found.clear(LIMIT) or found.pairs == 30
        near += found.pairs > LEAST
    assert near >= 3, "what is just below the limit takes longer to tell from it"


def test_more_pairs_are_not_looked_at_more_often() -> None:
    """Each look is a chance of an error."""
    machine = Machine(np.random.default_rng(0))
    assert compared(machine, pairs=300).pairs == 100


def test_two_libraries_that_take_long_have_the_fewest_pairs() -> None:
    machine, times = Machine(np.random.default_rng(0), 1 + LIMIT - LAYOUT), counting(0, 1000)
    found = in_pairs(
        *(machine.duel, (LIBRARY, BASELINE), 1.0, LIMIT, Checking()),
        clock=lambda: float(next(times)),
    )
    assert found.pairs == LEAST


@pytest.mark.parametrize(("share", "alarm"), [(0.01, False), (0.04, False), (0.051, True)])
def test_a_certain_slowdown_is_held_against_the_limit(share: float, alarm: bool) -> None:
    found = Slowdown.of([np.log1p(share)] * 40)
    assert found.share == pytest.approx(share)
    assert found.chance < 1e-6
    assert found.reaches(LIMIT) == alarm
    assert found.clear(LIMIT)
    assert f" {'slower' if alarm else 'within the limit'} |" in markdown("run", found, LIMIT)


def test_pairs_that_differ_too_much_say_nothing() -> None:
    found = Slowdown.of([-0.2, 0.3] * 5)
    assert (found.reaches(LIMIT), found.clear(LIMIT)) == (False, False)


def test_a_ratio_that_was_there_before_is_no_slowdown() -> None:
    turns = ([2.0] * 5, [1.0] * 5)
    assert Slowdown.of([pair_ratio(turns, turns, 2.0)] * LEAST) == Slowdown(0.0, 1.0, LEAST)


def test_a_pair_s_ratio_is_that_of_the_turns_that_both_have() -> None:
    first, second = ([1.1, 1.1, 9.0], [1.0, 1.0]), ([1.0], [1.0, 5.0, 5.0])
    assert pair_ratio(first, second, 1.0) == pytest.approx(np.log(1.1) / 2)


def test_a_faster_library_is_none() -> None:
    found = Slowdown.of([np.log(0.9)] * LEAST)
    assert found.share == pytest.approx(-0.1)
    assert (found.reaches(0.0), found.clear(LIMIT)) == (False, True)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="9 pairs cannot be compared"):
        Slowdown.of([0.0] * (LEAST - 1))


def test_the_chance_is_that_of_wilcoxon_s_test() -> None:
    rng = np.random.default_rng(0)
    for shift in (-0.5, 0.0, 0.5):
        for count in (10, 40):
            drawn = rng.normal(shift, 1.0, count)
            known = wilcoxon(drawn, alternative="greater", method="exact").pvalue
            assert chance_of(drawn) == pytest.approx(known)
