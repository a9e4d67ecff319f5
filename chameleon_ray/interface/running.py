"""Runs a session from Python: in a script, in a notebook, and in any thread."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

from chameleon_ray.api.concurrency import Stop

T = TypeVar("T")


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
    with interrupted(stop.ask):
        thread.start()
        thread.join()
    return done.result()


@contextmanager
def interrupted(ask: Callable[[], None]) -> Iterator[None]:
    """Has Ctrl-C call a function in the block, where the main thread runs it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: ask())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
