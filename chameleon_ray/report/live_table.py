"""The live table: a run's progress on the terminal, a few times a second.

Lines are laid out here rather than by ``rich.table``, which takes almost twenty times as long. The
core that draws is one that compiles kernels.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from textwrap import wrap
from typing import NamedTuple

from rich.cells import set_cell_size
from rich.console import Console
from rich.live import Live
from rich.text import Text

from chameleon_ray.printable import on_one_line
from chameleon_ray.report.format import digits, milliseconds, percent, times
from chameleon_ray.report.log import LogLines, gain, pace
from chameleon_ray.report.phases import bar, passage
from chameleon_ray.report.progress import LiveLayer, Progress
from chameleon_ray.reporting import Reporting

NAME, GAP, NOTE_LINES = 16, 2, 3


class Line(NamedTuple):
    """One line of the table and its rich style."""

    text: str
    style: str = ""


class LiveColumn(NamedTuple):
    """A column of the live table.

    Attributes:
        title: Text above the column.
        width: Characters of a cell; negative for texts, which stand at the left.
        least: Width of the narrowest terminal that shows the column.
        cell: Returns the text for a layer and its share of the time.
    """

    title: str
    width: int
    least: int
    cell: Callable[[LiveLayer, float | None], str]


COLUMNS = (
    LiveColumn("computes", -38, 170, lambda layer, share: on_one_line(layer.task.what)),
    LiveColumn("times", 5, 100, lambda layer, share: f"{layer.task.weight:g}"),
    LiveColumn("tried", 6, 0, lambda layer, share: str(layer.history.measurements)),
    LiveColumn("failed", 6, 0, lambda layer, share: str(layer.history.failed)),
    LiveColumn("default ms", 10, 90, lambda layer, share: milliseconds(layer.history.default)),
    LiveColumn("best ms", 8, 0, lambda layer, share: milliseconds(layer.history.best)),
    LiveColumn("faster", 7, 0, lambda layer, share: times(layer.history.speedup)),
    LiveColumn("GFLOP/s", 7, 110, lambda layer, share: digits(layer.history.gflops)),
    LiveColumn("time", 6, 0, lambda layer, share: percent(share)),
    LiveColumn("state", -9, 0, lambda layer, share: layer.state.partition(":")[0]),
    LiveColumn("because", -22, 130, lambda layer, share: layer.reason),
)
"""Columns after the layer's name."""


class LiveTable:
    """Keeps the table at the foot of ``console`` while entered; the last table stays there."""

    def __init__(
        self, progress: Progress, console: Console, options: Reporting | None = None
    ) -> None:
        self._progress, self._console = progress, console
        self._options = options or Reporting()
        stdout_too = sys.stdout.isatty()  # a redirected stdout must not land on this console
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=stdout_too)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, name="live-table", daemon=True)
        self._drawn: list[Line] = []

    def __enter__(self) -> "LiveTable":
        self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()
        with suppress(OSError):  # the terminal may be gone; the run is not
            self._draw()
            self._live.stop()

    def _keep_drawing(self) -> None:
        pause = self._options.refresh_seconds
        while not self._left.wait(pause):
            began = time.thread_time()
            try:
                self._draw()
            except OSError:
                return
            spent = time.thread_time() - began
            pause = max(self._options.refresh_seconds, spent / self._options.core_share)

    def _draw(self) -> None:
        drawn = lines(self._progress, self._console.width, self._console.height)
        if drawn == self._drawn:
            return
        body = Text(no_wrap=True, overflow="crop", end="")
        body.append_tokens((line.text + "\n", line.style) for line in drawn)
        self._live.update(body, refresh=True)
        self._drawn = drawn


def watching(
    progress: Progress, console: Console, options: Reporting | None = None
) -> AbstractContextManager[object]:
    """Returns the live table where ``console`` is a terminal that can show one, else log lines.

    A file is none, even where ``FORCE_COLOR`` has rich take it for one.
    """
    if console.is_interactive and console.file.isatty():
        return LiveTable(progress, console, options)
    return LogLines(progress, console.file, options)


def lines(progress: Progress, width: int, height: int) -> list[Line]:
    """Lays out the whole table so that it fits into a terminal of this size."""
    head = _head(progress, width)
    foot = [
        Line(f"  {part}", "yellow")
        for note in progress.notes[-2:]
        for part in wrap(note, max(width - 2, 1))[:NOTE_LINES]
    ]
    if not progress.layers:
        return _fitted([*head, *foot], width, height)
    room = max(1, height - len(head) - len(foot) - 3)
    rows = progress.fastest
    shown = _shown(rows, room)
    if len(rows) > len(shown):
        foot.insert(0, Line(f"  ... and {len(rows) - len(shown)} more", "dim"))
    columns = [column for column in COLUMNS if column.least <= width]
    shares = progress.shares
    body = [
        _row(progress.names[row.task.layer], row, shares.get(row.task.digest), columns, width)
        for row in shown
    ]
    return _fitted([*head, _titles(columns, width), *body, *foot], width, height)


def _head(progress: Progress, width: int) -> list[Line]:
    head = [Line(bar(progress, width), "bold"), Line(passage(progress, width), "dim")]
    return [*head, Line(pace(progress)), Line(gain(progress))] if progress.layers else head


def _shown(rows: list[LiveLayer], room: int) -> list[LiveLayer]:
    """Returns at most ``room`` layers: those in flight first, then those that take most time.

    A time that is unknown counts as the most.
    """
    return sorted(rows, key=lambda row: (row.in_flight == 0, -row.history.weighted))[:room]


def _titles(columns: list[LiveColumn], width: int) -> Line:
    return Line(_laid_out("layer", [column.title for column in columns], columns, width), "dim")


def _row(
    name: str, layer: LiveLayer, share: float | None, columns: list[LiveColumn], width: int
) -> Line:
    cells = [column.cell(layer, share) for column in columns]
    style = "dim" if layer.reason else "bold" if layer.in_flight else ""
    return Line(_laid_out(name, cells, columns, width), style)


def _laid_out(name: str, cells: list[str], columns: list[LiveColumn], width: int) -> str:
    taken = sum(abs(column.width) + GAP for column in columns)
    parts = [_shortened(name, max(NAME, width - taken))]
    for cell, column in zip(cells, columns, strict=True):
        text = cell if column.width < 0 else cell.rjust(column.width)
        parts.append(set_cell_size(text, abs(column.width)))
    return (" " * GAP).join(parts)


def _shortened(name: str, width: int) -> str:
    """Cuts a layer's name in its middle, as layers differ at the end."""
    if len(name) > width:
        half = (width - 2) // 2
        name = f"{name[: width - 2 - half]}..{name[-half:]}"
    return set_cell_size(name, width)


def _fitted(table: list[Line], width: int, height: int) -> list[Line]:
    fitted = [Line(set_cell_size(line.text, width).rstrip(), line.style) for line in table]
    return fitted[: max(1, height - 1)]
