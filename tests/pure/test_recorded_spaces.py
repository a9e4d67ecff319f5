"""The recorded spaces under tests/data: small, readable, products, and fit to be searched."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from chameleon_ray.record import Status
from chameleon_ray.replay.table import Table, read_table
from chameleon_ray.space import DesignSpace

DATA = Path(__file__).parents[1] / "data"
NAMES = sorted(path.stem for path in DATA.glob("*.parquet"))
MODEL = "cuda-model"
TEMPLATES = {"attention-150", "heads-20", "resnext-28"}
"""Parts of templates' spaces, whose limits take members out of the product."""
MOST_BYTES = 1 << 20
ROW = re.compile(r"\| `([\w-]+)` \|.*\| (\d+) \| (\d+) % \| ([\d.]+) \| ([\d.]+) \|")
"""A line of the README's table: name, configurations, failures, fastest and median in ms."""

every = pytest.mark.parametrize("name", NAMES)


@cache
def table(name: str) -> Table:
    return read_table(DATA / f"{name}.parquet")


def documented() -> dict[str, tuple[str, ...]]:
    lines = (DATA / "README.md").read_text().splitlines()
    return {row[1]: row.groups()[1:] for row in map(ROW.fullmatch, lines) if row}


def steps(space: DesignSpace, configs: np.ndarray) -> np.ndarray:
    """``(n, 2 * axes, knobs)`` what one step along one axis leads to."""
    actions = 1 + np.concatenate([np.eye(space.axes, dtype=int), -np.eye(space.axes, dtype=int)])
    reached = [space.move(configs, np.tile(action, (len(configs), 1))) for action in actions]
    return np.stack(reached, axis=1)


def neighbours(name: str) -> list[list[int]]:
    """Of each configuration, the rows of the others that one step leads to."""
    space = table(name).space
    configs = space.enumerate()
    return [
        [row for config in reached if (row := table(name).row(tuple(config))) not in (None, own)]
        for own, reached in enumerate(steps(space, configs))
    ]


def test_the_files_are_small() -> None:
    assert 0 < sum(path.stat().st_size for path in DATA.iterdir()) <= MOST_BYTES


def test_the_readme_lists_every_file() -> None:
    assert sorted(documented()) == NAMES


@every
def test_the_readme_says_what_is_recorded(name: str) -> None:
    seconds = table(name).latency
    works = np.isfinite(seconds)
    assert documented()[name] == (
        str(len(seconds)),
        f"{100 * (1 - works.mean()):.0f}",
        f"{1e3 * seconds.min():.3f}",
        f"{1e3 * np.median(seconds[works]):.3f}",
    )


@every
def test_it_is_a_product_of_knobs_whole_but_for_limits(name: str) -> None:
    space, size = table(name).space, len(table(name))
    if name in TEMPLATES:
        assert 1500 <= size <= 3000
        assert np.prod(space.dims) / 3 <= size < np.prod(space.dims)
    else:
        assert 400 <= size <= 700
        assert size == np.prod(space.dims)
    assert space.active is None


@every
def test_failures_are_verdicts_of_the_compiler(name: str) -> None:
    """None is an accident of the machine that recorded them."""
    assert set(table(name).status) <= {Status.OK, Status.INVALID}
    for status, latency in zip(table(name).status, table(name).latency, strict=True):
        assert (status is Status.OK) == (0 < latency < np.inf)


def test_the_model_has_many_failures_and_is_called_a_model() -> None:
    failed = np.isinf(table(MODEL).latency).mean()
    assert 0.3 <= failed <= 0.7
    assert [name for name in NAMES if MODEL in table(name).device] == [MODEL]


@every
def test_there_is_something_to_find(name: str) -> None:
    seconds = table(name).latency
    works = seconds[np.isfinite(seconds)]
    assert np.median(works) >= 1.2 * table(name).optimum


@every
def test_most_configurations_have_a_neighbour_that_works(name: str) -> None:
    works = np.isfinite(table(name).latency)
    lucky = [any(works[near] for near in nearby) for nearby in neighbours(name)]
    assert np.mean(np.array(lucky)[works]) >= 0.9


@every
def test_the_optimum_is_within_reach(name: str) -> None:
    """Steps between configurations that work connect nearly all of them with the fastest.

    Where there are limits, steps are cut off, too.
    """
    seconds, near = table(name).latency, neighbours(name)
    reached = {int(np.argmin(seconds))}
    edge = list(reached)
    while edge:
        fresh = {row for row in near[edge.pop()] if np.isfinite(seconds[row])} - reached
        reached |= fresh
        edge += fresh
    assert len(reached) >= (0.85 if name in TEMPLATES else 0.9) * np.isfinite(seconds).sum()
