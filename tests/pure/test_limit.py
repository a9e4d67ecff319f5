"""Limits: known amounts, and spaces whose every way to a configuration keeps them."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from chameleon_ray.knob import Knob
from chameleon_ray.limit import Box, Limit, Product, Side, product
from chameleon_ray.options import Annealing, RandomWalk
from chameleon_ray.search.adaptive import synthesise
from chameleon_ray.search.annealing import AnnealingExplorer
from chameleon_ray.search.explorer import Explorer
from chameleon_ray.search.random_walk import RandomExplorer, random_unseen
from chameleon_ray.search.world import KnobWorld
from chameleon_ray.space import DesignSpace

ROWS, COLUMNS = Knob.tiling("rows", 64, 3, 64), Knob.tiling("columns", 48, 3, 48)
UNROLL = Knob.listed("unroll", (0, 16, 64))


def tile(knob: int, of: Knob, place: int) -> Product:
    return Product(1, ((knob, tuple(choice[place] for choice in of.choices)),))  # type: ignore[index]


THREADS = tile(0, ROWS, 1) * tile(1, COLUMNS, 1)
LIMITS = (
    Limit("threads", (Box.of(THREADS),), 32, 128),
    Limit("sums", (Box.of(tile(0, ROWS, 2) * tile(1, COLUMNS, 2)),), 0, 4),
)
SPACE = DesignSpace((ROWS, COLUMNS, UNROLL), limits=LIMITS)
SKETCH = Knob.listed("sketch", (0, 1))
SKETCHES = DesignSpace(
    (SKETCH, ROWS, UNROLL),
    np.array([[True, True, False], [True, True, True]]),
    limits=(Limit("threads", (Box.of(tile(1, ROWS, 1)),), 8, 64, sketches=(1,)),),
)


def config(rows: tuple[int, ...], columns: tuple[int, ...]) -> np.ndarray:
    return np.array([[ROWS.choices.index(rows), COLUMNS.choices.index(columns), 0]])


def score(configs: np.ndarray) -> np.ndarray:
    """Best where it is forbidden."""
    return (THREADS(configs) / 3072).astype(np.float32)


def test_a_product_does_not_depend_on_the_order_of_its_factors() -> None:
    """As factors may come from a set, whose order differs from process to process."""
    factors = [Product(2), Product(1, ((1, (1, 2)),)), Product(3, ((0, (4, 5)),)), Product()]
    assert product(factors) == product(factors[::-1]) == Product(6, ((0, (4, 5)), (1, (1, 2))))


def test_a_product_is_of_the_choices_numbers() -> None:
    configs = config((2, 8, 4), (1, 6, 8))
    assert THREADS(configs).tolist() == [48]
    assert (THREADS * Product(3))(configs).tolist() == [144]
    assert product([]) == Product()
    assert product([THREADS, None]) is None


def test_a_box_is_what_its_sides_reach() -> None:
    """A 3x3 kernel over rows in steps of 2, in 4-byte numbers; rows padded to 8 beyond 32s."""
    configs = config((2, 8, 4), (1, 6, 8))
    side = Side(3, ((2, tile(0, ROWS, 2)), (1, Product(5))))
    assert side(configs).tolist() == [3 + 2 * 3 + 4]
    box = Box(4, (Side(16, ()), side), padding=(32, 8))
    assert box(configs).tolist() == [4 * 16 * 40]
    assert replace(box, padding=(1, 0))(configs).tolist() == [4 * 16 * 13]


def test_a_limit_has_two_ends_and_adds_up() -> None:
    few, some = config((64, 1, 1), (48, 1, 1)), config((1, 8, 8), (6, 4, 2))
    threads = LIMITS[0]
    assert [bool(threads.allows(one)[0]) for one in (few, some)] == [False, True]
    twice = replace(threads, boxes=threads.boxes * 2, least=64, most=64)
    assert twice.amounts(some).tolist() == [64]
    assert twice.allows(some).all()


def test_a_limit_of_one_sketch_leaves_the_others() -> None:
    configs = np.array([[0, 0, 0], [1, 0, 0]])
    assert SKETCHES.valid(configs).tolist() == [True, False]
    assert SKETCHES.limits[0].concerns(configs).tolist() == [False, True]


@pytest.mark.parametrize("space", [SPACE, SKETCHES])
def test_nothing_beyond_the_limits_is_drawn_moved_to_or_rounded_to(space: DesignSpace) -> None:
    rng = np.random.default_rng(0)
    drawn = space.random(rng, 200)
    assert len(drawn) == 200
    actions = rng.integers(0, 3, size=(200, space.axes))
    points = rng.random((50, space.axes))
    for configs in (drawn, space.mutate(rng, drawn), space.move(drawn, actions)):
        assert space.valid(configs).all()
    assert space.valid(space.nearest(points)).all()
    every = space.enumerate()
    assert space.valid(every).all()
    assert len(every) < space.size
    assert {tuple(row) for row in drawn} <= {tuple(row) for row in every}


def test_rounding_keeps_what_is_valid() -> None:
    drawn = SPACE.random(np.random.default_rng(0), 20)
    assert (SPACE.nearest(SPACE.coordinates(drawn)) == drawn).all()


def test_random_ones_end_where_the_limits_leave_no_more() -> None:
    none = np.empty((0, 3), dtype=np.int64)
    left = len(SPACE.enumerate())
    most = SPACE.size // 5  # too many to be listed
    assert left < most
    found = random_unseen(SPACE, none, most, np.random.default_rng(0))
    assert len(found) <= left
    assert SPACE.valid(found).all()


@pytest.mark.parametrize(
    "explorer",
    [
        AnnealingExplorer(Annealing(chains=16, steps=50), 24),
        RandomExplorer(RandomWalk(candidates=64), 24),
    ],
)
def test_explorers_propose_valid_configurations_only(explorer: Explorer) -> None:
    seen = SPACE.random(np.random.default_rng(1), 10)
    trail = explorer.explore(SPACE, score, seen, {}, np.random.default_rng(0))
    assert len(trail.configs) == 24
    assert SPACE.valid(trail.configs).all()
    best = score(SPACE.enumerate()).max()
    assert trail.scores[0] == pytest.approx(best)


def test_walkers_and_synthesis_stay_within_limits() -> None:
    world = KnobWorld(SPACE, score, 8, 20, np.random.default_rng(0))
    world.reset()
    rng = np.random.default_rng(1)
    world.walk(lambda places: rng.integers(0, 3, size=places.shape), 20)
    visited, _ = world.visited
    assert SPACE.valid(visited).all()
    synthetic = synthesise(SPACE, visited, visited, 8, 512)
    assert SPACE.valid(synthetic).all()


def test_limits_are_part_of_the_spaces_name_and_travel() -> None:
    assert SPACE.digest != replace(SPACE, limits=()).digest
    assert SPACE.digest == pickle.loads(pickle.dumps(SPACE)).digest
