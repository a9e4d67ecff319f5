"""One run directory, or one zoo's, as it is found: what it is of, how it ended, what it takes."""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from chameleon_ray.report.loading import threads_of
from chameleon_ray.run_files import FILES, FolderError, RunFiles, ZooFiles
from chameleon_ray.runs import log_file
from chameleon_ray.runs.facts import Facts, parsed

SUMMARY_SCHEMA = 1
DONE, STOPPED, ERROR = "done", "stopped", "error"
SAID = {"Done;": DONE, "Stopped.": STOPPED, "Error:": ERROR}
"""Outcomes by the first word of the text of earlier versions, which have no other."""


class State(StrEnum):
    """States of a run."""

    LIVE = "live"
    """A process works in the directory."""
    VERIFIED = "verified"
    """It ended, and the tuned model's outputs are right."""
    DONE = "done"
    """It ended, and nothing but TVM could compute the outputs to expect."""
    INTERRUPTED = "interrupted"
    """It was stopped, or its process ended without a word; it can be gone on with."""
    FAILED = "failed"
    """It ended with an error, or the tuned model's outputs are wrong."""
    UNREADABLE = "unreadable"
    """Its files are damaged, or of another version."""


@dataclass(frozen=True)
class Rival:
    """What the user would run instead of the tuned model.

    Attributes:
        name: Name of the framework.
        seconds: Median latency; None where it was not timed.
        fault: Reason for that, in a sentence; else empty.
    """

    name: str
    seconds: float | None
    fault: str = ""


@dataclass(frozen=True)
class KeptRun:
    """A run, or a zoo, in a directory.

    Attributes:
        path: The directory.
        holds: ``run`` or ``zoo``.
        state: State of the run.
        model: Name of the model; empty before it is known.
        target: TVM target, as JSON.
        device: Device that it was timed on.
        seconds: Latency of the tuned model; of a zoo, the weighted sum; None where unknown.
        untuned: The same without tuning.
        rivals: What it was compared with.
        measurements: Number of configurations measured.
        began: Seconds since 1970 at which the command began, or the directory was made.
        size: Bytes that the directory takes.
        text: How it ended, in a sentence; empty where nobody said so.
        fault: What is wrong with the files, in a sentence; else empty.
        identity: What ``run.json`` says.
        summary: What ``summary.json`` says.
    """

    path: Path
    holds: str
    state: State
    model: str = ""
    target: str = ""
    device: str = ""
    seconds: float | None = None
    untuned: float | None = None
    rivals: tuple[Rival, ...] = ()
    measurements: int = 0
    began: float = 0.0
    size: int = 0
    text: str = ""
    fault: str = ""
    identity: Facts = field(default_factory=lambda: Facts({}), repr=False)
    summary: Facts = field(default_factory=lambda: Facts({}), repr=False)

    @property
    def threads(self) -> int | None:
        """Threads that the kernels may use; None where the target is no CPU's, or unknown."""
        return threads_of(self.target)

    @property
    def age(self) -> float:
        """Seconds since the run began."""
        return max(0.0, time.time() - self.began)


def is_one(path: Path) -> bool:
    """Whether a directory holds a run or a zoo, or the beginning of one under way."""
    if any(os.path.isfile(path / name) for name in FILES.values()):
        return True
    return os.path.isdir(path / "records") and RunFiles(path).held


def kept_run(path: Path, over: bool = False) -> KeptRun:
    """Reads what a directory holds; nothing in it is changed or executed.

    Args:
        path: The directory.
        over: Whether the run is known to have ended, even if its process has not left yet.

    Raises:
        FolderError: The directory holds neither a run nor a zoo.
    """
    if not is_one(path):
        raise FolderError(f"{path} holds no run; chameleon runs lists those there are.")
    files = ZooFiles(path) if os.path.isfile(path / FILES["zoo"]) else RunFiles(path)
    state = None if over or not files.held else State.LIVE
    try:
        run = _read(files, Facts(files.identity() or {}), summary_of(files), state)
    except FolderError as error:
        run = KeptRun(path, files.holds, state or State.UNREADABLE, fault=str(error))
    return replace(run, began=_began(files), size=size_of(path))


def _read(files: RunFiles, identity: Facts, summary: Facts, state: State | None) -> KeptRun:
    """Makes a run of what its files say; where no state is given, they say that, too."""
    outcome, text = _end(files)
    zoo = files.holds == "zoo"
    tuned, untuned = (
        summary.number("weighted_ms" if zoo else "latency_ms", name)
        for name in ("tuned", "untuned")
    )
    return KeptRun(
        files.path,
        files.holds,
        state or _state(zoo, outcome, summary),
        model=_model(zoo, identity, summary),
        target=identity.text("target"),
        device=identity.text("device"),
        seconds=None if tuned is None else tuned / 1e3,
        untuned=None if untuned is None else untuned / 1e3,
        rivals=_rivals(summary),
        measurements=_measurements(files, summary),
        text=text,
        identity=identity,
        summary=summary,
    )


def summary_of(files: RunFiles) -> Facts:
    """Returns what the summary says; nothing before the end of the run.

    Raises:
        FolderError: It is damaged, or of another version.
    """
    summary = parsed(files.summary)
    if summary.body != {} and summary.number("schema") != SUMMARY_SCHEMA:
        raise FolderError(f"{files.summary} was written by another version; it cannot be used.")
    return summary


def size_of(path: Path) -> int:
    """Returns the bytes that the files of a directory take; links are not followed."""
    total = 0
    for folder, _, names in os.walk(path, onerror=lambda error: None):
        for name in names:
            with suppress(OSError):  # a part that was merged meanwhile
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _state(zoo: bool, outcome: str, summary: Facts) -> State:
    """Returns the state of a run in which no process works."""
    if outcome == ERROR:
        return State.FAILED
    if outcome != DONE:
        return State.INTERRUPTED
    parts = summary.rows("models") if zoo else [summary]
    verdicts = [part.text("verified", "outcome") for part in parts]
    if any(part.text("error") for part in parts) or "differs" in verdicts:
        return State.FAILED
    return State.VERIFIED if set(verdicts) == {"verified"} else State.DONE


def _end(files: RunFiles) -> tuple[str, str]:
    """Returns the outcome of the last command in a directory, and its last words.

    A summary is only written at the end. A log may lack its last line, where the disk was full, and
    a model of a zoo has none of its own.
    """
    last = log_file.last_event(files)
    if last.text("event") != "ended":
        return (DONE if _written(files.summary) > _written(files.log) else ""), ""
    text = last.text("text")
    return last.text("outcome") or SAID.get(text.partition(" ")[0], ""), text


def _written(file: Path) -> float:
    """Returns when a file was written last, in seconds since 1970; 0 where it is missing."""
    with suppress(OSError):
        return os.lstat(file).st_mtime
    return 0.0


def _model(zoo: bool, identity: Facts, summary: Facts) -> str:
    if not zoo:
        return identity.text("model")
    names = [model.text("name") for model in summary.rows("models")]
    return ", ".join(names) if names else "a zoo"


def _rivals(summary: Facts) -> tuple[Rival, ...]:
    return tuple(
        Rival(row.text("name"), row.number("latency"), row.text("fault"))
        for row in summary.rows("comparison")
    )


def _measurements(files: RunFiles, summary: Facts) -> int:
    """Returns the number of measurements, those of a session after the summary included."""
    return max(int(summary.number("measurements", "total") or 0), log_file.measured(files))


def _began(files: RunFiles) -> float:
    """Returns the time at which a run began: what its log says, or else its oldest file."""
    if (known := log_file.began(files)) is not None:
        return known
    times = []
    for file in (files.path / FILES[files.holds], files.path):
        with suppress(OSError):
            times.append(os.lstat(file).st_mtime)
    return min(times, default=0.0)


def as_json(run: KeptRun) -> dict[str, object]:
    """Returns a run as plain data; unknown values are None."""
    return {
        "run": str(run.path),
        "holds": run.holds,
        "state": run.state.value,
        "model": run.model or None,
        "target": _target(run.target),
        "device": run.device or None,
        "threads": run.threads,
        "latency_ms": None if run.seconds is None else 1e3 * run.seconds,
        "untuned_ms": None if run.untuned is None else 1e3 * run.untuned,
        "comparison": [
            {"name": r.name, "ms": None if r.seconds is None else 1e3 * r.seconds, "fault": r.fault}
            for r in run.rivals
        ],
        "measurements": run.measurements,
        "began": run.began,
        "bytes": run.size,
        "text": run.text or None,
        "fault": run.fault or None,
    }


def _target(target: str) -> object:
    try:
        return json.loads(target)
    except (ValueError, RecursionError):
        return target or None
