"""The part of ``gpu_check.py`` for PyTorch, which needs nothing but it."""

import time
from importlib.util import find_spec

from gpu_contestants import Torch
from gpu_parts import Given
from gpu_turns import PATIENCE, no_cuda, one

SECONDS = 0.6
"""Seconds of timing one model in one mode."""
NEEDS = {"resnet_50": "torchvision", "bert": "transformers"}
"""Packages that a model comes from."""
LAST = "reduce-overhead"
"""The mode that takes longest to prepare."""


def times(given: Given) -> None:
    """Times each model in each precision and mode, as far as the time goes.

    All of eager mode and graphs come first, as PyTorch's compiler takes up to a minute for a model.
    """
    missing = no_cuda()
    if missing:
        given.report.entry(("torch",), lambda: {"missing": missing})
        return
    end = time.monotonic() + given.seconds
    for names, which in work(given.small):
        left = end - time.monotonic()
        if left < 2:
            given.report.fields["undone"] = "the time was up"
            given.report.write()
            return
        package = NEEDS.get(names[0], "torch")
        if find_spec(package) is None:
            given.report.entry(names, lambda package=package: {"missing": f"no {package} here"})
        else:
            patience = min(left, PATIENCE)
            given.report.entry(
                names, lambda which=which, patience=patience: one(which, patience, SECONDS)
            )


def work(small: bool) -> list[tuple[tuple[str, str, str], Torch]]:
    """Models, precisions and modes, in the order in which they are timed."""
    modes = ("eager", "graph", "graph channels-last", LAST)
    found = []
    for model in ("tiny",) if small else ("resnet_18", "resnet_50", "bert"):
        for precision in ("float16", "float32", "tf32"):
            for mode in modes[:2] + modes[3:] if model == "bert" else modes:
                name = f"{model}_half" if precision == "float16" else model
                which = Torch(name, mode, precision == "tf32")
                found.append(((model, precision, mode), which))
    return sorted(found, key=lambda one: one[1].mode == LAST)
