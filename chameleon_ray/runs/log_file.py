"""The log of a run or a zoo, read in parts: its beginning, its end, and how much was measured."""

import os

from chameleon_ray.run_files import RunFiles
from chameleon_ray.runs.facts import Facts, events, opened

HEAD, TAIL = 1 << 12, 1 << 16
"""Bytes in which the first event is looked for, and the last one."""
MOST_BYTES = 1 << 40
MEASURED = b'{"event": "measured"'
"""Beginning of the line of a measurement."""


def began(files: RunFiles) -> float | None:
    """Returns the seconds since 1970 at which the first command began; None where unknown."""
    for event in events(_part(files, HEAD)):
        at, after = event.number("time"), event.number("seconds")
        if at is not None and after is not None:
            return at - after
    return None


def last_event(files: RunFiles) -> Facts:
    """Returns the last whole line of the log; nothing where there is none."""
    found = list(events(_part(files, -TAIL)))
    return found[-1] if found else Facts({})


def measured(files: RunFiles) -> int:
    """Counts the measurements of all sessions."""
    lines = _part(files, 0)
    return lines.count(b"\n" + MEASURED) + lines.startswith(MEASURED)


def _part(files: RunFiles, count: int) -> bytes:
    """Returns whole lines of the first bytes, of the last ones where negative, or of all."""
    try:
        with opened(files.log, MOST_BYTES) as log:
            size = os.fstat(log.fileno()).st_size
            start = max(0, size + count) if count < 0 else 0
            log.seek(start)
            read = log.read(abs(count) or -1)
    except OSError:
        return b""
    whole = read.partition(b"\n")[2] if start else read
    return whole[: whole.rfind(b"\n") + 1]
