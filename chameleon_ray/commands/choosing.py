"""Options whose values are chosen among names: they are listed in the help and completed."""

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from chameleon_ray.presets import PRESETS

EXPLORERS = ("ppo", "annealing", "random")
SAMPLERS = ("adaptive", "greedy", "diversity", "release", "active")
COST_MODELS = ("gaussian", "boosting", "pingpong")
LAYOUTS = ("auto", "NHWC", "NCHW")
PRECISIONS = ("float32", "float16", "bfloat16", "tf32")
ENGINES = ("ray", "serial")
TARGETS = ("llvm", "cuda", "cuda:sm_80", "cuda:sm_90")
FRAMEWORKS = ("onnxruntime", "pytorch", "torch.compile", "max-autotune", "openvino")


def chosen(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Returns a function that completes the beginning of a name."""

    def completed(incomplete: str) -> list[str]:  # typer knows the parameter by its name
        return [name for name in names if name.startswith(incomplete)]

    return completed


def models(incomplete: str) -> list[str]:
    """Completes names of the zoo; files are completed by the shell."""
    from chameleon_ray.compiler.frontend.zoo import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


_listed = ", ".join


Preset = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"The search system: {_listed(PRESETS)}.",
        autocompletion=chosen(PRESETS),
    ),
]
OWN = "or a plug-in's; else the preset's."
Explorer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"{_listed(EXPLORERS)}, {OWN}", autocompletion=chosen(EXPLORERS)
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"{_listed(SAMPLERS)}, {OWN}", autocompletion=chosen(SAMPLERS)
    ),
]
CostModel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"{_listed(COST_MODELS)}, {OWN}", autocompletion=chosen(COST_MODELS)
    ),
]
Layout = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Convolution layout: {_listed(LAYOUTS)}; auto is what suits the target.",
        autocompletion=chosen(LAYOUTS),
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Of what is float32 in the model: {_listed(PRECISIONS)}.",
        autocompletion=chosen(PRECISIONS),
    ),
]
Engine = Annotated[
    str, typer.Option(metavar="NAME", help=_listed(ENGINES) + ".", autocompletion=chosen(ENGINES))
]
Target = Annotated[
    str,
    typer.Option(
        help=f"{_listed(TARGETS)} or the like, or a TVM target as JSON.",
        autocompletion=chosen(TARGETS),
    ),
]
Compare = Annotated[
    list[str],
    typer.Option(
        "--compare",
        metavar="NAME",
        help=f"Time the tuned model beside this framework: {_listed(FRAMEWORKS)}; the first two "
        "where left out.",
        autocompletion=chosen(FRAMEWORKS),
        show_default=False,
    ),
]
Model = Annotated[
    str,
    typer.Argument(
        help="Zoo name, .onnx or .pt2 file, or package.module:factory.", autocompletion=models
    ),
]
