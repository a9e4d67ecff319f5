"""Habits of Ray that a command cannot live with, kept from it for the length of a block."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

import ray
import ray._private.node
import ray._private.services
import ray._raylet
from ray._private import ray_constants
from ray._private.node import Node

from chameleon_ray.cluster.replaced import replaced
from chameleon_ray.cluster.servers import lost, unseen
from chameleon_ray.errors import Stopped
from chameleon_ray.signals import POLITE, heard

logger = logging.getLogger(__name__)
TIMED = "internal_kv_"
"""How the names of those questions to the control store begin that Ray asks without a limit."""

UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")
"""Ray's names of what starts its autoscaler, what sends logs to the driver, and the dashboard.

``ray.init`` starts all of them, also where no logs and no dashboard are asked for.
"""


@contextmanager
def stoppable() -> Iterator[None]:
    """Has a polite signal end ``ray.init`` at once; in the main thread.

    By itself Ray puts a handler of its own in the place of SIGTERM's, which ends Python, and an
    event loop hears of a signal only when ``ray.init`` is over.

    Raises:
        Stopped: There was a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in POLITE}
    stopper, utils = _Stopper(heard()), ray._private.utils
    services, worker = ray._private.services, ray._private.worker
    start = partial(stopper.undisturbed, services.start_ray_process)
    connect = partial(stopper.undisturbed, worker.connect)
    with (
        replaced(utils, set_sigterm_handler=lambda handler: None),
        replaced(services, start_ray_process=start),
        replaced(worker, connect=connect),
    ):
        try:
            stopper.listen()
            with suppress(KeyboardInterrupt):
                yield
        finally:
            stopper.waiting = True  # what follows is not to be disturbed, either
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)
            if stopper.stopped:  # also where Ray caught the exception, or was lost meanwhile
                raise Stopped


class _Stopper:
    """Raises ``KeyboardInterrupt`` upon a signal, but not within some steps of Ray's start.

    One starts a process. Python calls functions around a fork, as the logging module has some. What
    they raise, it prints and forgets, and a lock of theirs stays locked. Another one makes this
    process a worker. Between that and Ray's note of it, there would be a worker that nothing ends,
    and Ray could not be started here again.
    """

    def __init__(self, signals: Collection[signal.Signals]) -> None:
        self._signals, self.stopped, self.waiting = signals, False, False

    def listen(self) -> None:
        """Hears of signals from now on, whoever did before."""
        for one in self._signals:
            signal.signal(one, self.stop)

    def stop(self, *_: object) -> None:
        if not self.stopped:  # a second one would disturb what the first began
            self.stopped = True
            if not self.waiting:
                raise KeyboardInterrupt

    def undisturbed(self, step: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Takes a step, and raises thereafter what a signal meanwhile would have raised.

        That one of Ray's servers has ended is not told before, either.
        """
        before, self.waiting = self.waiting, True
        try:
            with unseen():
                return step(*arguments, **options)
        finally:
            self.waiting = before
            if self.stopped and not before:
                raise KeyboardInterrupt


@contextmanager
def environment(wanted: Mapping[str, str], own: Mapping[str, str] = {}) -> Iterator[None]:
    """Sets environment variables, and puts them back to what they were.

    Args:
        wanted: Variables that are set unless the user has.
        own: Variables that are set in any case.
    """
    added = {name: value for name, value in wanted.items() if name not in os.environ} | dict(own)
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    read_again()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        read_again()


def read_again() -> None:
    """Has Ray read its environment again, as it does so at import and the token may be newer."""
    ray._raylet.Config.initialize("")
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


def untrapped() -> AbstractContextManager[None]:
    """Keeps Ray's library from handling SIGTERM and faults of this process, as it does for traces.

    Between its handlers and ours a SIGTERM would end Python with a trace, for a second on a busy
    machine, and the end of Ray would leave SIGTERM without a handler. Workers keep theirs.
    """
    return replaced(ray_constants, RAY_DISABLE_FAILURE_SIGNAL_HANDLER=True)


def loopback(private: bool) -> AbstractContextManager[None]:
    """Has Ray keep to 127.0.0.1, which it does by itself on macOS and Windows only."""
    allowed = ray_constants.ENABLE_RAY_CLUSTER and not private
    return replaced(ray_constants, ENABLE_RAY_CLUSTER=allowed)


@contextmanager
def answered(seconds: float) -> Iterator[None]:
    """Has Ray, which a block starts, wait only so many seconds for its control store's answers.

    It would wait forever. What it asks after the block has no limit, unless a server is lost.
    """
    before, over = ray._raylet.GcsClient, threading.Event()

    class Impatient:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._client = before(*arguments, **options)

        def __getattr__(self, name: str) -> Any:
            asked = getattr(self._client, name)
            if name.startswith(TIMED) and (not over.is_set() or lost()):
                return partial(asked, timeout=seconds)
            return asked

    try:
        with replaced(ray._private.node, ray._private.services, GcsClient=Impatient):
            yield
    finally:
        over.set()


def unheard() -> AbstractContextManager[None]:
    """Keeps Ray from printing when one of its servers ends, whatever it was asked.

    It prints to stdout, and a traceback where the control store ends as Ray begins to listen to it.
    """
    worker, told = ray._private.worker, partial(logger.info, "%s")

    def listen(*arguments: Any, own: Callable[..., None] = worker.listen_error_messages) -> None:
        try:
            own(*arguments)
        except ray.exceptions.RpcError as error:
            told(error)

    printed = lambda data, *_, **__: told(data)  # noqa: E731
    return replaced(worker, print_to_stdstream=printed, listen_error_messages=listen)


def spare() -> AbstractContextManager[None]:
    """Keeps a Ray that is started in a ``with`` block from starting servers that nobody asks.

    They take one or two seconds of CPU time to start, and some of it as long as Ray is there.
    """
    return replaced(Node, **dict.fromkeys(UNUSED, lambda *_, **__: None))
