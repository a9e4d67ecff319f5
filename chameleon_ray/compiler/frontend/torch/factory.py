"""Factories: functions of the user's that make a module and its example inputs."""

import importlib
import os
import sys
from typing import Any

import torch

from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.compiler.frontend.torch.arguments import Arguments, of_examples
from chameleon_ray.compiler.frontend.torch.exporting import import_all
from chameleon_ray.measure.scratch import outside
from chameleon_ray.measure.surroundings import usable


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
            f"{spec} returned {_described(module)}; it must return a torch.nn.Module, or one and a "
            "tuple of example inputs."
        )
    _demand_values(spec, module)
    generator = torch.Generator().manual_seed(seed)
    return module.eval(), of_examples(spec, examples).plain(generator)


def _described(answer: Any) -> str:
    """Says what a factory returned that is no module."""
    if answer is None:
        return "None"
    if isinstance(answer, type):
        return f"the class {answer.__name__} and no instance of it"
    if isinstance(answer, tuple | list):
        return f"a {type(answer).__name__} of {len(answer)}, the first of which is no module"
    return f"an object of type {type(answer).__name__}"


def _demand_values(spec: str, module: torch.nn.Module) -> None:
    """Raises a ModelError where a weight has no values."""
    for name, weight in (*module.named_parameters(), *module.named_buffers()):
        if weight.is_meta:
            raise ModelError(
                f"{spec} returned a module whose weight {name} is on the device meta, and so has "
                "no values; make it on the device cpu."
            )


def _make(spec: str, seed: int) -> Any:
    """Calls the factory; torch's global generator is seeded while it runs.

    It has the machine's temporary directory. Its folder comes first on the search path, once torch
    has imported what it may want itself. When it has returned, builtins are as before and standard
    descriptors are open, as torch's own tracing needs them.
    """
    place, _, factory = spec.partition(":")
    import_all()
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    own = os.getpid()
    try:
        with usable(), outside(), torch.random.fork_rng(devices=()):
            found = _found(spec, place, factory)
            torch.manual_seed(seed)
            return found()
    except ModelError:
        raise
    except BaseException as error:
        raise ModelError(
            f"{spec} {_fault(error)}; correct it, so that it returns when it is called without "
            "arguments."
        ) from error
    finally:
        if os.getpid() != own:  # it forked, and this is the copy
            os._exit(0)


def _found(spec: str, place: str, factory: str) -> Any:
    """Returns the factory."""
    try:
        found: Any = importlib.import_module(place)
    except BaseException as error:
        raise ModelError(
            f"The module {place} of {spec} cannot be imported: it {_fault(error)}; check the name "
            "and the working directory."
        ) from error
    for part in factory.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ModelError(f"The module {place} has no function {factory}; check the name.")
    return found


def _fault(error: BaseException) -> str:
    """Says what a user's code did, after its name."""
    if isinstance(error, SystemExit):
        return f"ended Python by sys.exit({error.code!r})"
    if isinstance(error, KeyboardInterrupt):
        return "raised KeyboardInterrupt, as if it had been interrupted"
    kind = type(error).__name__
    try:
        text = reason(error) if isinstance(error, Exception) and str(error).strip() else ""
    except Exception:  # of an error whose text cannot be made
        text = ""
    return f"failed ({kind}: {text})" if text else f"failed ({kind} without a message)"
