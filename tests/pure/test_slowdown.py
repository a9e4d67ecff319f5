"""The test behind ``chameleon check``: few false alarms, and slowdowns found."""

import numpy as np
import pytest
from scipy.stats import wilcoxon

from chameleon_ray.measure.slowdown import Slowdown, chance_of

TURNS = 40
PAIRS = 100


def turns(rng: np.random.Generator, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Latencies on a busy machine: drift and load of both, jitter of 2 %, and single outliers."""
    shared = np.exp(np.cumsum(rng.normal(0, 0.01, TURNS)) + 0.3 * (rng.random(TURNS) < 0.1))
    own = np.exp(rng.normal(0, 0.02, (2, TURNS)) + 0.5 * (rng.random((2, TURNS)) < 0.05))
    return factor * shared * own[0], shared * own[1]


@pytest.mark.parametrize(("factor", "least", "most"), [(1.0, 0, 1), (1.05, 95, PAIRS)])
def test_slowdowns_are_found_and_noise_is_not_one(factor: float, least: int, most: int) -> None:
    rng = np.random.default_rng(0)
    alarms = sum(Slowdown.of(*turns(rng, factor)).reaches(0.05) for _ in range(PAIRS))
    assert least <= alarms <= most


@pytest.mark.parametrize(("share", "alarm"), [(0.01, False), (0.04, False), (0.051, True)])
def test_a_certain_slowdown_is_held_against_the_limit(share: float, alarm: bool) -> None:
    found = Slowdown.of([1 + share] * TURNS, [1.0] * TURNS)
    assert found.share == pytest.approx(share)
    assert found.chance < 1e-6
    assert found.reaches(0.05) == alarm


def test_a_ratio_that_was_there_before_is_no_slowdown() -> None:
    assert Slowdown.of([2.0] * TURNS, [1.0] * TURNS, expected=2.0) == Slowdown(0.0, 1.0, TURNS)


def test_a_faster_library_is_none() -> None:
    assert Slowdown.of([0.9] * TURNS, [1.0] * TURNS).share == pytest.approx(-0.1)


@pytest.mark.parametrize(("library", "baseline"), [(5, 5), (20, 19)])
def test_too_few_turns_are_refused(library: int, baseline: int) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        Slowdown.of([1.0] * library, [1.0] * baseline)


def test_the_chance_is_that_of_wilcoxon_s_test() -> None:
    rng = np.random.default_rng(0)
    for shift in (-0.5, 0.0, 0.5):
        drawn = rng.normal(shift, 1.0, TURNS)
        known = wilcoxon(drawn, alternative="greater", method="approx", correction=False).pvalue
        assert chance_of(drawn) == pytest.approx(known)
