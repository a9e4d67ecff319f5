"""Runs the parts of ``gpu_check.py`` within one deadline, each in a process that can be stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from gpu_parts import GATE, PARTS
from gpu_report import Report, failed

LOOK = 2.0
"""Seconds between two looks at what a part has entered."""
LEAST = 5.0
"""Seconds with which a part is not begun any more."""
DONE = "done"


class Supervisor:
    """Starts parts, takes over what they enter, and stops those that take too long."""

    def __init__(self, report: Report, out: Path, seconds: float, arguments: list[str]) -> None:
        """Starts the clock.

        Args:
            report: The file of all parts.
            out: Its folder.
            seconds: After which nothing runs any more.
            arguments: The command line, which the parts' processes get, too.
        """
        self._report, self._out, self._arguments = report, out, arguments
        self._end = time.monotonic() + seconds
        (out / "parts").mkdir(exist_ok=True)
        (out / "logs").mkdir(exist_ok=True)

    def run(self, name: str, budget: float | None, grace: float | None) -> None:
        """Runs a part unless it is done, or cannot be.

        Args:
            name: Of the part.
            budget: Most seconds that it plans with; the part's own where None.
            grace: Seconds after those until it is stopped; the part's own where None.
        """
        part, parts = PARTS[name], self._report.fields.setdefault("parts", {})
        before = parts.setdefault(name, {})
        left = self._end - time.monotonic()
        if settled(before):
            return
        if not part.plain and name not in ("build", GATE) and _shut(parts):
            before["status"] = f"left out, as {GATE} went wrong"
        elif left < LEAST:
            before["status"] = "not begun, as the time was up"
        else:
            most = min(part.seconds, budget or part.seconds)
            most += part.grace if grace is None else grace
            self._watch(name, min(most, left))
        self._report.write()

    def _watch(self, name: str, seconds: float) -> None:
        """Runs a part for at most so many seconds; its entries are written as they come."""
        file, fields = self._out / "parts" / f"{name}.json", self._report.fields["parts"]
        file.write_text(json.dumps(_entries(fields[name])))
        log, began = self._out / "logs" / f"{name}.txt", time.monotonic()
        print(f"{name}: at most {seconds:.0f} s", flush=True)
        command = [sys.executable, str(Path(__file__).with_name("gpu_check.py"))]
        with log.open("wb") as output:
            child = psutil.Popen(
                [*command, *self._arguments, "--child", name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                status = self._wait(child, name, file, began + seconds)
            finally:
                _end(child)
        spent = round(time.monotonic() - began, 1)
        fields[name] = {"status": status, "seconds": spent, **json.loads(file.read_text())}
        if status not in (DONE, _stopped(seconds)):
            fields[name]["log"] = log.read_text(errors="replace")[-1000:]

    def _wait(self, child: psutil.Popen, name: str, file: Path, end: float) -> str:
        fields, began = self._report.fields["parts"], time.monotonic()
        while (left := end - time.monotonic()) > 0:
            try:
                code = child.wait(min(LOOK, left))
            except psutil.TimeoutExpired:
                fields[name] = {"status": "running", **json.loads(file.read_text())}
                self._report.write()
            else:
                return DONE if code == 0 else f"ended with status {code}"
        return _stopped(end - began)


def settled(part: dict[str, Any]) -> bool:
    """Whether a part is done, and nothing in it failed."""
    return part.get("status") == DONE and not _failures(part)


def _failures(entry: Any) -> bool:
    """Whether an entry failed, at any depth."""
    if not isinstance(entry, dict):
        return False
    return failed(entry) or any(_failures(inner) for inner in entry.values())


def _shut(parts: dict[str, Any]) -> bool:
    """Whether the part that all others rest on was run, and no kernel in it was right."""
    gate = parts.get(GATE, {})
    return "seconds" in gate and not any(_rights(gate))


def _rights(entry: Any) -> Iterator[bool]:
    """Whether what is said to be right or not is right, at any depth."""
    if isinstance(entry, dict):
        if "right" in entry:
            yield entry["right"]
        for inner in entry.values():
            yield from _rights(inner)


def _entries(part: dict[str, Any]) -> dict[str, Any]:
    """What a part entered itself."""
    return {name: entry for name, entry in part.items() if name not in ("status", "seconds", "log")}


def _stopped(seconds: float) -> str:
    return f"stopped after {seconds:.0f} s"


def _end(child: psutil.Popen) -> None:
    """Ends a process and all that came of it, gently at first.

    What is left of one that has ended, perhaps by a crash, is found by its group.
    """
    if child.is_running():
        family = [*child.children(recursive=True), child]
        for member in family:
            _signal(member.terminate)
        for member in psutil.wait_procs(family, timeout=3)[1]:
            _signal(member.kill)
        child.wait()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _signal(send: Any) -> None:
    with suppress(psutil.NoSuchProcess):
        send()
