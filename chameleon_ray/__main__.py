"""The command line: every error is one sentence on stderr, and an exit status."""

import os
import signal
from contextlib import suppress

POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a command to stop."""


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


def main() -> None:
    """Runs the ``chameleon`` command."""
    occupy()
    heard = [one for one in POLITE if signal.getsignal(one) != signal.SIG_IGN]  # as with nohup
    for one in heard:
        signal.signal(one, stop)  # until ``answering`` takes its place
    from chameleon_ray.commands.app import app

    try:
        app()
    finally:
        for one in heard:  # the last word is said, and an exit status known
            signal.signal(one, signal.SIG_IGN)


if __name__ == "__main__":
    main()
