"""Frameworks for tests that need nothing but a process."""

import os
import threading
import time
from functools import partial

import numpy as np

from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.measure.frameworks import Hosted, Runnable


def hosted(what: tuple[str, int]) -> Hosted:
    """A framework of a kind of behaviour, bound to a core."""
    behaviour, core = what
    return Hosted(partial(BEHAVIOURS[behaviour]), [core])


def named(asked: tuple[str, Source]) -> Hosted:
    """The same for the name of a contestant, which is its behaviour, and a model."""
    behaviour, source = asked
    return hosted((behaviour, source.cores[0]))


def _runnable(run) -> Runnable:
    return Runnable(run, lambda found: (np.asarray(found),), "1.2")


def _steady() -> Runnable:
    def run() -> list[int]:
        time.sleep(0.002)
        return sorted(os.sched_getaffinity(0))

    return _runnable(run)


def _restless() -> Runnable:
    """A framework whose threads go on after an execution."""

    def spin() -> None:
        while True:
            pass

    threading.Thread(target=spin, daemon=True).start()
    return _runnable(os.getpid)


def _fragile() -> Runnable:
    """A framework that dies in its first turn."""
    calls: list[int] = []

    def run() -> int:
        calls.append(1)
        if len(calls) > 1:
            os.abort()
        return 1

    return _runnable(run)


def _unable() -> Runnable:
    raise ValueError("there is no operator Frobnicate\nand more lines of that")


def _slow() -> Runnable:
    time.sleep(60)
    return _runnable(lambda: 1)


def _late() -> Runnable:
    time.sleep(0.8)
    return _runnable(lambda: 1)


BEHAVIOURS = {
    "steady": _steady,
    "restless": _restless,
    "fragile": _fragile,
    "unable": _unable,
    "slow": _slow,
    "late": _late,
}
