"""Samplers: what is chosen from trails whose clusters and frequencies are known."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from chameleon_ray.knob import Knob
from chameleon_ray.options import Sampling
from chameleon_ray.search.active import ActiveSampler, spread
from chameleon_ray.search.adaptive import AdaptiveSampler, knee, most_probable, synthesise
from chameleon_ray.search.diversity import DiversitySampler, diverse
from chameleon_ray.search.explorer import Trail
from chameleon_ray.search.greedy import GreedySampler
from chameleon_ray.search.release import ReleaseSampler, substituted, synthetic, widest
from chameleon_ray.search.sampler import Sampler
from chameleon_ray.search.selection import Way
from chameleon_ray.space import DesignSpace, as_configs, distinct, unseen
from tests.pure.conformance import SAMPLER_CHECKS, nothing, some_trail
from tests.pure.landscape import Landscape, convolution, fenced, sketched, tiny

OPTIONS = Sampling(clusters=(4, 8, 12, 16))
SAMPLERS: dict[str, Sampler] = {
    "greedy": GreedySampler(OPTIONS),
    "adaptive": AdaptiveSampler(OPTIONS),
    "diversity": DiversitySampler(OPTIONS),
    "release": ReleaseSampler(OPTIONS),
    "active": ActiveSampler(OPTIONS),
}


@pytest.mark.parametrize("check", SAMPLER_CHECKS)
@pytest.mark.parametrize("landscape", [convolution, sketched, fenced, tiny])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_conformance(
    sampler: str, landscape: Callable[[], Landscape], check: Callable[[Sampler, Landscape], None]
) -> None:
    check(SAMPLERS[sampler], landscape())


@pytest.mark.parametrize("count", [1, 5, 16, 64])
def test_greedy_takes_the_best_and_its_random_share(count: int) -> None:
    land, rng = convolution(), np.random.default_rng(0)
    trail = some_trail(land, nothing(land))
    batch = GreedySampler(OPTIONS).select(land.space, trail, nothing(land), count, rng).configs
    drawn = {1: 0, 5: 0, 16: 1, 64: 3}[count]
    assert len(batch) == count
    np.testing.assert_array_equal(batch[: count - drawn], trail.configs[: count - drawn])
    assert len(unseen(batch, trail.configs)) == drawn


def test_greedy_fills_a_short_trail() -> None:
    land = convolution()
    trail = some_trail(land, nothing(land), count=3)
    batch = (
        GreedySampler(OPTIONS)
        .select(land.space, trail, nothing(land), 16, np.random.default_rng(0))
        .configs
    )
    np.testing.assert_array_equal(batch[:3], trail.configs)
    assert len(batch) == 16


def test_diverse_covers_choices_first_and_prefers_the_better() -> None:
    space = DesignSpace(tuple(Knob.listed(name, range(4)) for name in "abc"))
    candidates = np.array(
        [
            [0, 0, 0],  # first: 3 pairs, as every other
            [0, 0, 1],  # 1 new pair
            [1, 0, 1],  # 2 new pairs
            [1, 1, 0],  # 2 new pairs; then 1, as the third has come before it
            [2, 2, 2],  # 3 new pairs: second
            [2, 2, 3],  # 1 new pair
        ]
    )
    assert diverse(space, candidates, 6).tolist() == [0, 4, 2, 3, 5, 1]
    assert diverse(space, candidates, 2).tolist() == [0, 4]
    assert diverse(space, candidates[:0], 2).tolist() == []


def test_diverse_counts_only_knobs_that_count() -> None:
    land = sketched()
    # Of the last sketch two knobs count, of the first four.
    candidates = np.array([[2, 0, 0, 0, 3], [0, 0, 0, 0, 3], [1, 0, 0, 0, 2]])
    assert diverse(land.space, candidates, 3).tolist() == [2, 0, 1]


def test_diversity_picks_among_the_best_and_draws_its_random_share() -> None:
    land, rng = convolution(), np.random.default_rng(0)
    trail = some_trail(land, nothing(land))
    batch = DiversitySampler(Sampling()).select(land.space, trail, nothing(land), 20, rng).configs
    best = trail.configs[:40]
    assert len(batch) == 20
    np.testing.assert_array_equal(batch[:19], best[diverse(land.space, best, 19)])
    assert len(unseen(batch, best)) == 1

    def choices(configs: np.ndarray) -> int:
        return sum(len(np.unique(column)) for column in configs.T)

    assert choices(batch[:19]) > choices(best[:19])


def test_release_clusters_the_two_widest_knobs() -> None:
    assert widest(convolution().space).tolist() == [0, 1]
    # The sketch is none, whatever its number of choices.
    many = Knob.listed("sketch", range(50))
    space = DesignSpace((many, *sketched().space.knobs[1:]), np.ones((50, 5), dtype=bool))
    assert widest(space).tolist() == [1, 2]


def test_release_draws_the_other_knobs_in_the_cluster() -> None:
    names = {"a": 9, "b": 30, "c": 30}
    space = DesignSpace(tuple(Knob.listed(name, range(n)) for name, n in names.items()))
    rng = np.random.default_rng(0)
    near = np.array([[0, 5, 5], [1, 5, 7], [1, 7, 5], [0, 7, 7], [1, 6, 6]])
    candidates = np.concatenate([near, near + np.array([5, 15, 15])])
    drawn = set()
    for _ in range(20):
        configs = synthetic(space, candidates, 2, Sampling(clusters=(2,)), rng)
        assert configs[:, 1:].tolist() == [[6, 6], [21, 21]]
        drawn |= set(configs[:, 0].tolist())
    assert drawn == {0, 1, 5, 6}


def test_release_puts_candidates_in_place_of_what_is_seen_repeated_or_not_valid() -> None:
    members = np.array([(a, b) for a in range(4) for b in range(a + 1)])
    space = DesignSpace((Knob.listed("a", range(4)), Knob.listed("b", range(4))), members=members)
    configs = np.array([[3, 3], [3, 3], [2, 1], [0, 3], [1, 1]])
    seen, candidates = np.array([[2, 1]]), np.array([[1, 1], [3, 1], [3, 2], [2, 2]])
    batch = substituted(space, configs, candidates, seen, np.random.default_rng(0))
    assert batch[:2].tolist() == [[3, 3], [1, 1]]
    assert sorted(batch[2:].tolist()) == [[2, 2], [3, 1], [3, 2]]
    few = substituted(space, configs, candidates[:2], seen, np.random.default_rng(0))
    assert few.tolist() == [[3, 3], [1, 1], [3, 1]]


def test_spread_weighs_score_against_distance() -> None:
    scores, places = np.array([1.0, 0.9, 0.5, 0.0]), np.array([[0.0], [0.1], [1.0], [0.5]])
    none = places[:0]
    assert spread(scores, places, none, 4, 0.0).tolist() == [0, 1, 2, 3]
    # Then row 2 has 0.25 + 0.5, row 1 has 0.45 + 0.05; then row 1 has 0.5, row 3 has 0.25.
    assert spread(scores, places, none, 4, 0.5).tolist() == [0, 2, 1, 3]
    # Then row 3 is 0.5 away from both, row 1 is 0.1 away from the first.
    assert spread(scores, places, none, 4, 1.0).tolist() == [0, 2, 3, 1]
    # What is near to others waits: rows 0 to 3 have 0.5, 0.5, 0.7, 0.25.
    assert spread(scores, places, places[:1], 1, 0.5).tolist() == [2]
    assert spread(np.full(4, 0.3), places, none, 9, 0.0).tolist() == [0, 1, 2, 3]


def test_active_leaves_out_what_was_turned_down() -> None:
    land, rng = convolution(), np.random.default_rng(0)
    trail = some_trail(land, nothing(land))
    scores = np.where(np.arange(64) < 10, 0.5, -1.5)
    batch = (
        ActiveSampler(Sampling())
        .select(land.space, Trail(trail.configs, scores), nothing(land), 16, rng)
        .configs
    )
    assert len(batch) == 16
    assert len(unseen(trail.configs[:10], batch)) == 0
    assert len(unseen(trail.configs[10:], batch)) == 54


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
    batch = AdaptiveSampler(options).select(space, trail, members[:0], 16, rng).configs
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
    batch = (
        AdaptiveSampler(options)
        .select(space, trail, candidates[:0], 16, np.random.default_rng(0))
        .configs
    )
    assert batch[:, 0].tolist() == [0, 2]


@pytest.mark.parametrize(("epsilon", "drawn"), [(0.0, 0), (0.05, 1), (0.5, 8)])
def test_adaptive_draws_its_random_share(epsilon: float, drawn: int) -> None:
    land = convolution()
    trail, same = some_trail(land, nothing(land)), Sampling(clusters=(16,), epsilon=0.0)
    batches = [
        AdaptiveSampler(options)
        .select(land.space, trail, nothing(land), 16, np.random.default_rng(0))
        .configs
        for options in (same, replace(same, epsilon=epsilon))
    ]
    np.testing.assert_array_equal(batches[0][: 16 - drawn], batches[1][: 16 - drawn])
    assert len(unseen(batches[1], batches[0])) == drawn


def test_adaptive_replaces_what_was_seen_by_synthesis() -> None:
    land = convolution()
    sampler = AdaptiveSampler(Sampling(clusters=(16,), epsilon=0.0))
    trail = some_trail(land, nothing(land))
    first = sampler.select(land.space, trail, nothing(land), 16, np.random.default_rng(0)).configs
    # The candidates are still unseen (else the clusters would be others), the centroids are not.
    centroids = unseen(first, trail.configs)
    selection = sampler.select(land.space, trail, centroids, 16, np.random.default_rng(0))
    second = selection.configs
    replaced = unseen(second, first)
    assert len(second) == 16
    assert len(replaced) == len(centroids) > 0
    chosen = np.concatenate([centroids, unseen(first, centroids)])
    synthetic = synthesise(land.space, trail.configs, chosen, len(centroids), 100)
    np.testing.assert_array_equal(replaced, synthetic)
    made = second[[way is Way.SYNTHESISED for way in selection.ways]]
    np.testing.assert_array_equal(made, synthetic)


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
