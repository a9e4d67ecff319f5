"""The design space: counts, moves, rounding, knobs that do not count."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from chameleon_ray.knob import Knob, factorisations
from chameleon_ray.space import DesignSpace, as_configs, distinct, pack, unseen
from tests.pure.landscape import ANY, Landscape, convolution, sketched, tiny

SPACES = {"convolution": convolution, "sketched": sketched, "tiny": tiny}


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> DesignSpace:
    return SPACES[request.param]().space


@pytest.fixture
def configs(space: DesignSpace) -> np.ndarray:
    return space.random(np.random.default_rng(0), 300)


def test_resnet_convolution_has_autotvms_dimensions() -> None:
    # The direct convolution template on 64x56x56, 3x3: AutoTVM's space, knob by knob.
    assert convolution().space.dims.tolist() == [84, 80, 80, 7, 2, 2, 3, 2]
    assert convolution().space.size == 84 * 80 * 80 * 7 * 2 * 2 * 3 * 2


@pytest.mark.parametrize(
    ("extent", "parts", "count"), [(64, 4, 84), (56, 4, 80), (1, 4, 1), (7, 2, 2), (196, 4, 100)]
)
def test_factorisations_are_all_and_distinct(extent: int, parts: int, count: int) -> None:
    found = factorisations(extent, parts, ANY)
    assert len(found) == len(set(found)) == count
    assert all(np.prod(tiles) == extent for tiles in found)


def test_innermost_bounds_the_last_tile_only() -> None:
    assert factorisations(8, 2, 2) == [(4, 2), (8, 1)]
    assert factorisations(6, 1, 4) == []


def test_factorisation_of_a_prime_beyond_the_bound_is_outermost() -> None:
    assert factorisations(13, 2, 8) == [(13, 1)]


@pytest.mark.parametrize("knob", [k for make in SPACES.values() for k in make().space.knobs])
def test_choices_have_places_of_their_own_in_the_unit_cube(knob: Knob) -> None:
    assert knob.coordinates.shape == (len(knob), knob.axes)
    assert (knob.coordinates >= 0).all()
    assert (knob.coordinates <= 1).all()
    assert len(np.unique(knob.coordinates, axis=0)) == len(knob)


@pytest.mark.parametrize("knob", [k for make in SPACES.values() for k in make().space.knobs])
def test_a_move_changes_its_axis_only_and_the_opposite_undoes_it(knob: Knob) -> None:
    for axis in range(knob.axes):
        others = np.delete(knob.coordinates, axis, axis=1)
        for choice in range(len(knob)):
            down, stay, up = knob.moves[choice, axis]
            assert stay == choice
            for moved, back, sign in ((down, 2, -1), (up, 0, 1)):
                if moved == choice:
                    continue
                np.testing.assert_allclose(others[moved], others[choice])
                step = knob.coordinates[moved, axis] - knob.coordinates[choice, axis]
                assert step * sign > 0
                assert knob.moves[moved, axis, back] == choice


def test_moving_a_tiling_shifts_one_cut_to_its_next_place() -> None:
    knob = Knob.tiling("tile", 12, 3, ANY)
    start = knob.choices.index((3, 2, 2))
    outer, inner = knob.moves[start, 0], knob.moves[start, 1]
    assert [knob.choices[c] for c in outer] == [(6, 1, 2), (3, 2, 2), (2, 3, 2)]
    assert [knob.choices[c] for c in inner] == [(3, 4, 1), (3, 2, 2), (3, 1, 4)]


def test_every_tiling_can_be_walked_to() -> None:
    knob = Knob.tiling("tile", 56, 4, ANY)
    reached = frontier = {0}
    while frontier:
        frontier = {int(c) for choice in frontier for c in knob.moves[choice].ravel()} - reached
        reached = reached | frontier
    assert len(reached) == 80


def test_space_moves_every_axis_at_once(space: DesignSpace, configs: np.ndarray) -> None:
    stay = np.ones((len(configs), space.axes), dtype=np.int64)
    np.testing.assert_array_equal(space.move(configs, stay), configs)
    for axis in range(space.axes):
        actions = stay.copy()
        actions[:, axis] = 2
        moved = space.move(configs, actions)
        changed = space.coordinates(moved) != space.coordinates(configs)
        same_sketch = moved[:, 0] == configs[:, 0] if space.active is not None else slice(None)
        assert not np.delete(changed, axis, axis=1)[same_sketch].any()
        np.testing.assert_array_equal(space.canonical(moved), moved)


def test_rounding_a_configurations_own_place_gives_it_back(
    space: DesignSpace, configs: np.ndarray
) -> None:
    np.testing.assert_array_equal(space.nearest(space.coordinates(configs)), configs)
    off = space.coordinates(configs) + np.random.default_rng(0).uniform(-1e-3, 1e-3, space.axes)
    np.testing.assert_array_equal(space.nearest(off), configs)


def test_mutation_sets_one_knob_to_another_choice(space: DesignSpace, configs: np.ndarray) -> None:
    mutated = space.mutate(np.random.default_rng(1), configs)
    changes = (mutated != configs).sum(axis=1)
    if space.active is None:
        assert (changes == 1).all()
    else:
        same = mutated[:, 0] == configs[:, 0]
        assert same.any()
        assert (changes[same] == 1).all()
        assert (changes >= 1).all()
    np.testing.assert_array_equal(space.canonical(mutated), mutated)
    assert (mutated < space.dims).all()


def test_mutation_reaches_every_other_choice_equally_often() -> None:
    space = DesignSpace((Knob.listed("a", range(4)), Knob.listed("b", (7,))))
    mutated = space.mutate(np.random.default_rng(0), np.full((3000, 2), [1, 0]))
    counts = np.bincount(mutated[:, 0], minlength=4)
    assert counts[1] == 0
    assert counts[[0, 2, 3]].min() > 900


def test_mutation_of_a_single_configuration_stays() -> None:
    space = DesignSpace((Knob.listed("a", (5,)), Knob.listed("b", (7,))))
    assert space.mutate(np.random.default_rng(0), np.zeros((2, 2), dtype=np.int64)).sum() == 0


def test_random_reaches_every_choice(space: DesignSpace) -> None:
    drawn = space.random(np.random.default_rng(0), 6000)
    assert [len(np.unique(column)) for column in drawn.T] == space.dims.tolist()


@pytest.mark.parametrize("make", [sketched, tiny])
def test_enumeration_has_every_configuration_once(make: Callable[[], Landscape]) -> None:
    space = make().space
    everything = space.enumerate()
    assert len(everything) == space.size == len(distinct(everything))
    np.testing.assert_array_equal(space.canonical(everything), everything)
    assert not len(unseen(space.random(np.random.default_rng(0), 2000), everything))


def test_enumeration_does_not_cross_sketches() -> None:
    knobs = (Knob.listed("sketch", range(8)), *(Knob.listed(str(k), range(50)) for k in range(8)))
    active = np.hstack([np.ones((8, 1), dtype=bool), np.eye(8, dtype=bool)])
    assert DesignSpace(knobs, active).enumerate().shape == (400, 9)


def test_knobs_that_do_not_count() -> None:
    space = sketched().space
    plain = np.array([[2, 3, 4, 1, 2]])
    assert as_configs(space.canonical(plain)) == [(2, 0, 0, 0, 2)]
    assert space.values((2, 0, 0, 0, 2)) == {"sketch": "plain", "parallel": 4}
    features = space.features(space.canonical(plain))
    tiles = sum(space.knobs[k].features.shape[1] for k in (1, 2, 3))
    assert np.isnan(features).sum() == tiles
    assert np.isfinite(features[0, [0, -1]]).all()


def test_features_are_those_of_the_choices(space: DesignSpace, configs: np.ndarray) -> None:
    features = space.features(configs)
    assert features.dtype == np.float32
    for row, config in zip(features[:50], configs, strict=False):
        counts = [True] * len(config) if space.active is None else space.active[config[0]]
        expected = [
            knob.features[index] if used else np.full(knob.features.shape[1], np.nan)
            for knob, index, used in zip(space.knobs, config, counts, strict=True)
        ]
        np.testing.assert_array_equal(row, np.concatenate(expected))


def test_features_of_a_tiling_are_logarithms_of_what_cuts_enclose_and_of_tiles() -> None:
    knob = Knob.tiling("tile", 64, 3, ANY)
    row = knob.features[knob.choices.index((4, 8, 2))]
    assert row.tolist() == [4.0, 1.0, 2.0, 3.0, 1.0]


def test_rows_as_a_set() -> None:
    rows = np.array([[1, 2], [3, 4], [1, 2], [2, 1]])
    assert distinct(rows).tolist() == [[1, 2], [3, 4], [2, 1]]
    assert unseen(rows, np.array([[3, 4]])).tolist() == [[1, 2], [2, 1]]
    assert unseen(rows, rows).shape == unseen(rows[:0], rows).shape == (0, 2)
    assert len(unseen(rows, rows[:0])) == 3
    assert pack(rows)[0] == pack(rows)[2] != pack(rows)[3]


def test_space_survives_pickling_and_keeps_its_digest(
    space: DesignSpace, configs: np.ndarray
) -> None:
    copy = pickle.loads(pickle.dumps(space))
    assert copy.digest == space.digest
    np.testing.assert_array_equal(copy.features(configs), space.features(configs))
    assert convolution().space.digest != sketched().space.digest


def triangle() -> DesignSpace:
    """Pairs of which the second is no greater than the first."""
    knobs = (Knob.listed("a", (0, 1, 2, 3)), Knob.listed("b", (0, 1, 2, 3)))
    members = np.array([(a, b) for a in range(4) for b in range(a + 1)])
    return DesignSpace(knobs, members=members)


def test_only_members_are_drawn_reached_and_rounded_to() -> None:
    space, rng = triangle(), np.random.default_rng(0)
    assert space.size == len(space.enumerate()) == 10
    draws = space.random(rng, 300)
    assert len(distinct(draws)) == 10
    assert space.valid(draws).all()
    assert not space.valid(np.array([[0, 1], [2, 3]])).any()
    assert space.valid(space.mutate(rng, draws)).all()
    assert space.valid(space.move(draws, rng.integers(0, 3, (300, 2)))).all()
    assert space.valid(space.nearest(rng.random((300, 2)))).all()


def test_a_move_out_of_the_members_is_none() -> None:
    space = triangle()
    moved = space.move(np.array([[2, 2], [2, 1]]), np.array([[1, 2], [1, 2]]))
    assert as_configs(moved) == [(2, 2), (2, 2)]


def test_an_invalid_point_is_rounded_to_the_nearest_member() -> None:
    assert as_configs(triangle().nearest(np.array([[0.0, 0.3], [1.0, 1.0]]))) == [(0, 0), (3, 3)]


def test_members_name_the_space() -> None:
    space = triangle()
    shuffled = DesignSpace(space.knobs, members=space.members[::-1])
    fewer = DesignSpace(space.knobs, members=space.members[1:])
    assert space.digest == shuffled.digest
    assert len({space.digest, fewer.digest, DesignSpace(space.knobs).digest}) == 3


def test_numbers_lie_by_size_and_know_their_alignment() -> None:
    knob = Knob.listed("block", (16, 32, 48, 64))
    np.testing.assert_allclose(knob.coordinates[:, 0], [0, 0.5, np.log2(3) / 2, 1])
    np.testing.assert_allclose(knob.features[:, 1], [4, 5, 4, 6])
    assert Knob.listed("tile", (1, 2, 4)).features.shape == (3, 1)
    assert Knob.listed("unroll", (0, 16, 64)).coordinates[:, 0].tolist() == [0, 0.5, 1]
