"""TVM as every process of this project uses it: without torch, without the slow imports, quiet."""

import ctypes
import importlib
import importlib.util
import inspect
import logging
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chameleon_ray.measure import nvidia_driver

UNCHECKED = {"tirx.disable_assert": True}
"""Options of TVM for compiling candidates, which leave out checks of the arguments' shapes.

The runner makes the arguments itself. The checks would be a third of the machine code to generate.
"""
CUDART = "libcudart.so.13"
"""The CUDA runtime that TVM's own is linked to."""
DRIVER = "libcuda.so.1"
"""Library of NVIDIA's driver, which TVM's CUDA runtime is linked to besides ``CUDART``."""


def block_torch() -> None:
    """Keeps ``import tvm`` from importing torch: 0.6 s and 197 MB instead of 2.0 s and 398 MB.

    Processes that never need torch call it before the first import of tvm.
    """
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]


def load_cudart() -> str:
    """Loads the driver and the CUDA runtime that TVM's is linked to, before tvm is imported.

    Loading opens no GPU.

    Returns:
        The reason why the CUDA runtime cannot be loaded; empty where it is.
    """
    load_nvidia(DRIVER)
    return load_nvidia(CUDART)


def nvidia_wheels() -> list[Path]:
    """Returns the folders into which NVIDIA's wheels for CUDA 13 put things."""
    spec = importlib.util.find_spec("nvidia")
    places = spec.submodule_search_locations if spec is not None else None
    return [Path(place) / "cu13" for place in places or ()]


def load_nvidia(library: str) -> str:
    """Loads a library of NVIDIA's, from its wheels or where the driver's libraries may be.

    The wheels are not on the loader's path and need not be in ``site-packages``.

    Args:
        library: Name of the library, in which ``*`` stands for a part of the version.

    Returns:
        The reason why the library cannot be loaded; empty where it is.
    """
    wheels = [file for root in nvidia_wheels() for file in sorted(root.glob(f"lib/{library}"))]
    for name in (*map(str, wheels), library):
        try:
            nvidia_driver.load(name, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            trouble = str(error)
        else:
            return ""
    return trouble


def cuda_passes(options: Mapping[str, bool]) -> Any:
    """Makes the ``PassContext`` in which TVM compiles for CUDA, inside the one that is in force.

    Copies into shared memory can be asynchronous. The same option turns on a pass for another kind
    of hardware, which fails on vectors, so it is left out. Common subexpressions are left to
    NVIDIA's compiler: TVM moves threads' numbers out of the indices of what a warp keeps in
    registers, and then does not find them there (``LowerWarpMemory``).

    Args:
        options: Further options of TVM's passes.
    """
    import tvm

    around = tvm.transform.PassContext.current()
    own = {"tirx.use_async_copy": True, "tirx.disable_cse_tir": True}
    return tvm.transform.PassContext(
        opt_level=around.opt_level,
        config={**around.config, **options, **own},
        disabled_pass=[*around.disabled_pass, "s_tir.LowerAsyncDMA"],
        instruments=list(around.instruments),
    )


def register_intrinsics(family: str) -> None:
    """Registers the intrinsics that TVM's rules for a kind of target name, and no others.

    Those of x86 take 0.3 s. Those of CUDA take 2 s, above all those of tensor cores. On import, the
    package parses 248 TVMScript functions of all targets, which takes 20 s, so its ``__init__`` is
    passed over.

    Args:
        family: A module of ``tvm.s_tir.tensor_intrin``, such as ``x86`` or ``cuda``.
    """
    package = "tvm.s_tir.tensor_intrin"
    if package not in sys.modules:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        bare = types.ModuleType(package)
        bare.__path__ = list(spec.submodule_search_locations or ())
        bare.__spec__ = spec
        sys.modules[package] = bare
    with quick_parsing():
        importlib.import_module(f"{package}.{family}")


@contextmanager
def quick_parsing() -> Iterator[None]:
    """Makes TVMScript parse quickly in a ``with`` block.

    Most of its time goes to the source lines of frames, which it does not need, and to guessing
    their modules. CUDA's intrinsics take 2.0 instead of 7.4 CPU seconds.
    """
    stack, module = inspect.stack, inspect.getmodule
    inspect.stack = lambda context=1: stack(0)
    inspect.getmodule = lambda *_: None  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.stack, inspect.getmodule = stack, module


def tune_context(module: Any, target: Any, generator: Any, seed: int) -> Any:
    """Makes a MetaSchedule ``TuneContext`` past its constructor, whose imports take 20 s."""
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
