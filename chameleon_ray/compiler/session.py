"""TVM as every process of this project uses it: without torch, without the slow imports, quiet."""

import importlib
import importlib.util
import logging
import sys
import types
from typing import Any


def block_torch() -> None:
    """Keeps ``import tvm`` from importing torch: 0.6 s and 197 MB instead of 2.0 s and 398 MB.

    For processes that never need torch; before the first import of tvm.
    """
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]


def register_x86_intrinsics() -> None:
    """Registers the intrinsics that TVM's x86 rules name, and no others."""
    _register("x86")


def register_cuda_intrinsics() -> None:
    """Registers the intrinsics that TVM's tensor core rules name, in seconds."""
    _register("cuda")


def _register(targets: str) -> None:
    """Imports one module of intrinsics.

    ``tvm.s_tir.tensor_intrin`` parses 248 TVMScript functions of all targets on import (20 s);
    its x86 module alone takes 0.3 s. Its package's ``__init__`` is therefore passed over.
    """
    package = "tvm.s_tir.tensor_intrin"
    if package not in sys.modules:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        bare = types.ModuleType(package)
        bare.__path__ = list(spec.submodule_search_locations or ())
        bare.__spec__ = spec
        sys.modules[package] = bare
    importlib.import_module(f"{package}.{targets}")


def tune_context(module: Any, target: Any, generator: Any, seed: int) -> Any:
    """A MetaSchedule ``TuneContext`` made past its constructor, whose imports take 20 s."""
    import tvm.s_tir.meta_schedule as ms
    from tvm.s_tir.meta_schedule import _ffi_api
    from tvm.s_tir.meta_schedule.logging import get_logger, get_logging_func

    logger = get_logger(__name__)
    logger.setLevel(logging.ERROR)
    context = ms.TuneContext.__new__(ms.TuneContext)
    context.__init_handle_by_constructor__(
        _ffi_api.TuneContext,
        module,
        target,
        generator,
        None,
        "task",
        1,
        seed,
        get_logging_func(logger),
    )
    _ffi_api.TuneContextInitialize(context)
    return context
