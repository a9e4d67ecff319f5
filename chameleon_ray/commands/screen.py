"""Where commands print: results on standard output, all else on standard error."""

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from rich.console import RenderableType

from chameleon_ray.answering import errors
from chameleon_ray.report.strict_json import strict
from chameleon_ray.report.terminal import Terminal

if TYPE_CHECKING:
    from chameleon_ray.report.progress import Progress

screen = Terminal(soft_wrap=True)
WIDE = 1000
"""Columns of a file or a pipe."""
_hushed = [False]


def hush(quiet: bool) -> None:
    """Keeps to results and errors from now on, or says all there is to say."""
    _hushed[0] = quiet


def tell(sentence: str) -> None:
    """Tells people something on standard error, unless they want no more than results."""
    if not _hushed[0]:
        errors.print(sentence, highlight=False, soft_wrap=True, markup=False)


def followed(progress: "Progress") -> AbstractContextManager[object]:
    """Shows a run's progress on standard error for the length of a block, if that is wanted."""
    from chameleon_ray.report.live_table import watching

    return nullcontext() if _hushed[0] else watching(progress, errors)


def plain(lines: Iterable[str]) -> None:
    """Prints lines as they are, but for control characters, which are spelt out."""
    for line in lines:
        screen.print(line, markup=False, highlight=False, soft_wrap=True)


def print_json(body: object) -> None:
    """Prints data as strict JSON."""
    plain([json.dumps(strict(body), indent=2, allow_nan=False)])


def table(body: RenderableType) -> None:
    """Prints a table, which only a terminal makes narrower than it is."""
    wide = Terminal(file=screen.file, width=WIDE, soft_wrap=True)
    (screen if width() else wide).print(body)


def message(body: RenderableType) -> None:
    """Prints sentences, which a terminal breaks between words; elsewhere lines stay whole."""
    screen.print(body, soft_wrap=width() is None)


def width() -> int | None:
    """Returns the width of the terminal; None where standard output is none."""
    return screen.width if screen.file.isatty() else None
