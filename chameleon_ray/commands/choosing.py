"""Options whose values are chosen among names: they are listed in the help and completed."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

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


def choice(help: str, names: Iterable[str]) -> Any:
    """Returns an option for one of some names; ``{}`` in its help stands for them."""
    return typer.Option(
        metavar="NAME", help=help.format(", ".join(names)), autocompletion=chosen(names)
    )


OWN = "{}, or a plug-in's; else the preset's."
Preset = Annotated[str, choice("The search system: {}.", PRESETS)]
Explorer = Annotated[str | None, choice(OWN, EXPLORERS)]
Sampler = Annotated[str | None, choice(OWN, SAMPLERS)]
CostModel = Annotated[str | None, choice(OWN, COST_MODELS)]
Layout = Annotated[str, choice("Convolution layout: {}; auto is what suits the target.", LAYOUTS)]
Precision = Annotated[str, choice("Of what is float32 in the model: {}.", PRECISIONS)]
Engine = Annotated[str, choice("{}.", ENGINES)]
Target = Annotated[
    str,
    typer.Option(
        help=f"{', '.join(TARGETS)} or the like, or a TVM target as JSON.",
        autocompletion=chosen(TARGETS),
    ),
]
Compare = Annotated[
    list[str],
    typer.Option(
        "--compare",
        metavar="NAME",
        help=f"Time the tuned model beside this framework: {', '.join(FRAMEWORKS)}; the first two "
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
