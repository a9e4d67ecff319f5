"""What measurements say of knobs: the one that matters is found; components are those of SVD."""

from dataclasses import replace

import numpy as np
import pytest

from chameleon_ray.knob import Knob
from chameleon_ray.report.knobs import LEAST, knobs_of, principal
from chameleon_ray.space import DesignSpace, as_configs
from tests.pure.fake_result import record, task

SPACE = DesignSpace(tuple(Knob.listed(name, range(8)) for name in ("good", "idle", "slight")))
OF = replace(task("conv"), space=SPACE)


def records(count: int = 120):
    configs = as_configs(SPACE.random(np.random.default_rng(0), count))
    return [
        record(OF, 1.0 + c[0] + 0.1 * c[2], c, chosen_by="random") for c in dict.fromkeys(configs)
    ]


def test_the_knob_that_matters_is_found_and_speeds_are_foretold() -> None:
    found = knobs_of(SPACE, records())
    assert found is not None
    assert next(iter(found.importance)) == "good"
    assert found.importance["good"] > 0.8
    assert found.importance["idle"] < 0.05
    assert sum(found.importance.values()) == pytest.approx(1.0)
    assert np.corrcoef(found.foretold, found.fitness)[0, 1] > 0.9
    assert found.fitness.max() == 1.0
    assert set(found.chosen_by) == {"random"}


def test_failures_are_at_zero() -> None:
    found = knobs_of(SPACE, [*records(), record(OF, None, (7, 7, 7))])
    assert found is not None
    assert found.fitness[-1] == 0.0
    assert not np.isfinite(found.latencies[-1])


def test_too_little_says_nothing() -> None:
    assert knobs_of(SPACE, records()[: LEAST - 1]) is None
    assert knobs_of(DesignSpace(()), []) is None
    same = [replace(one, latencies=(1e-3,)) for one in records()]
    assert knobs_of(SPACE, same) is None


def test_components_are_those_of_a_tilted_line() -> None:
    along = np.linspace(-1, 1, 21)
    places, spread = principal(np.stack([3 * along, 4 * along, 0 * along], axis=1))
    assert np.abs(places[:, 0]) == pytest.approx(5 * np.abs(along))
    assert places[:, 1] == pytest.approx(0.0, abs=1e-9)
    assert spread[0] == pytest.approx(1.0)
    assert principal(np.ones((3, 1)))[0].shape == (3, 2)
