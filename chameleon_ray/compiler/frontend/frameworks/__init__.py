"""The frameworks that a user would run a model with instead, by their names in options."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.measure.frameworks import Hosted, Runnable


def _onnx_runtime(source: Source) -> Runnable:
    from chameleon_ray.compiler.frontend.frameworks import onnx_runtime

    return onnx_runtime.load(source)


def _openvino(source: Source) -> Runnable:
    from chameleon_ray.compiler.frontend.frameworks import openvino

    return openvino.load(source)


def _eager(source: Source) -> Runnable:
    from chameleon_ray.compiler.frontend.frameworks import pytorch

    return pytorch.load(source)


def _compiled(source: Source, mode: str | None = None) -> Runnable:
    from chameleon_ray.compiler.frontend.frameworks import pytorch

    return pytorch.load(source, pytorch.compiled(mode))


@dataclass(frozen=True)
class Known:
    """A framework that models can be compared with.

    Attributes:
        title: Name for people.
        load: Loads a model, in a process of the framework's own. What it raises says, in its last
            line, why the framework cannot.
        torch: Whether it runs what torch has, and no ONNX files.
    """

    title: str
    load: Callable[[Source], Runnable]
    torch: bool = False


FRAMEWORKS: dict[str, Known] = {
    "onnxruntime": Known("ONNX Runtime", _onnx_runtime),
    "openvino": Known("OpenVINO", _openvino),
    "pytorch": Known("PyTorch", _eager, torch=True),
    "torch.compile": Known("torch.compile", _compiled, torch=True),
    "max-autotune": Known("max-autotune", partial(_compiled, mode="max-autotune"), torch=True),
}
"""Frameworks by name; ``max-autotune`` is a mode of ``torch.compile``."""


def hosted(asked: tuple[str, Source]) -> Hosted:
    """Makes the handler in a framework's process, for its name and a model."""
    name, source = asked
    return Hosted(partial(FRAMEWORKS[name].load, source), source.cores, source.instances)
