"""Imports without the collector of garbage, which is afterwards as it was before."""

import gc
from contextlib import suppress

from chameleon_ray.importing import uncollected


def test_the_collector_rests_and_goes_on() -> None:
    assert gc.isenabled()
    with suppress(ImportError), uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
