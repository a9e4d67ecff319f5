"""What every explorer, sampler and cost model must do: functions any of them is pushed through."""

import pickle
import threading
from collections.abc import Callable

import numpy as np

from chameleon_ray.search.cost_model import CostModel, Experience
from chameleon_ray.search.explorer import Agent, Explorer, Score, Trail
from chameleon_ray.search.sampler import Sampler
from chameleon_ray.space import as_configs, unseen
from tests.pure.landscape import Landscape


def nothing(landscape: Landscape) -> np.ndarray:
    """No configuration seen."""
    return np.empty((0, len(landscape.space.knobs)), dtype=np.int64)


def assert_trail(landscape: Landscape, trail: Trail, seen: np.ndarray, count: int) -> None:
    """Distinct, unseen, canonical, valid, truly scored, descending, no more than asked for."""
    configs, space = trail.configs, landscape.space
    assert configs.dtype == np.int64
    assert configs.shape == (len(trail.scores), len(space.knobs))
    assert len(configs) <= count
    assert (configs >= 0).all()
    assert (configs < space.dims).all()
    np.testing.assert_array_equal(unseen(configs, seen), configs)
    np.testing.assert_array_equal(space.canonical(configs), configs)
    assert space.valid(configs).all()
    np.testing.assert_allclose(trail.scores, landscape(configs), rtol=1e-5)
    assert (np.diff(trail.scores) <= 0).all()


def trail_is_sound(explorer: Explorer, landscape: Landscape, count: int) -> None:
    """Three plans, each barred from what the ones before found."""
    rng = np.random.default_rng(1)
    seen = nothing(landscape)
    agent: Agent = {}
    for _ in range(3):
        trail = explorer.explore(landscape.space, landscape, seen, agent, rng)
        assert_trail(landscape, trail, seen, count)
        seen, agent = np.concatenate([seen, trail.configs]), trail.agent


def trail_is_full(explorer: Explorer, landscape: Landscape, count: int) -> None:
    """A space with far more configurations than wanted gives as many as wanted."""
    trail = explorer.explore(
        landscape.space, landscape, nothing(landscape), {}, np.random.default_rng(2)
    )
    assert len(trail.configs) == min(count, landscape.space.size)
    assert trail.queries >= len(trail.configs)


def same_seed_gives_same_trail(explorer: Explorer, landscape: Landscape, count: int) -> None:
    """Two plans, twice; the second time the agent has been pickled, as it is on its way to disk."""
    trails = []
    for wire in (lambda agent: agent, lambda agent: pickle.loads(pickle.dumps(agent))):
        rng, seen = np.random.default_rng(3), nothing(landscape)
        agent: Agent = {}
        for _ in range(2):
            trail = explorer.explore(landscape.space, landscape, seen, agent, rng)
            agent = wire(trail.agent)
        trails.append(trail)
    np.testing.assert_array_equal(trails[0].configs, trails[1].configs)
    np.testing.assert_array_equal(trails[0].scores, trails[1].scores)
    assert trails[0].agent.keys() == trails[1].agent.keys()


def seed_matters(explorer: Explorer, landscape: Landscape, count: int) -> None:
    """Another seed searches elsewhere (in a space too large to be searched whole)."""
    if landscape.space.size < 1000 * count:
        return
    trails = [
        explorer.explore(landscape.space, landscape, nothing(landscape), {}, rng).configs
        for rng in (np.random.default_rng(4), np.random.default_rng(5))
    ]
    assert trails[0].shape != trails[1].shape or (trails[0] != trails[1]).any()


def beats_uniform(explorer: Explorer, landscape: Landscape, count: int) -> None:
    """The trail's mean lies above 95 % of uniform draws (a tiny space has nothing to beat)."""
    if landscape.space.size <= count:
        return
    trail = explorer.explore(
        landscape.space, landscape, nothing(landscape), {}, np.random.default_rng(6)
    )
    uniform = landscape(landscape.space.random(np.random.default_rng(7), 4000))
    assert trail.scores.mean() > np.quantile(uniform, 0.95)


def exhausted_space_gives_nothing(explorer: Explorer, landscape: Landscape, count: int) -> None:
    """All configurations seen: an empty trail of the right shape, not an error."""
    if landscape.space.size > 10_000:
        return
    space, rng = landscape.space, np.random.default_rng(8)
    first = explorer.explore(space, landscape, nothing(landscape), {}, rng)
    trail = explorer.explore(space, landscape, space.enumerate(), first.agent, rng)
    assert trail.configs.shape == (0, len(space.knobs))
    assert trail.scores.shape == (0,)


EXPLORER_CHECKS: tuple[Callable[[Explorer, Landscape, int], None], ...] = (
    trail_is_sound,
    trail_is_full,
    same_seed_gives_same_trail,
    seed_matters,
    beats_uniform,
    exhausted_space_gives_nothing,
)


def some_trail(landscape: Landscape, seen: np.ndarray, count: int = 64) -> Trail:
    """The best of a few thousand uniform draws."""
    draws = unseen(landscape.space.random(np.random.default_rng(9), 3000), seen)
    scores = landscape(draws)
    order = np.argsort(-scores)[:count]
    return Trail(draws[order], scores[order])


def assert_batch(landscape: Landscape, batch: np.ndarray, seen: np.ndarray, count: int) -> None:
    """Distinct, unseen, canonical, valid, no more than asked for."""
    space = landscape.space
    assert batch.dtype == np.int64
    assert batch.shape[1] == len(space.knobs)
    assert len(batch) <= count
    assert (batch >= 0).all()
    assert (batch < space.dims).all()
    np.testing.assert_array_equal(unseen(batch, seen), batch)
    np.testing.assert_array_equal(space.canonical(batch), batch)
    assert space.valid(batch).all()


def batch_is_sound(sampler: Sampler, landscape: Landscape) -> None:
    """Whatever the number wanted; also where the trail was seen since, or there is none."""
    rng = np.random.default_rng(10)
    trail = some_trail(landscape, nothing(landscape))
    for seen in (nothing(landscape), trail.configs[::2], trail.configs):
        for given in (trail, Trail(trail.configs[:3], trail.scores[:3]), empty(landscape)):
            for count in (1, 2, 7, 16, 64):
                batch = sampler.select(landscape.space, given, seen, count, rng).configs
                assert_batch(landscape, batch, seen, count)
                assert len(batch) > 0 or len(seen) == landscape.space.size


def empty(landscape: Landscape) -> Trail:
    """A trail that has been nowhere."""
    return Trail(nothing(landscape), np.empty(0))


def same_seed_gives_same_batch(sampler: Sampler, landscape: Landscape) -> None:
    """Same trail, same seed, same batch."""
    seen = landscape.space.random(np.random.default_rng(11), 1)
    trail = some_trail(landscape, seen)
    batches = [
        sampler.select(landscape.space, trail, seen, 16, np.random.default_rng(12)).configs
        for _ in range(2)
    ]
    np.testing.assert_array_equal(batches[0], batches[1])


def space_is_measured_to_the_end(sampler: Sampler, landscape: Landscape) -> None:
    """Plan after plan, with and without a trail, every configuration of a small space comes up."""
    space, rng = landscape.space, np.random.default_rng(13)
    if space.size > 10_000:
        return
    # Nearly all of it has been seen, so that a plan has to look for what is left.
    left = rng.permutation(space.size)[:25]
    everything = space.enumerate()
    seen = np.delete(everything, left, axis=0)
    for plan in range(space.size):
        trail = some_trail(landscape, seen) if plan % 2 else empty(landscape)
        batch = sampler.select(space, trail, seen, 4, rng).configs
        assert_batch(landscape, batch, seen, 4)
        if not len(batch):
            break
        seen = np.concatenate([seen, batch])
    assert sorted(as_configs(seen)) == sorted(as_configs(everything))


SAMPLER_CHECKS: tuple[Callable[[Sampler, Landscape], None], ...] = (
    batch_is_sound,
    same_seed_gives_same_batch,
    space_is_measured_to_the_end,
)


def known(configs: np.ndarray, fitness: np.ndarray, plans: int = 1) -> Experience:
    """Tried in so many plans, one like the other."""
    return Experience(configs, fitness, np.arange(len(configs)) * plans // max(len(configs), 1))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, for values of which few are equal."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def learnt(model: CostModel, landscape: Landscape, rows: int, plans: int, seed: int = 14) -> Score:
    """What the model makes of random configurations, a quarter of which failed."""
    rng = np.random.default_rng(seed)
    configs = landscape.space.random(rng, rows)
    fitness = np.where(rng.random(rows) < 0.25, 0.0, landscape(configs))
    return model.fit(landscape.space, known(configs, fitness, plans), rng)


def ranks_what_it_has_not_seen(model: CostModel, landscape: Landscape) -> None:
    """Random configurations are put in nearly the right order (where there are enough)."""
    if landscape.space.size < 1000:
        return
    rng = np.random.default_rng(15)
    configs, held_out = landscape.space.random(rng, 128), landscape.space.random(rng, 500)
    score = model.fit(landscape.space, known(configs, landscape(configs)), rng)
    # An expected improvement is not a prediction: it values the unknown, too.
    assert rank_correlation(score(held_out), landscape(held_out)) > 0.5


def same_seed_gives_same_score(model: CostModel, landscape: Landscape) -> None:
    """The same records and seed, the same score; the fits in between leave no trace."""
    queries = landscape.space.random(np.random.default_rng(16), 100)
    once, _, again = (learnt(model, landscape, 100, plans, 17)(queries) for plans in (2, 3, 2))
    np.testing.assert_array_equal(once, again)


def score_survives_pickling(model: CostModel, landscape: Landscape) -> None:
    """Before its first use and after; what it holds for speed stays in its process."""
    score = learnt(model, landscape, 64, 2)
    queries = landscape.space.random(np.random.default_rng(18), 50)
    fresh = pickle.dumps(score)
    expected = score(queries)
    used = pickle.dumps(score)
    for copy in (fresh, used):
        np.testing.assert_array_equal(pickle.loads(copy)(queries), expected)
    assert len(used) < len(fresh) + 20_000


def score_is_one_float_per_row(model: CostModel, landscape: Landscape) -> None:
    """Whatever the number of rows; finite, and each row's is its own."""
    for plans in (1, 2, 5):
        score = learnt(model, landscape, 64, plans)
        queries = landscape.space.random(np.random.default_rng(19), 1000)
        predicted = score(queries)
        for rows in (0, 1, 3, 1000):
            part = score(queries[:rows])
            assert part.shape == (rows,)
            assert part.dtype == np.float32
            np.testing.assert_allclose(part, predicted[:rows], rtol=1e-4, atol=1e-6)
        assert np.isfinite(predicted).all()


def constant_fitness_gives_finite_scores(model: CostModel, landscape: Landscape) -> None:
    """All failed, all alike, all best; from one record on."""
    for value in (0.0, 0.5, 1.0):
        for rows in (1, 2, 40):
            rng = np.random.default_rng(20)
            configs = landscape.space.random(rng, rows)
            for plans in (1, 2):
                experience = known(configs, np.full(rows, value), plans)
                score = model.fit(landscape.space, experience, rng)
                assert np.isfinite(score(landscape.space.random(rng, 20))).all()


def few_records_are_enough(model: CostModel, landscape: Landscape) -> None:
    """One to five records, good and failed, of one or more plans."""
    queries = landscape.space.random(np.random.default_rng(21), 20)
    for rows in (1, 2, 3, 5):
        for plans in (1, rows):
            assert np.isfinite(learnt(model, landscape, rows, plans)(queries)).all()


def fits_in_this_thread(model: CostModel, landscape: Landscape) -> None:
    """The cores are shared with builders: no threads are started."""
    before = threading.active_count()
    learnt(model, landscape, 64, 2)
    assert threading.active_count() == before


COST_MODEL_CHECKS: tuple[Callable[[CostModel, Landscape], None], ...] = (
    ranks_what_it_has_not_seen,
    same_seed_gives_same_score,
    score_survives_pickling,
    score_is_one_float_per_row,
    constant_fitness_gives_finite_scores,
    few_records_are_enough,
    fits_in_this_thread,
)
