"""Imports that Python does not interrupt to look for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Keeps the collector of garbage from running in a ``with`` block, which imports things.

    What an import makes stays. To look for garbage in it, again and again, is a tenth of the CPU
    time of importing TVM.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
