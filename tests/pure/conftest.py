"""A child for the jobs of tests."""

import os
from collections.abc import Iterator

import pytest

from chameleon_ray.measure.isolate import Isolate, Setting


@pytest.fixture(scope="module")
def isolate() -> Iterator[Isolate]:
    """A child on one core that does misdeeds, with a variable and at most 256 MiB of memory."""
    core, variables = min(os.sched_getaffinity(0)), (("CHAMELEON_TEST", "yes"),)
    child = Isolate(Setting("tests.pure.misdeeds:doer", "hello", (core,), 1 << 28, variables))
    yield child
    child.close()
