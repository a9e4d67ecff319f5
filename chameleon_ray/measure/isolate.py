"""Jobs in a child process that may hang, crash or run out of memory.

The child is forked from a warm *zygote*, a process that has done the slow imports and nothing else.
So a lost child is replaced in milliseconds. The zygote is started fresh (never forked from a
process with threads). Both die with the process that made them.
"""

import contextlib
import importlib
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chameleon_ray.errors import UserError
from chameleon_ray.measure import lifetime
from chameleon_ray.measure.cpu_time import answers
from chameleon_ray.measure.freezer import Freezer
from chameleon_ray.measure.message import receive, send

PID = struct.Struct("<i")
STARTING_SECONDS = 120.0
"""Most seconds that a zygote's imports may take; a cold disk is slow."""


class Ending(StrEnum):
    """The ways in which a job in a child ends."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASH = "crash"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job: its value, or what went wrong.

    Attributes:
        ending: Way in which the job ended.
        value: Value that the job returned, where ``ending`` is ``ok``.
        error: Error in words; empty where there was none.
        seconds: Seconds that the job took.
        for_user: Whether the error is a sentence for the user, as the job raised a ``UserError``.
    """

    ending: Ending
    value: Any = None
    error: str = ""
    seconds: float = 0.0
    for_user: bool = False


class IsolateError(UserError):
    """The zygote itself cannot start: the machine or the installation is broken."""


@dataclass(frozen=True)
class Setting:
    """The handler, cores, memory and environment of a child.

    Attributes:
        handler: ``module:factory``; ``factory(argument)`` gives the callable that does the jobs.
        argument: Picklable argument of the factory.
        cores: CPU cores the child is bound to; all of the parent's where None.
        memory_bytes: Most private memory; no limit where None.
        environment: Environment variables set before any import.
        freezer: Freezer that zygote and child join. Time limits of jobs then count the CPU time of
            the child.
    """

    handler: str
    argument: Any = None
    cores: tuple[int, ...] | None = None
    memory_bytes: int | None = None
    environment: tuple[tuple[str, str], ...] = ()
    freezer: Freezer | None = None


class Isolate:
    """Does one job at a time in a child; not for use from several threads at once."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._child: socket.socket | None = None
        self._pid = self._jobs = 0
        self._start()

    def _start(self) -> None:
        """Starts a zygote."""
        setting = self.setting
        self._control, theirs = socket.socketpair()
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "chameleon_ray.measure.isolate", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, **dict(setting.environment)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            process_group=0,  # Ctrl-C is for the command, which ends its zygotes itself
        )
        theirs.close()
        with contextlib.suppress(OSError):  # one that died at once is started anew when needed
            send(self._control, setting)

    def warm(self) -> None:
        """Waits until the zygote is ready.

        Raises:
            IsolateError: Its imports failed.
        """
        if self._child is None:
            self._fork()

    def renew(self, jobs: int) -> None:
        """Replaces a child that has done ``jobs`` jobs: what they leave in its memory adds up."""
        if self._child is not None and self._jobs >= jobs:
            self._replace()

    @property
    def fresh(self) -> bool:
        """Whether the child that the next job goes to has done none yet."""
        return self._child is None or self._jobs == 0

    def call(self, job: Any, timeout: float | None = None) -> Outcome:
        """Does one job; a child that hangs, crashes or dies is replaced for the next.

        Args:
            job: Picklable argument of the handler.
            timeout: Seconds after which the job is stopped; never where None.
        """
        self.warm()
        assert self._child is not None
        self._jobs += 1
        began = time.perf_counter()
        try:
            frozen = self.setting.freezer is not None
            self._child.settimeout(None if frozen else timeout)
            send(self._child, job)
            if frozen and timeout and not answers(self._child, self._pid, timeout):
                raise TimeoutError
            good, value, for_user = receive(self._child)
        except TimeoutError:
            self._replace()
            seconds = time.perf_counter() - began
            return Outcome(Ending.TIMEOUT, None, f"stopped after {timeout:g} s", seconds)
        except (EOFError, OSError):
            error = self._replace()
            return Outcome(Ending.CRASH, None, error, time.perf_counter() - began)
        seconds = time.perf_counter() - began
        if good:
            return Outcome(Ending.OK, value, "", seconds)
        return Outcome(Ending.ERROR, None, value, seconds, for_user)

    def close(self) -> None:
        """Ends child and zygote; a call under way in another thread ends as a crash."""
        self._end_zygote()
        if self._child is not None:
            self._child.close()
        self._control.close()
        self._log.close()

    def _fork(self) -> None:
        if self._zygote.poll() is not None:  # it was killed since the last job
            self._control.close()
            self._start()
        mine, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [b"F"], [theirs.fileno()])
            ready, _, _ = select.select([self._control], [], [], STARTING_SECONDS)
            reply = self._control.recv(PID.size) if ready else b""
        except OSError:
            reply = b""
        finally:
            theirs.close()
        if len(reply) < PID.size:
            mine.close()
            self._end_zygote()
            raise IsolateError(
                f"the process for {self.setting.handler} did not start: {self._last_words()}"
            )
        self._child, self._pid, self._jobs = mine, PID.unpack(reply)[0], 0

    def _replace(self) -> str:
        """Kills the child, where it still lives, and says how it died."""
        assert self._child is not None
        self._child.close()
        self._child = None
        reply = b""
        with contextlib.suppress(OSError):
            self._control.sendall(b"R")
            ready, _, _ = select.select([self._control], [], [], 2 * lifetime.ENDING_SECONDS)
            reply = self._control.recv(PID.size) if ready else b""
        if len(reply) < PID.size:
            self._end_zygote()
            return "its process was lost"
        status = PID.unpack(reply)[0]
        if status == lifetime.STUCK:
            return f"its process was killed, but does not end within {lifetime.ENDING_SECONDS:g} s"
        if os.WIFSIGNALED(status):
            return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"exited with status {os.waitstatus_to_exitcode(status)}"

    def _end_zygote(self) -> None:
        """Kills the zygote, and with it the child, without waiting for what does not end."""
        self._zygote.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._zygote.wait(lifetime.ENDING_SECONDS)

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no message"


def _handler(setting: Setting) -> Callable[[Any], Any]:
    module, _, factory = setting.handler.partition(":")
    return getattr(importlib.import_module(module), factory)(setting.argument)


def _zygote(control: socket.socket) -> None:
    """Warms up, then forks a child for every ``F`` and reaps the last one for every ``R``."""
    lifetime.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setting: Setting = receive(control)
    if setting.cores is not None:
        os.sched_setaffinity(0, setting.cores)
    if setting.freezer is not None:
        setting.freezer.join(group=True)
    handler = _handler(setting)
    pid = 0
    while True:
        command, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if command == b"F":
            pid = os.fork()
            if pid == 0:
                control.close()
                _child(socket.socket(fileno=descriptors[0]), handler, setting)
            os.close(descriptors[0])
            control.sendall(PID.pack(pid))
        elif command == b"R":
            control.sendall(PID.pack(lifetime.ended(pid)))
        else:
            os._exit(0)


def _child(channel: socket.socket, handler: Callable[[Any], Any], setting: Setting) -> None:
    """Does jobs until the parent is gone.

    An exception is an answer; anything worse is a crash.
    """
    lifetime.die_with_parent()
    if setting.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (setting.memory_bytes, setting.memory_bytes))
    while True:
        try:
            job = receive(channel)
        except EOFError:
            os._exit(0)
        try:
            answer = (True, handler(job), False)
        except MemoryError:
            most = setting.memory_bytes
            there = "there is" if most is None else f"{most >> 20} MiB"
            answer = (False, f"it needs more memory than {there}", False)
        except UserError as error:
            answer = (False, str(error), True)
        except Exception as error:
            answer = (False, f"{type(error).__name__}: {error}", False)
        send(channel, answer)


if __name__ == "__main__":
    _zygote(socket.socket(fileno=int(sys.argv[1])))
