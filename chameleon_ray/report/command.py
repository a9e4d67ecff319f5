"""The commands that repeat a run and go on with it, as they are typed."""

import shlex
from math import ceil

from chameleon_ray.options import Request, typed
from chameleon_ray.options.option import options_of
from chameleon_ray.record import own
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
    return shlex.join([*_words(request, leaving={"store"}), *store])


def going_on(result: RunResult, minutes: int) -> str:
    """Returns the command that searches for so many minutes more; empty where it is not known."""
    request = _request(result)
    if request is None:
        return ""
    ends = [record.finished for record in own(result.records)]
    searching = max(ends, default=0.0) - min(ends, default=0.0)
    other = max(result.wall_seconds - searching, 0.0) / 60
    words = _words(request, leaving={"minutes", "trials", "until"})
    more = ["--out", str(result.folder), "--resume", "--minutes", str(minutes + ceil(other))]
    return shlex.join([*words, *more])


def _request(result: RunResult) -> Request | None:
    """Returns the run's request as far as a command can say it."""
    said = {*options_of(Request), *ALWAYS}
    given = {name: value for name, value in result.settings.items() if name in said}
    if "model" not in given:
        return None
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Request(**(given | lists))  # type: ignore[arg-type]


def _words(request: Request, leaving: set[str]) -> list[str]:
    """Returns the command of a request without some options, which have a value each."""
    dropped = {f"--{name}" for name in leaving}
    words, kept = iter(typed(request, "tune")), list[str]()
    for word in words:
        if word in dropped:
            next(words)
        else:
            kept.append(word)
    return kept
