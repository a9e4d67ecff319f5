"""TVM's global functions, replaced for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tvm_ffi


@contextmanager
def overriding(name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Has TVM call another function by this name; what was there before, or nothing, comes back."""
    before = tvm_ffi.get_global_func(name, allow_missing=True)
    tvm_ffi.register_global_func(name, function, override=True)
    try:
        yield
    finally:
        if before is None:
            tvm_ffi.remove_global_func(name)
        else:
            tvm_ffi.register_global_func(name, before, override=True)
