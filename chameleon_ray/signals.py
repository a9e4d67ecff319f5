"""Signals that ask a command to stop."""

import signal

POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a polite kill, and the end of the terminal."""


def named(number: int) -> str:
    """Returns a signal's name; those for programs of their own have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def heard() -> list[signal.Signals]:
    """Returns those that are not ignored, as they are with nohup."""
    return [one for one in POLITE if signal.getsignal(one) != signal.SIG_IGN]
