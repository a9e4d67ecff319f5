"""Turns the errors of a command into a sentence on stderr and an exit status."""

import logging
import signal
import threading

import typer

from chameleon_ray.errors import Stopped, UserError
from chameleon_ray.report.terminal import Terminal
from chameleon_ray.signals import heard

errors = Terminal(stderr=True)
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
UNVERIFIED = 3
"""Exit status where outputs could be compared with untuned TVM's only."""
SLOWER = 4
"""Exit status where a library has become slower."""


class answering:  # noqa: N801  reads as a phrase
    """Turns a user's error or an interruption into one sentence and an exit status.

    Any other exception is let through, and with ``debug`` these, too.
    """

    def __init__(self, debug: bool) -> None:
        self.debug = debug
        logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR)

    def __enter__(self) -> None:
        """Has a polite kill and the end of the terminal stop the command as Ctrl-C does."""
        if threading.current_thread() is threading.main_thread():
            for number in heard():
                signal.signal(number, signal.default_int_handler)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or self.debug:
            return
        if isinstance(error, Stopped | KeyboardInterrupt):
            errors.print(f"Stopped. {error}".strip(), highlight=False, soft_wrap=True, markup=False)
            raise typer.Exit(INTERRUPTED) from None
        if isinstance(error, UserError):
            told = f"Error: {error}"
            errors.print(told, style="red", highlight=False, soft_wrap=True, markup=False)
            raise typer.Exit(1) from None
