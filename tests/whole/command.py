"""The ``chameleon`` command in a process of its own: started, read, and hunted for orphans."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from typer.testing import CliRunner

from chameleon_ray.commands.app import app
from chameleon_ray.database import Database, read_part
from chameleon_ray.record import Record, Status
from chameleon_ray.signals import POLITE
from chameleon_ray.store.store import NONE, VARIABLE

ROOT = Path(__file__).parents[2]
NET, DENSE, SLOW = (f"tests.whole.net:{name}" for name in ("make", "dense", "slow"))
SERIAL = ("--engine", "serial", "--explorer", "random", "--sampler", "greedy")
SEARCHED = (*SERIAL[:3], "annealing", *SERIAL[4:], "--trials", "24")
"""Of the fixture ``serial``: more trials than a layer has first plans, so that it is searched."""
PROGRESS = re.compile(r"\[\d+:\d\d\] ")
"""How a line of progress begins where stderr is no terminal."""
MARK = "CHAMELEON_TEST"


def uncompared(arguments: tuple[str, ...]) -> list[str]:
    """Has a command compare only where it is told with what, as that takes seconds."""
    compares = arguments[:1] in (("tune",), ("zoo",)) and "--compare" not in arguments
    return [*arguments, *(["--no-compare"] if compares else [])]


class Command:
    """A ``chameleon`` under way; it and all its descendants carry a mark in their environment."""

    def __init__(
        self, *arguments: str, environment: Mapping[str, str] = {}, **options: object
    ) -> None:
        self.mark = uuid.uuid4().hex
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
        python = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            # As ``chameleon`` does, it has the working directory on no search path.
            [sys.executable, "-P", "-m", "chameleon_ray", *uncompared(arguments)],
            env={
                **os.environ,
                VARIABLE: NONE,
                **environment,
                "PYTHONPATH": python,
                MARK: self.mark,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )

    def wait(self, seconds: float = 180) -> tuple[int, str, str]:
        """Exit status, stdout, and what stderr says besides progress."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        finally:
            self.process.kill()
        said = [line for line in err.splitlines() if not PROGRESS.match(line)]
        return self.process.returncode, out, "\n".join(said)

    def processes(self) -> dict[int, str]:
        """The command's living processes, itself included: their command lines by id."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            try:
                marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
                if marked and (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(folder.name)] = line.decode(errors="replace")
            except OSError:  # it has just ended
                continue
        return found

    def agents(self) -> list[int]:
        """Agents of its Ray, by id; their names are where their arguments and environment were."""
        raylets = [pid for pid, line in self.processes().items() if "raylet/raylet " in line]
        children = [one for pid in raylets for one in psutil.Process(pid).children()]
        return [one.pid for one in children if re.match(r"ray::\w+Agent$", one.name())]

    def orphans(self, seconds: float = 15) -> dict[int, str]:
        """What is left of it some time after its end."""
        until(lambda: not self.processes(), seconds)
        return self.processes()


JOINS = "worker.io"
"""Name of a thread that Ray's library starts while it makes a process a part of Ray.

Thereafter the library asks the raylet for that, which asks the control store.
"""


def threads(pid: int) -> set[str]:
    """Names of a process's threads; none where there is no such process."""
    found = set()
    with suppress(OSError):
        for folder in Path("/proc", str(pid), "task").iterdir():
            found.add((folder / "comm").read_text().rstrip())
    return found


def until(true: Callable[[], object], seconds: float, pause: float = 0.05) -> bool:
    """Waits for something, with a look after each pause; whether it came in so many seconds."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def chameleon(*arguments: str, **options: object) -> tuple[int, str, str]:
    """Exit status, stdout, and what stderr says besides progress."""
    return Command(*arguments, **options).wait()  # type: ignore[arg-type]


def refused(*arguments: str) -> tuple[int, str]:
    """Exit status and sentence of a request that is turned down, in this very process.

    A process of its own would import for seconds what this one has.
    """
    before = {one: signal.getsignal(one) for one in POLITE}
    try:
        result = CliRunner().invoke(app, uncompared(arguments), env={VARIABLE: NONE})
    finally:  # the command listens to the end of its process, as it has one of its own
        for one, handler in before.items():
            signal.signal(one, handler)
    assert result.stdout == ""
    said = [line for line in result.stderr.splitlines() if not PROGRESS.match(line)]
    return result.exit_code, "\n".join(said)


def tuned(path: Path, model: str, *options: str) -> Path:
    """The directory of a run that went well."""
    code, out, err = chameleon("tune", model, "--out", str(path), *options)
    assert code == 0, err
    assert err == ""
    assert "Verified" in out
    assert str(path / "model.so") in out
    return path


def records(run: Path) -> list[Record]:
    return Database(run / "records").read()


def measured_twice(run: Path) -> int:
    """How often a run measured what it had measured before; reading records hides that.

    A record that was corrected, as its output was wrong, is no measurement.
    """
    parts = [one for path in (run / "records").glob("*.parquet") for one in read_part(path)]
    made = {(r.task, r.config, r.sequence) for r in parts if r.status is not Status.WRONG_ANSWER}
    return len(made) - len({key[:2] for key in made})
