"""Habits of Ray that a command cannot live with, kept from it for the length of a block."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray
import ray._raylet
from ray._private import ray_constants

logger = logging.getLogger(__name__)


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Keeps what SIGTERM does, which ``ray.init`` makes end Python at once; in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


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
def unheard() -> Iterator[None]:
    """Keeps Ray from printing to stdout when one of its servers ends, whatever it was asked."""
    before = ray._private.worker.print_to_stdstream
    ray._private.worker.print_to_stdstream = lambda data, *_, **__: logger.info("%s", data)
    try:
        yield
    finally:
        ray._private.worker.print_to_stdstream = before
