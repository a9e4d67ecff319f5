"""What all commands have: how they say things, errors as sentences, and their exit statuses."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from chameleon_ray import __version__
from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import Debug
from chameleon_ray.commands.screen import hush, screen

STATUSES = (
    "Exit status: 0 done, and outputs are as the original's; 1 failed, or outputs differ; 2 the "
    "command line is wrong; 3 outputs could be compared with untuned TVM's only; 4 slower (check); "
    "130 stopped by Ctrl-C."
)


def _tell_version(asked: bool) -> None:
    if asked:
        screen.print(__version__)
        raise typer.Exit


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no notes; errors and results only.")
]
Version = Annotated[
    bool,
    typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
]
COMMON = {"quiet": Quiet, "debug": Debug, "version": Version}
"""Options that every command has, by the names of their parameters."""


def command(app: typer.Typer, name: str | None = None, hidden: bool = False) -> Callable:
    """Returns a decorator that makes a command of a function, with the options that all have."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        app.command(name, hidden=hidden, epilog=STATUSES)(_answering(function))
        return function

    return decorate


def _answering(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the common options to a function, whose errors become sentences."""
    own = inspect.signature(function)

    @wraps(function)
    def answered(**given: Any) -> None:
        common = {name: given.pop(name) for name in COMMON if name not in own.parameters}
        hush(common["quiet"])
        with answering(common.get("debug", given.get("debug", False))):
            function(**given)

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in COMMON.items()
        if name not in own.parameters
    ]
    answered.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *added]
    )
    answered.__annotations__ = {
        **function.__annotations__,
        **{one.name: one.annotation for one in added},
    }
    return answered
