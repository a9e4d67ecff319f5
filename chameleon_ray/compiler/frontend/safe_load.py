"""Plain data: while entered, torch reads tensors and containers from files, and unpickles no more.

``torch.export.load`` falls back to unpickling whatever a file holds, which runs what the file says.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from torch.export.pt2_archive import _package

FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Torch's own switch, which goes before what the caller asks for."""


def _refuse(data: Any) -> Any:
    raise ValueError("it holds pickled objects, which would run code when they are read")


@contextmanager
def plain_data() -> Iterator[None]:
    """For the length of a ``with`` block; not for use from several threads at once."""
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
