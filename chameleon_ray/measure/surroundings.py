"""The state of a process that a user's code may change and that all other code relies on."""

import builtins
import contextlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from typing import IO, Any

STANDARD = ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY))
"""Descriptors that every program expects to be open, and how."""
LIMITS = tuple(
    getattr(resource, f"RLIMIT_{name}")
    for name in ("NOFILE", "AS", "DATA", "STACK", "FSIZE", "NPROC", "CPU", "CORE")
)


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """Restores, after a block, what no Python code can do without.

    These are the builtins, the standard descriptors where they were closed, and the streams. An
    alarm that the block has set is called off.
    """
    known, streams = dict(vars(builtins)), (sys.stdin, sys.stdout, sys.stderr)
    timer = signal.getitimer(signal.ITIMER_REAL)
    try:
        yield
    finally:
        vars(builtins).update(known)
        signal.setitimer(signal.ITIMER_REAL, *timer)
        _reopen_standard()
        _restore_streams(*streams)


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Restores, after a block, all that the block changed of its process.

    That is what ``usable`` restores, working directory, environment, umask, the search path and
    arguments, cores, signal handlers, and resource limits as far as the system lets them
    be raised again. Signal handlers can be set in the main thread only, and stay elsewhere.
    """
    folder, environment = os.open(".", os.O_PATH | os.O_CLOEXEC), dict(os.environ)
    place, mask = os.getcwd(), os.umask(0)
    os.umask(mask)
    path, arguments, cores = list(sys.path), list(sys.argv), os.sched_getaffinity(0)
    limits = [(one, resource.getrlimit(one)) for one in LIMITS]
    handlers, blocked = _handlers(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        with usable():
            yield
    finally:
        _restore_limits(limits)
        _restore_folder(folder, place)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        os.umask(mask)
        sys.path[:] = [*path, *(one for one in sys.path if one not in path)]
        sys.argv[:] = arguments
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
        _restore_handlers(handlers)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _restore_limits(limits: list[tuple[int, tuple[int, int]]]) -> None:
    for which, before in limits:
        now = resource.getrlimit(which)
        if now != before:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(which, before)
                continue
            with contextlib.suppress(OSError, ValueError):  # as far as it goes
                resource.setrlimit(which, (now[1], now[1]))


def _restore_folder(folder: int, place: str) -> None:
    with contextlib.suppress(OSError):
        os.fchdir(folder)
        os.close(folder)
    with contextlib.suppress(OSError):
        if os.getcwd() != place:  # the descriptor was closed, and may be another folder's now
            os.chdir(place)


def _restore_streams(stdin: IO[Any], stdout: IO[Any], stderr: IO[Any]) -> None:
    for name, stream in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
        if stream is not None and stream.closed:
            number, mode = (0, "r") if name == "stdin" else (1 if name == "stdout" else 2, "w")
            stream = open(number, mode, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


def _reopen_standard() -> None:
    """Opens the null device for standard descriptors that are closed."""
    for descriptor, how in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, how)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


def _handlers() -> dict[int, object]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _restore_handlers(handlers: dict[int, object]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, handler)  # type: ignore[arg-type]
