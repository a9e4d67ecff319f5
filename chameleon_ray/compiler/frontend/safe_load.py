"""Keeps torch from unpickling objects, so that a model file cannot run code.

``torch.export.load`` falls back to unpickling whatever a file holds, which runs what the file says.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from torch.export.pt2_archive import _package

FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Environment variable of torch that overrides what the caller asks for."""


def _refuse(data: Any) -> Any:
    raise ValueError("it holds pickled objects, which would run code when they are read")


@contextmanager
def plain_data() -> Iterator[None]:
    """Lets torch read only tensors and containers in a ``with`` block; not thread-safe."""
    before, pickle = os.environ.get(FORCED), _package.pickle
    os.environ[FORCED] = "1"
    _package.pickle = SimpleNamespace(loads=_refuse)
    try:
        yield
    finally:
        _package.pickle = pickle
        if before is None:
            del os.environ[FORCED]
        else:
            os.environ[FORCED] = before
