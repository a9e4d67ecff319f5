"""Habits of Ray that a command cannot live with, kept from it for the length of a block."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import ray
import ray._private.node
import ray._private.services
import ray._raylet
from ray._private import ray_constants
from ray._private.node import Node

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
    stopper, own = _Stopper(heard()), ray._private.utils.set_sigterm_handler
    start, connect = ray._private.services.start_ray_process, ray._private.worker.connect
    ray._private.utils.set_sigterm_handler = lambda handler: None
    ray._private.services.start_ray_process = partial(stopper.undisturbed, start)
    ray._private.worker.connect = partial(stopper.undisturbed, connect)
    stopper.listen()
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        ray._private.services.start_ray_process = start
        ray._private.worker.connect = connect
        ray._private.utils.set_sigterm_handler = own
        if stopper.stopped:  # also where Ray caught the exception, or was lost meanwhile
            raise Stopped


class _Stopper:
    """Raises ``KeyboardInterrupt`` upon a signal, but not within some steps of Ray's start.

    One starts a process. Python calls functions around a fork, as the logging module has some. What
    they raise, it prints and forgets, and a lock of theirs stays locked. Another one makes this
    process a worker. Between that and Ray's note of it, there would be a worker that nothing ends,
    and Ray could not be started here again; and in it Ray's library begins to listen itself.
    """

    def __init__(self, signals: Collection[signal.Signals]) -> None:
        self._signals, self.stopped, self._waiting = signals, False, False

    def listen(self) -> None:
        """Hears of signals from now on, whoever did before."""
        for one in self._signals:
            signal.signal(one, self.stop)

    def stop(self, *_: object) -> None:
        if not self.stopped:  # a second one would disturb what the first began
            self.stopped = True
            if not self._waiting:
                raise KeyboardInterrupt

    def undisturbed(self, step: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Takes a step, and raises thereafter what a signal meanwhile would have raised.

        That one of Ray's servers has ended is not told before, either.
        """
        before, self._waiting = self._waiting, True
        try:
            with unseen():
                return step(*arguments, **options)
        finally:
            self._waiting = before
            self.listen()
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
                del os.environ[name]
            else:
                os.environ[name] = value
        read_again()


def read_again() -> None:
    """Has Ray read its environment again, as it does so at import and the token may be newer."""
    ray._raylet.Config.initialize("")
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def loopback(private: bool) -> Iterator[None]:
    """Has Ray keep to 127.0.0.1, which it does by itself on macOS and Windows only."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = before and not private
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


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

    places = ray._private.node, ray._private.services
    for place in places:
        place.GcsClient = Impatient
    try:
        yield
    finally:
        over.set()
        for place in places:
            place.GcsClient = before


@contextmanager
def unheard() -> Iterator[None]:
    """Keeps Ray from printing to stdout when one of its servers ends, whatever it was asked."""
    before = ray._private.worker.print_to_stdstream
    ray._private.worker.print_to_stdstream = lambda data, *_, **__: logger.info("%s", data)
    try:
        yield
    finally:
        ray._private.worker.print_to_stdstream = before


@contextmanager
def spare() -> Iterator[None]:
    """Keeps a Ray that is started in a ``with`` block from starting servers that nobody asks.

    They take one or two seconds of CPU time to start, and some of it as long as Ray is there.
    """
    before = {name: getattr(Node, name) for name in UNUSED}
    for name in UNUSED:
        setattr(Node, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(Node, name, method)
