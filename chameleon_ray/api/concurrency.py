"""Concurrency of a session: threads, coroutines side by side, a time limit, and Ctrl-C."""

import asyncio
import contextlib
import ctypes
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from chameleon_ray.errors import RayLost, Stopped
from chameleon_ray.options import Request
from chameleon_ray.signals import heard

T = TypeVar("T")
LOOK_SECONDS = 0.5
"""Seconds between two looks at what must not end."""
ENDING_SECONDS = 20.0
"""Seconds in which a block undoes what it began, before it is ended again."""


class _Ended(BaseException):
    """Ends a block from another thread; what catches exceptions there does not catch it."""


def in_thread(work: Callable[..., Any], *arguments: Any) -> asyncio.Future:
    """Runs work in a thread; its error is not logged where something else failed first."""
    future = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    future.add_done_callback(_heard)
    return future


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs coroutines side by side and returns their results; the first error ends the others."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def within(seconds: float | None, work: Iterable[Awaitable[T]]) -> list[T | None]:
    """Runs coroutines side by side; gives None for those that have no result in time.

    Args:
        seconds: Seconds after which the coroutines are ended; None for never.
        work: The coroutines, or tasks. The first error ends the others, and is raised.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        return [task.result() if task.done() else None for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _heard(future: asyncio.Future) -> None:
    if not future.cancelled():
        future.exception()


def wall_limit(request: Request, models: int) -> float | None:
    """Returns the seconds that a command may take for so many models; None without a limit."""
    if request.minutes is not None:
        return 60 * request.minutes
    if request.trials is not None or request.until is not None:
        return None
    return 60 * request.budgeting.minutes * models


class Stop:
    """Ends a session upon a signal, or where another thread asks for it."""

    def __init__(self) -> None:
        self.asked = False
        """Whether the session is to end, also where nothing has come of it yet."""
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task] | None = None

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Has a request end the block of the running task; at once if it was made already.

        Raises:
            Stopped: The block was ended.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._running = loop, task
        if self.asked:
            _cancel(task)
        try:
            yield
        except asyncio.CancelledError as error:
            raise Stopped from error
        finally:
            self._running = None

    def ask(self) -> None:
        """Asks the session to end; it then raises ``Stopped``.

        The first time counts; those that follow do not disturb what it began. Where the session
        only writes what it found any more, it goes on.
        """
        if self.asked:
            return
        self.asked = True
        if self._running is not None:
            loop, task = self._running
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_cancel, task)

    def hear(self, *_: object) -> None:
        """Takes a signal as a request; outside of the session's block, it is Ctrl-C's exception."""
        if self._running is None:
            raise KeyboardInterrupt
        self.ask()


def _cancel(task: asyncio.Task) -> None:
    """Cancels a task once; what that began is not disturbed."""
    if not task.cancelling():
        task.cancel()


@contextlib.contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Has Ctrl-C, SIGTERM and the end of the terminal end the sessions of a block.

    Signals reach the main thread only; in another one ``Stop.ask`` takes their place.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {one: signal.getsignal(one) for one in heard()} if main else {}
    try:
        for one in before:
            signal.signal(one, stop.hear)
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler or signal.SIG_DFL)


def _of_loss(error: BaseException, lost: Callable[[], str]) -> str:
    """Returns the loss of workers of which an error came, unless it tells that itself; or nothing.

    What the user stopped is stopped, though its workers may have ended, too.
    """
    told = isinstance(error, RayLost | Stopped | asyncio.CancelledError)
    return "" if told else lost()


@contextlib.asynccontextmanager
async def guarded(lost: Callable[[], str]) -> AsyncIterator[None]:
    """Ends the block as soon as its workers are lost.

    Args:
        lost: Returns why they are; nothing where they are not.

    Raises:
        RayLost: They are; whatever else the block raised came of it.
    """
    task = asyncio.current_task()
    assert task is not None
    why = ""

    async def watch() -> None:
        nonlocal why
        while not (why := lost()):
            await asyncio.sleep(LOOK_SECONDS)
        task.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except (Exception, asyncio.CancelledError) as error:
        if why:
            task.uncancel()
        why = why or _of_loss(error, lost)
        watching.cancel()
        await asyncio.sleep(LOOK_SECONDS / 10)  # a signal that came meanwhile is heard first
        if why and not isinstance(error, RayLost | Stopped):
            raise RayLost(why) from error
        raise
    finally:
        watching.cancel()


@contextlib.contextmanager
def starting(lost: Callable[[], str]) -> Iterator[None]:
    """Ends a block that may block the event loop as soon as the workers that it starts are lost.

    What waits outside of Python is not disturbed; the block ends after it.

    Args:
        lost: Returns why they are; nothing where they are not.

    Raises:
        RayLost: They are; whatever else the block raised came of it.
    """
    caller, over, why = ctypes.c_ulong(threading.get_ident()), threading.Event(), ""

    def watch() -> None:
        nonlocal why
        pause = LOOK_SECONDS
        while not over.wait(pause):
            if found := lost():
                why = found
                ctypes.pythonapi.PyThreadState_SetAsyncExc(caller, ctypes.py_object(_Ended))
                pause = ENDING_SECONDS  # once is enough, but where C has called Python

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        try:
            yield
        finally:
            over.set()
            watching.join()
    except _Ended as error:  # it may have come in these very lines
        over.set()
        watching.join()
        raise RayLost(why) from error
    except Exception as error:
        if why := _of_loss(error, lost):
            raise RayLost(why) from error
        raise
