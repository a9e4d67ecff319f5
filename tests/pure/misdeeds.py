"""Handlers of jobs that do what they should not, in a child."""

import contextlib
import ctypes
import gc
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from chameleon_ray.measure import lifetime
from chameleon_ray.measure.message import Stamp, packed, send
from chameleon_ray.measure.scratch import machine_folder, outside


class Doer:
    """Does named misdeeds; counts the jobs its child has done."""

    def __init__(self, greeting: str) -> None:
        self.greeting, self.done = greeting, 0

    def __call__(self, job):
        self.done += 1
        return getattr(self, job[0])(*job[1:])

    def greet(self, name):
        return f"{self.greeting} {name}", self.done, os.getpid()

    def environment(self, name):
        return os.environ.get(name), os.sched_getaffinity(0)

    def fail(self):
        raise ValueError("no such thing")

    def hang(self):
        while True:
            time.sleep(60)

    def crash(self):
        ctypes.string_at(0)

    def leave(self):
        os._exit(3)

    def raise_signal(self, number):
        os.kill(os.getpid(), number)

    def fork(self):
        return os.fork()

    def start(self):
        return subprocess.Popen(["sleep", "1000"], start_new_session=True).pid

    def close(self, last):
        os.closerange(3, last)
        return "closed"

    def scribble(self):
        for descriptor in range(3, 1 << 14):
            with contextlib.suppress(OSError):
                os.write(descriptor, b"\xff" * 4096)

    def answer_early(self, value):
        """Sends answers with another number and of another process, as a copy of it would."""
        sockets = (one for one in gc.get_objects() if isinstance(one, socket.socket))
        channel = max(sockets, key=socket.socket.fileno)
        for stamp in (Stamp(self.done - 1, os.getpid()), Stamp(self.done, os.getpid() + 1)):
            send(channel, packed((True, "wrong", False)), stamp)
        return value

    def inherited(self):
        """Returns the descriptors that a program has which is started from here."""
        line = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[3:])"
        command = [sys.executable, "-c", line]
        return subprocess.run(command, capture_output=True, text=True, close_fds=False).stdout

    def write(self):
        """Writes a file to the temporary directory, and returns its path."""
        handle, path = tempfile.mkstemp()
        os.close(handle)
        return path

    def write_and_hang(self):
        Path(tempfile.mkdtemp(), "made").write_text("half")
        self.hang()

    def write_and_crash(self):
        self.write()
        self.crash()

    def places(self):
        """Returns the temporary directories of Python, of programs, and of locks, seen twice."""

        def seen():
            return tempfile.gettempdir(), os.environ["TMPDIR"], str(machine_folder())

        own = seen()
        with outside():
            return own, seen()

    def exit(self):
        sys.exit(3)

    def interrupt(self):
        raise KeyboardInterrupt

    def secret(self):
        return lambda: None

    def hoard(self):
        return [bytearray(1 << 24) for _ in range(1000)]


def doer(greeting):
    return Doer(greeting)


def broken(_):
    raise RuntimeError("nothing works here")


def impatient(_: object) -> Doer:
    lifetime.ENDING_SECONDS = 0.3
    return Doer("hello")


def gone(pid: int) -> None:
    """Waits until a process has ended (a zombie has)."""
    deadline = time.time() + 5
    while time.time() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} lives on")
