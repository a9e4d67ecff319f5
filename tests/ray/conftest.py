"""One local Ray for all tests that need one."""

from collections.abc import Iterator

import pytest

from chameleon_ray.cluster.ray_session import start


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    with start(cpus=2):
        yield
