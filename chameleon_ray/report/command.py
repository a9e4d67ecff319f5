"""The commands that repeat a run and go on with it, as they are typed."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from chameleon_ray.options import Request, typed
from chameleon_ray.options.buckets import is_bucketed
from chameleon_ray.options.option import options_of
from chameleon_ray.record import Record, own
from chameleon_ray.report.format import clock
from chameleon_ray.report.result import RunResult

ALWAYS = ("model", "inputs", "examples", "warm_start", "memory_aware")
"""Fields of a request that every command has, beside its options."""


def repeating(result: RunResult) -> str:
    """Returns the command that makes the run again; empty where the request is not known.

    It uses no store, as that has what the run measured.
    """
    request = _request(result)
    if request is None:
        return ""
    store = [] if request.locked else ["--store", "none"]
    return shlex.join([*_words(request, {"store"}), *store])


def going_on(result: RunResult, minutes: int) -> str:
    """Returns the command that searches for so many minutes more; empty where it is not known."""
    request = _request(result)
    if request is None:
        return ""
    return _resuming(request, "tune", result.folder, result.records, result.wall_seconds, minutes)


def repeating_zoo(request: Request) -> str:
    """Returns the command that tunes a zoo again; its file is the request's model."""
    return shlex.join(_words(replace(request, store="none"), set(), _name(request)))


def _name(request: Request) -> str:
    """Names the command: buckets of one model are tuned like a zoo, and asked for as one model."""
    return "tune" if is_bucketed(request.inputs) else "zoo"


def going_on_with_zoo(
    request: Request, folder: Path, records: Sequence[Record], seconds: float, minutes: int
) -> str:
    """Returns the command that searches a zoo for so many minutes more.

    Args:
        request: Request of all models; its model is the zoo's file.
        folder: Directory of the zoo.
        records: All measurements.
        seconds: Seconds that the command took.
        minutes: Minutes of search.
    """
    return _resuming(request, _name(request), folder, records, seconds, minutes)


def _resuming(
    request: Request,
    command: str,
    folder: Path,
    records: Sequence[Record],
    seconds: float,
    minutes: int,
) -> str:
    before = min((record.finished for record in own(records)), default=0.0)  # until the first one
    other = max(seconds - searched(records), before) / 60  # a session that went on searched less
    words = _words(request, {"minutes", "trials", "until"}, command)
    more = ["--out", str(folder), "--resume", "--minutes", str(minutes + ceil(other))]
    return shlex.join([*words, *more])


def searched(records: Sequence[Record]) -> float:
    """Returns the seconds of a search, from its first measurement to its last."""
    ends = [record.finished for record in own(records)]
    return max(ends, default=0.0) - min(ends, default=0.0)


def spent(records: Sequence[Record], seconds: float) -> str:
    """Tells where the time of a command went, which ``--minutes`` limits as a whole.

    Args:
        records: All measurements.
        seconds: Seconds that the command took.
    """
    search = searched(records)
    if not 0 < search <= seconds:
        return f"It took {clock(seconds)} min."
    return (
        f"It took {clock(seconds)} min: {clock(search)} of search, and {clock(seconds - search)} "
        "to import, compile, verify and time models. --minutes limits both together."
    )


def _request(result: RunResult) -> Request | None:
    """Returns the run's request as far as a command can say it."""
    said = {*options_of(Request), *ALWAYS}
    given = {name: value for name, value in result.settings.items() if name in said}
    if "model" not in given:
        return None
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Request(**(given | lists))  # type: ignore[arg-type]


def _words(request: Request, leaving: set[str], command: str = "tune") -> list[str]:
    """Returns the command of a request without some options, which have a value each."""
    dropped = {f"--{name}" for name in leaving}
    words, kept = iter(typed(request, command)), list[str]()
    for word in words:
        if word in dropped:
            next(words)
        else:
            kept.append(word)
    return kept
