"""The phases of a command: which have gone by, which follow, and how far it has come."""

import re
from collections.abc import Iterator
from itertools import pairwise

from chameleon_ray.report.format import clock
from chameleon_ray.report.progress import Progress

PHASES = {
    "importing": r"importing .*",
    "compiling untuned": r"compiling .* untuned",
    "verifying untuned": r"verifying .* untuned",
    "searching": r"searching",
    "choosing winners": r"choosing winners",
    "compiling": r"compiling .*",
    "verifying": r"verifying .*",
    "comparing": r"timing .*",
    "reporting": r"writing .*",
}
"""Phases in the order in which a command of one model has them, and what they are called."""
DONE, REST, LEAST = "\u2501", "\u2500", 10
"""What a bar is made of, and the least number of characters in which it is of use."""


def place(name: str) -> int:
    """Returns the place of a phase among all; 0 for one that is none of them."""
    for number, pattern in enumerate(PHASES.values()):
        if re.fullmatch(pattern, name):
            return number
    return 0


def bar(progress: Progress, width: int) -> str:
    """Returns the phase, a bar of what is done, and the time: gone by, and left over all phases."""
    name = progress.phases[-1].name if progress.phases else "starting"
    times = f"{clock(progress.elapsed)}{_left(progress)}"
    room, share = width - len(name) - len(times) - 2, progress.share
    if share is None or room < LEAST:
        return f"{name}: {times}"
    done = min(int(room * share), room)
    return f"{name} {DONE * done}{REST * (room - done)} {times}"


def _left(progress: Progress) -> str:
    left = progress.whole_left
    if left is None:
        return ""
    return f", {clock(left)} left" if left >= 0 else f", {clock(-left)} over"


def passage(progress: Progress, width: int) -> str:
    """Tells which phases are to come and, where there is room, how long earlier ones took."""
    here = place(progress.phases[-1].name) if progress.phases else 0
    following = [name for number, name in enumerate(PHASES) if number > here]
    if not progress.compares:
        following = [name for name in following if name != "comparing"]
    then, gone = f"then: {', '.join(following)}" if following else "", list(_gone(progress))
    done = f"done: {', '.join(f'{name} {clock(seconds)}' for name, seconds in gone)}"
    whole = "; ".join(part for part in (done if gone else "", then) if part)
    return whole if len(whole) <= width else _shortened(then, width)


def _shortened(listed: str, width: int) -> str:
    """Cuts a list after the last of its entries that there is room for."""
    while len(listed) > width and ", " in listed:
        listed = listed.rpartition(", ")[0].removesuffix(", ...") + ", ..."
        if len(listed) > width:
            listed = listed.removesuffix(", ...")
    return listed


def _gone(progress: Progress) -> Iterator[tuple[str, float]]:
    """Yields the phases that are over, each once, with the seconds that they took in all."""
    names, took = list(PHASES), dict[str, float]()
    phases = progress.phases
    for phase, following in pairwise(phases):
        name = names[place(phase.name)]
        took[name] = took.get(name, 0.0) + following.began - phase.began
    yield from took.items()
