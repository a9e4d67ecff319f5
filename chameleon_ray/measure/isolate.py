"""Jobs in a child process that may hang, crash or run out of memory.

The child is forked from a warm *zygote*, a process that has done the slow imports and nothing else.
So a lost child is replaced in milliseconds. The zygote is started fresh (never forked from a
process with threads). Both die with the process that made them.
"""

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import wait
from pathlib import Path
from threading import Lock
from typing import Any

from chameleon_ray.errors import UserError
from chameleon_ray.measure import lifetime
from chameleon_ray.measure.cpu_time import answers
from chameleon_ray.measure.message import NoMessage, Stamp, answer, packed, send
from chameleon_ray.measure.outcome import Ending, Outcome
from chameleon_ray.measure.scratch import Scratch
from chameleon_ray.measure.search_path import PACKAGES, PROGRAM
from chameleon_ray.measure.setting import Setting
from chameleon_ray.measure.zygote import AWAIT, END, FORK, KILL, PID, serve
from chameleon_ray.signals import named

__all__ = ["Ending", "Isolate", "IsolateError", "Outcome", "Setting"]

STARTING_SECONDS = 120.0
"""Most seconds that a zygote's imports may take; a cold disk is slow."""
MESSAGE_SECONDS = 300.0
"""Most seconds that one message may take to or from a process that is stopped now and then."""
CLOSING_SECONDS = 2.0
"""Most seconds for a zygote to end all that its children started, before it is killed."""


class IsolateError(UserError):
    """The zygote itself cannot start: the machine or the installation is broken."""


class Isolate:
    """Does one job at a time in a child; not for use from several threads at once.

    Attributes:
        setting: What the child is made of.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._child: socket.socket | None = None
        self._pid = self._jobs = self._number = 0
        self._closing, self._closed = Lock(), False
        self._start()

    def _start(self) -> None:
        """Starts a zygote, unless another thread has closed all.

        Raises:
            IsolateError: It has.
        """
        with self._closing:
            if self._closed:
                raise IsolateError(f"the process for {self.setting.handler} was closed")
            self._popen()

    def _popen(self) -> None:
        setting = self.setting
        self._scratch = Scratch()
        self._control, theirs = socket.socketpair()
        program = PROGRAM.format("chameleon_ray.measure.isolate")
        handed = (theirs.fileno(), self._scratch.descriptor)
        self._zygote = subprocess.Popen(
            [sys.executable, "-P", "-c", program, str(PACKAGES), *map(str, handed)],
            pass_fds=handed,
            env={**os.environ, **self._scratch.environment(), **dict(setting.environment)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            process_group=0,  # Ctrl-C is for the command, which ends its zygotes itself
        )
        theirs.close()
        with contextlib.suppress(OSError):  # one that died at once is started anew when needed
            self._control.settimeout(STARTING_SECONDS)
            send(self._control, packed(setting), Stamp(0, os.getpid()))

    def warm(self) -> None:
        """Waits until the zygote is ready.

        Raises:
            IsolateError: Its imports failed.
        """
        if self._child is None:
            self._fork()

    def revived(self) -> Path:
        """Replaces a child that has died since its last job; waits until it can do jobs.

        Returns:
            Temporary directory of the child. It is emptied whenever a child is replaced.

        Raises:
            IsolateError: It does not start.
        """
        if self._child is not None and not (self._zygote.poll() is None and self.alive):
            self._replace()
        self.warm()
        return self._scratch.path

    def renew(self, jobs: int) -> None:
        """Replaces a child that has done ``jobs`` jobs: what they leave in its memory adds up."""
        if self._child is not None and self._jobs >= jobs:
            self._replace()

    @property
    def fresh(self) -> bool:
        """Whether the child that the next job goes to has done none yet."""
        return self._child is None or self._jobs == 0

    @property
    def alive(self) -> bool:
        """Whether the child that did the last job is still there, with what it has in memory."""
        if self._child is None:
            return False
        if not wait([self._child], 0):
            return True
        with contextlib.suppress(OSError):
            return bool(self._child.recv(1, socket.MSG_PEEK))
        return False

    def stop(self) -> None:
        """Stops the child until ``go_on``, so that it takes no time of any core."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets a child that was stopped go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        if self._child is not None and not self._closed:  # its zygote keeps its id its own
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, what)

    def call(self, job: Any, timeout: float, most: float | None = None) -> Outcome:
        """Does one job; a child that hangs, crashes or dies is replaced for the next.

        Args:
            job: Picklable argument of the handler.
            timeout: Seconds after which the job is stopped; see ``answers`` for what counts.
            most: Seconds after which it is stopped in any case; where None, several times these.
        """
        self.warm()
        self._jobs += 1
        began = time.perf_counter()
        try:
            body = self._answer(packed(job), timeout, most)
        except TimeoutError:
            self._replace(KILL)
            seconds = time.perf_counter() - began
            return Outcome(Ending.TIMEOUT, None, f"stopped after {timeout:g} s", seconds)
        except NoMessage:
            self._replace(KILL)
            error = "something else wrote to the descriptor over which it answers"
            return Outcome(Ending.CRASH, None, error, time.perf_counter() - began)
        except (EOFError, OSError):
            error = self._replace(AWAIT)
            return Outcome(Ending.CRASH, None, error, time.perf_counter() - began)
        seconds = time.perf_counter() - began
        try:
            good, value, for_user = pickle.loads(body)
        except Exception as reason:
            return Outcome(Ending.ERROR, None, f"its answer cannot be read: {reason}", seconds)
        if good:
            return Outcome(Ending.OK, value, "", seconds)
        return Outcome(Ending.ERROR, None, value, seconds, for_user)

    def _answer(self, job: bytes, timeout: float, most: float | None) -> bytes:
        """Sends a job to the child; returns the answer to this very job, of this very process."""
        assert self._child is not None
        frozen = self.setting.freezer is not None
        self._number += 1
        patience = MESSAGE_SECONDS if frozen else timeout
        self._child.settimeout(patience)
        send(self._child, job, Stamp(self._number, os.getpid()))
        if not answers(self._child, self._pid, timeout, frozen, most):
            raise TimeoutError
        return answer(self._child, Stamp(self._number, self._pid), patience)

    def close(self) -> None:
        """Ends child, zygote and what they started; a call in another thread ends as a crash."""
        with self._closing:
            self._closed = True
        self._end_zygote()
        if self._child is not None:
            self._child.close()
        self._control.close()
        self._log.close()

    def _fork(self) -> None:
        if self._zygote.poll() is not None:  # it was killed since the last job
            self._end_zygote()
            self._control.close()
            self._start()
        mine, theirs = socket.socketpair()
        try:
            self._control.settimeout(STARTING_SECONDS)
            socket.send_fds(self._control, [FORK], [theirs.fileno()])
            reply = self._control.recv(PID.size)
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

    def _replace(self, command: bytes = KILL) -> str:
        """Ends the child, by ``KILL`` or ``AWAIT``, and says how it died."""
        assert self._child is not None
        self._child.close()
        self._child = None
        reply = b""
        with contextlib.suppress(OSError):
            self._control.settimeout(2 * lifetime.ENDING_SECONDS)
            self._control.sendall(command)
            reply = self._control.recv(END.size)
        if len(reply) < END.size:
            self._end_zygote()
            return "its process was lost"
        self._scratch.empty()
        status, killed = END.unpack(reply)
        if status == lifetime.STUCK:
            return f"its process was killed, but does not end within {lifetime.ENDING_SECONDS:g} s"
        if killed:
            return "it closed all descriptors, and with them the one over which it answers"
        if os.WIFSIGNALED(status):
            return f"killed by {named(os.WTERMSIG(status))}"
        return f"exited with status {os.waitstatus_to_exitcode(status)}"

    def _end_zygote(self) -> None:
        """Ends the zygote, and with it the child, without waiting for what does not end."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # which it takes for the end of this process
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._zygote.wait(min(CLOSING_SECONDS, lifetime.ENDING_SECONDS))
        self._zygote.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._zygote.wait(lifetime.ENDING_SECONDS)
        self._scratch.close()

    def _last_words(self) -> str:
        try:
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
        except ValueError:  # another thread has closed it
            return "it was closed"
        return lines[-1] if lines else "no message"


def main() -> None:
    """Serves as a zygote on the first descriptor that the command line names, and keeps all."""
    control, *_ = handed = tuple(map(int, sys.argv[1:]))
    for descriptor in handed:
        os.set_inheritable(descriptor, False)
    serve(socket.socket(fileno=control))
