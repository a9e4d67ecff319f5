"""The command line: every error is one sentence on stderr, and an exit status."""

import atexit
import os
import signal
from contextlib import suppress

from chameleon_ray.importing import uncollected
from chameleon_ray.signals import POLITE, heard


def occupy() -> None:
    """Opens standard descriptors that are closed, lest a file gets the number of one of them."""
    for descriptor in range(3):
        with suppress(OSError):
            os.fstat(descriptor)
            continue
        os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number


def stop(*_: object) -> None:
    """Ends the command where it has not begun; importing what it needs takes a second."""
    with suppress(OSError):
        os.write(2, b"Stopped.\n")
    os._exit(128 + signal.SIGINT)


def spare(*_: object) -> None:
    """Lets this signal pass, as the last word is said; the next one ends a process that hangs."""
    follow(spare, signal.SIG_DFL)


def follow(before: object, handler: signal.Handlers) -> None:
    """Puts a handler in the place of another one."""
    for one in POLITE:
        if signal.getsignal(one) == before:
            signal.signal(one, handler)


def main() -> None:
    """Runs the ``chameleon`` command."""
    occupy()
    asked = heard()
    for one in asked:
        signal.signal(one, stop)  # until ``answering`` takes its place
    # Runs after all others; Python itself would let a signal end it from then on.
    atexit.register(follow, spare, signal.SIG_IGN)
    with uncollected():
        from chameleon_ray.commands.app import app

    try:
        app()
    finally:
        for one in asked:  # the exit status is known
            signal.signal(one, spare)
        exec("")  # else, with -m, it ends by SIGINT if the text that ran last was interrupted


if __name__ == "__main__":
    main()
