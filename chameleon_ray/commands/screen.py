"""Where commands print: results on standard output, all else on standard error."""

import json
from collections.abc import Iterable
from functools import partial

from rich.console import RenderableType

from chameleon_ray.answering import errors
from chameleon_ray.report.terminal import Terminal

screen = Terminal(soft_wrap=True)
WIDE = 1000
"""Columns of a file or a pipe."""
tell = partial(errors.print, highlight=False, soft_wrap=True, markup=False)


def plain(lines: Iterable[str]) -> None:
    """Prints lines as they are, but for control characters, which are spelt out."""
    for line in lines:
        screen.print(line, markup=False, highlight=False, soft_wrap=True)


def print_json(body: object) -> None:
    """Prints data as strict JSON."""
    plain([json.dumps(body, indent=2, allow_nan=False)])


def table(body: RenderableType) -> None:
    """Prints a table, which only a terminal makes narrower than it is."""
    wide = Terminal(file=screen.file, width=WIDE, soft_wrap=True)
    (screen if width() else wide).print(body)


def width() -> int | None:
    """Returns the width of the terminal; None where standard output is none."""
    return screen.width if screen.file.isatty() else None
