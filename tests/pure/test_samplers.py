"""Samplers: what is chosen from trails whose clusters and frequencies are known."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from chameleon_ray.knob import Knob
from chameleon_ray.options import Sampling
from chameleon_ray.search.adaptive import AdaptiveSampler, knee, most_probable, synthesise
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.greedy import GreedySampler
from chameleon_ray.search.sampler import Sampler
from chameleon_ray.space import DesignSpace, as_configs, distinct, unseen
from tests.pure.conformance import SAMPLER_CHECKS, nothing, some_trail
from tests.pure.landscape import Landscape, convolution, sketched, tiny

OPTIONS = Sampling(clusters=(4, 8, 12, 16))
SAMPLERS: dict[str, Sampler] = {
    "greedy": GreedySampler(OPTIONS),
    "adaptive": AdaptiveSampler(OPTIONS),
}


@pytest.mark.parametrize("check", SAMPLER_CHECKS)
@pytest.mark.parametrize("landscape", [convolution, sketched, tiny])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_conformance(
    sampler: str, landscape: Callable[[], Landscape], check: Callable[[Sampler, Landscape], None]
) -> None:
    check(SAMPLERS[sampler], landscape())


@pytest.mark.parametrize("count", [1, 5, 16, 64])
def test_greedy_takes_the_best_and_its_random_share(count: int) -> None:
    land, rng = convolution(), np.random.default_rng(0)
    trail = some_trail(land, nothing(land))
    batch = GreedySampler(OPTIONS).select(land.space, trail, nothing(land), count, rng)
    drawn = {1: 0, 5: 0, 16: 1, 64: 3}[count]
    assert len(batch) == count
    np.testing.assert_array_equal(batch[: count - drawn], trail.configs[: count - drawn])
    assert len(unseen(batch, trail.configs)) == drawn


def test_greedy_fills_a_short_trail() -> None:
    land = convolution()
    trail = some_trail(land, nothing(land), count=3)
    batch = GreedySampler(OPTIONS).select(
        land.space, trail, nothing(land), 16, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(batch[:3], trail.configs)
    assert len(batch) == 16


def groups(count: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Eight points around each of ``count`` places of a lattice."""
    corners = np.array([[i % 3, i // 3 % 3, i // 9] for i in range(count)], dtype=float)
    return np.repeat(corners, 8, axis=0) + rng.normal(scale=spread, size=(8 * count, 3))


def test_knee_is_the_first_count_past_the_number_of_groups() -> None:
    rng = np.random.default_rng(0)
    for number in (4, 6, 9):
        clustering = knee(groups(number, 1e-3, rng), (2, number, 2 * number, 40), 2.5, rng)
        assert clustering.n_clusters == 2 * number


def test_knee_of_a_line_is_never_reached_and_of_a_cloud_at_once() -> None:
    rng = np.random.default_rng(0)
    # Twice the clusters leave a quarter of a line's loss, but most of a 6-dimensional cloud's.
    assert knee(np.linspace(0, 1, 256)[:, None], (2, 4, 8, 16), 2.5, rng).n_clusters == 16
    assert knee(rng.random((256, 6)), (2, 4, 8, 16), 2.5, rng).n_clusters == 4


def test_adaptive_measures_one_of_each_group() -> None:
    space = DesignSpace(tuple(Knob.listed(name, range(101)) for name in "abc"))
    rng = np.random.default_rng(0)
    centres = np.array([[10, 10, 10], [10, 90, 50], [90, 10, 50], [90, 90, 90]])
    members = distinct(np.repeat(centres, 16, axis=0) + rng.integers(-2, 3, size=(64, 3)))
    trail = Trail(members, np.linspace(1, 0, len(members)))
    options = Sampling(clusters=(2, 4), epsilon=0.0)
    batch = AdaptiveSampler(options).select(space, trail, members[:0], 16, rng)
    assert len(batch) == 4
    distances = np.abs(batch[:, None] - centres[None]).max(axis=2)
    # In the order of the groups' best candidates.
    assert distances.argmin(axis=1).tolist() == [0, 1, 2, 3]
    assert distances.min(axis=1).max() <= 2


def test_adaptive_never_mixes_sketches() -> None:
    space = sketched().space
    rows, columns = len(space.knobs[1]) - 1, len(space.knobs[2]) - 1
    # Of sketch 0, half lie nearer to sketch 2 than to each other; sketch 1 is between the two.
    corners = [[0, 0, 0, 0], [0, rows, columns, 0], [2, 0, 0, 0]]
    candidates = np.array([[*corner, parallel] for corner in corners for parallel in range(4)])
    trail = Trail(candidates, np.zeros(len(candidates)))
    options = Sampling(clusters=(2,), epsilon=0.0)
    batch = AdaptiveSampler(options).select(
        space, trail, candidates[:0], 16, np.random.default_rng(0)
    )
    assert batch[:, 0].tolist() == [0, 2]


@pytest.mark.parametrize(("epsilon", "drawn"), [(0.0, 0), (0.05, 1), (0.5, 8)])
def test_adaptive_draws_its_random_share(epsilon: float, drawn: int) -> None:
    land = convolution()
    trail, same = some_trail(land, nothing(land)), Sampling(clusters=(16,), epsilon=0.0)
    batches = [
        AdaptiveSampler(options).select(
            land.space, trail, nothing(land), 16, np.random.default_rng(0)
        )
        for options in (same, replace(same, epsilon=epsilon))
    ]
    np.testing.assert_array_equal(batches[0][: 16 - drawn], batches[1][: 16 - drawn])
    assert len(unseen(batches[1], batches[0])) == drawn


def test_adaptive_replaces_what_was_seen_by_synthesis() -> None:
    land = convolution()
    sampler = AdaptiveSampler(Sampling(clusters=(16,), epsilon=0.0))
    trail = some_trail(land, nothing(land))
    first = sampler.select(land.space, trail, nothing(land), 16, np.random.default_rng(0))
    # The candidates are still unseen (else the clusters would be others), the centroids are not.
    centroids = unseen(first, trail.configs)
    second = sampler.select(land.space, trail, centroids, 16, np.random.default_rng(0))
    replaced = unseen(second, first)
    assert len(second) == 16
    assert len(replaced) == len(centroids) > 0
    chosen = np.concatenate([centroids, unseen(first, centroids)])
    synthetic = synthesise(land.space, trail.configs, chosen, len(centroids), 100)
    np.testing.assert_array_equal(replaced, synthetic)


def counted() -> tuple[DesignSpace, np.ndarray]:
    """Candidates whose choices 1, 2, 0 and 3, 1, 0 occur 6, 3, 1 and 5, 4, 1 times."""
    space = DesignSpace((Knob.listed("a", range(3)), Knob.listed("b", range(4))))
    return space, np.array([[1] * 6 + [2] * 3 + [0], [0] + [1] * 4 + [3] * 5]).T


def test_synthesis_goes_from_the_mode_to_the_next_most_probable() -> None:
    space, candidates = counted()
    # Products of the frequencies:     30      24      15      12      6       5
    order = [(1, 3), (1, 1), (2, 3), (2, 1), (1, 0), (0, 3), (0, 1), (2, 0), (0, 0)]
    assert list(most_probable(space, candidates)) == order
    taken = np.array([order[0], order[2]])
    assert as_configs(synthesise(space, candidates, taken, 2, 100)) == [order[1], order[3]]


def test_synthesis_is_bounded() -> None:
    space, candidates = counted()
    none = candidates[:0]
    assert len(synthesise(space, candidates, none, 100, 100)) == 9
    assert len(synthesise(space, candidates, none, 100, 4)) == 4
    assert len(synthesise(space, candidates, none, 0, 100)) == 0
    taken = synthesise(space, candidates, none, 4, 100)
    assert synthesise(space, candidates, taken, 1, 4).shape == (0, 2)


def test_synthesis_order_agrees_with_brute_force() -> None:
    land = convolution()
    candidates = some_trail(land, nothing(land), count=12).configs
    shares = [
        np.bincount(c, minlength=len(k)) / 12
        for c, k in zip(candidates.T, land.space.knobs, strict=True)
    ]
    found = np.array(list(islice(most_probable(land.space, candidates), 300)))
    assert len(distinct(found)) == 300
    products = np.prod(
        [share[column] for share, column in zip(shares, found.T, strict=True)], axis=0
    )
    assert (np.diff(products) <= 1e-12).all()
    grid = np.ones(1)
    for share in shares:
        grid = np.outer(grid, share[share > 0]).ravel()
    np.testing.assert_allclose(products, np.sort(grid)[::-1][:300])


def test_synthesis_combines_knobs_within_a_sketch_only() -> None:
    land = sketched()
    # Sketch 2 is the most frequent, but knob "cache" counts in sketch 1 alone.
    candidates = np.array([[2, 0, 0, 0, 3]] * 3 + [[1, 5, 6, 2, 1], [1, 5, 6, 2, 1]])
    assert list(most_probable(land.space, candidates)) == [(2, 0, 0, 0, 3), (1, 5, 6, 2, 1)]
