"""Stopping: a request in, its time limit out; Ctrl-C and SIGTERM in, a clean end out."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator

from chameleon_ray.api.choices import Stopped
from chameleon_ray.options import Request


def wall_limit(request: Request, models: int) -> float | None:
    """Seconds that the whole command may take for so many models."""
    if request.minutes is not None:
        return 60 * request.minutes
    if request.trials is not None:
        return None
    return 60 * request.budgeting.minutes * models


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block cleanly, as ``Stopped``."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, task.cancel)
    try:
        yield
    except asyncio.CancelledError as error:
        raise Stopped from error
    finally:
        for stop in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(stop)
