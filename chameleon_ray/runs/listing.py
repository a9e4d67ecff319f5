"""The list of runs: one row for each, newest first."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from chameleon_ray.printable import printable
from chameleon_ray.report.format import UNKNOWN, ago, digits, milliseconds, size, times
from chameleon_ray.report.layer_history import ratio
from chameleon_ray.runs.finding import found
from chameleon_ray.runs.kept_run import KeptRun, kept_run
from chameleon_ray.runs.target import short

GAP = "  "
WIDEST = 40
"""Most characters of a name in a terminal; longer ones are cut at their end."""


class Fact(NamedTuple):
    """A column of the list.

    Attributes:
        title: Title of the column.
        number: Whether its cells are numbers, which stand at the right.
        spare: Order in which columns are left out where a terminal is narrow, 1 first; 0 for never.
        cell: Returns the text for a run.
    """

    title: str
    number: bool
    spare: int
    cell: Callable[[KeptRun], str]


FACTS = (
    Fact("model", False, 0, lambda run: run.model or UNKNOWN),
    Fact("target", False, 3, lambda run: short(run.target) or UNKNOWN),
    Fact("device", False, 6, lambda run: run.device or UNKNOWN),
    Fact("threads", True, 2, lambda run: str(run.threads or UNKNOWN)),
    Fact("ms", True, 0, lambda run: digits(None if run.seconds is None else 1e3 * run.seconds)),
    Fact("compared, ms", False, 7, lambda run: compared(run)),
    Fact("vs untuned", True, 1, lambda run: times(_gain(run))),
    Fact("tried", True, 5, lambda run: str(run.measurements)),
    Fact("state", False, 0, lambda run: run.state.value),
    Fact("age", True, 0, lambda run: ago(run.age)),
    Fact("size", True, 4, lambda run: size(run.size)),
)
"""Columns after the run's name; ``vs untuned`` is how many times as fast as untuned TVM it is."""


def listed(folder: Path) -> list[KeptRun]:
    """Returns the runs and zoos below a folder, newest first.

    Raises:
        FolderError: The folder cannot be read, or there are none.
    """
    return sorted(map(kept_run, found(folder)), key=lambda run: (-run.began, str(run.path)))


def named(run: KeptRun, folder: Path) -> str:
    """Returns what a run is called in the list of a folder."""
    name = run.path.name if run.path == folder else str(run.path.relative_to(folder))
    return name or str(run.path.resolve())


def compared(run: KeptRun) -> str:
    """Returns what the model was compared with, and the milliseconds of each."""
    told = [f"{r.name} {milliseconds(r.seconds)}" for r in run.rivals if r.seconds is not None]
    return ", ".join(told) or UNKNOWN


def lines(runs: Sequence[KeptRun], folder: Path, width: int | None) -> list[str]:
    """Lays the list out; columns are left out until it fits into a terminal of this width.

    Args:
        runs: At least one run.
        folder: Folder that was looked through.
        width: Width of the terminal; None where there is none, and everything is shown.
    """
    table = {"run": (False, 0, [named(run, folder) for run in runs])}
    for fact in FACTS:
        table[fact.title] = (fact.number, fact.spare, [fact.cell(run) for run in runs])
    columns = {
        title: (number, spare, _cut([title, *map(printable, cells)], width))
        for title, (number, spare, cells) in table.items()
    }
    for title in sorted(columns, key=lambda title: columns[title][1]):
        taken = sum(max(map(cell_len, cells)) + len(GAP) for _, _, cells in columns.values())
        if width is not None and taken - len(GAP) > width and columns[title][1]:
            del columns[title]
    return _joined([(number, cells) for number, _, cells in columns.values()])


def _cut(cells: Iterable[str], width: int | None) -> list[str]:
    return [
        cell
        if width is None or cell_len(cell) <= WIDEST
        else set_cell_size(cell, WIDEST - 2) + ".."
        for cell in cells
    ]


def _joined(columns: Sequence[tuple[bool, list[str]]]) -> list[str]:
    parts = []
    for number, cells in columns:
        width = max(map(cell_len, cells))
        pad = [" " * (width - cell_len(cell)) for cell in cells]
        pairs = zip(cells, pad, strict=True)
        parts.append([space + cell if number else cell + space for cell, space in pairs])
    return [GAP.join(row).rstrip() for row in zip(*parts, strict=True)]


def _gain(run: KeptRun) -> float | None:
    return None if run.seconds is None or run.untuned is None else ratio(run.untuned, run.seconds)
