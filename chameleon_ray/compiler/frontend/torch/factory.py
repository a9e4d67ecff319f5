"""Factories: functions of the user's that make a module and its example inputs."""

import importlib
import os
import sys
from typing import Any

import torch

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.frontend.torch.arguments import Arguments, of_examples


def made(spec: str, seed: int) -> tuple[torch.nn.Module, Arguments]:
    """Calls a factory for a module, in inference mode, and its own example inputs, if any.

    Raises:
        ModelError: The factory cannot be found, fails, or makes something else.
    """
    answer = _make(spec, seed)
    module, examples = answer, ()
    if isinstance(answer, tuple) and len(answer) in (2, 3):
        module, examples = answer[0], answer[1] if len(answer) == 2 else tuple(answer[1:])
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"{spec} returned {type(answer).__name__}; it must return a torch.nn.Module, or one "
            "and a tuple of example inputs."
        )
    generator = torch.Generator().manual_seed(seed)
    return module.eval(), of_examples(spec, examples).plain(generator)


def _make(spec: str, seed: int) -> Any:
    """Calls the factory; torch's global generator is seeded while it runs."""
    place, _, factory = spec.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found: Any = importlib.import_module(place)
    except Exception as error:
        raise ModelError(
            f"The module {place} of {spec} cannot be imported ({type(error).__name__}: "
            f"{reason(error)}); check the name and the working directory."
        ) from error
    for part in factory.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ModelError(f"The module {place} has no function {factory}; check the name.")
    try:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            return found()
    except Exception as error:
        raise ModelError(
            f"{spec} failed ({type(error).__name__}: {reason(error)}); it is called without "
            "arguments."
        ) from error
