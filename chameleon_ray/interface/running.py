"""Runs a session from Python: in a script, in a notebook, and in any thread."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from chameleon_ray.api.concurrency import Stop

T = TypeVar("T")
LOOK = 0.2
"""Seconds between two looks for Ctrl-C while a session runs in another thread."""


def run(session: Callable[[Stop | None], T]) -> T:
    """Runs a session to its end, in a thread of its own where this one has an event loop already.

    A notebook's cells run in such a loop. Interrupting the cell ends the session.

    Args:
        session: Runs the session, given what ends it from another thread.

    Raises:
        Stopped: The user interrupted the session.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return session(None)
    stop, done = Stop(), Future[T]()

    def work() -> None:
        try:
            done.set_result(session(stop))
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=work, name="chameleon-session")
    thread.start()
    while thread.is_alive():
        try:
            thread.join(LOOK)
        except KeyboardInterrupt:
            stop.ask()
    return done.result()
