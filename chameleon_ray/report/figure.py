"""Figures of a page, declared as data and options; ``page/figures.js`` draws them in the browser.

A figure has one or more views, a view has marks, and a mark is a function of Observable Plot with
columns of data. What people cannot see, they can read: every figure has a sentence, and a table of
its data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import isfinite
from typing import Any

from chameleon_ray.printable import printable

Columns = Mapping[str, Sequence[object]]
"""Data of a mark: equally long columns by their titles, which tips and tables show."""
DIGITS = 5
"""Significant digits of the numbers in a page."""


@dataclass(frozen=True)
class Mark:
    """One layer of a picture.

    Attributes:
        kind: Function of Plot, such as ``line``, ``dot`` or ``ruleY``.
        data: What it draws.
        options: Its options in Plot; a column's title stands for the column.
        pointer: ``x``, ``y`` or ``xy`` where only what is nearest to the pointer is drawn.
    """

    kind: str
    data: Columns
    options: Mapping[str, Any] = field(default_factory=dict)
    pointer: str = ""


@dataclass(frozen=True)
class View:
    """One picture of a figure.

    Attributes:
        label: What the reader chooses it by, where there are several.
        marks: What it shows, the lowest first.
        options: Scales and axes, as Plot takes them; ``height`` in pixels.
    """

    label: str
    marks: tuple[Mark, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A figure with a title and a sentence that says what can be seen in it.

    Attributes:
        name: Name in the page, once in it; letters, digits and dashes.
        title: Title of the figure.
        told: Sentence for everyone, also for those who cannot see the figure.
        views: The pictures that the reader can switch between, at least one.
        table: Data of the figure as a table; those of the first mark of the view where None.
        legend: Names of the colours in it, each with the colour.
        small: Whether it is one of many.
        group: Name of the figures that show the view of the same label; one choice stands for all.
    """

    name: str
    title: str
    told: str
    views: tuple[View, ...]
    table: Columns | None = None
    legend: tuple[tuple[str, str], ...] = ()
    small: bool = False
    group: str = ""

    def html(self) -> str:
        """Returns the place that the script draws the figure in."""
        style = ' class="small"' if self.small else ""
        title, told = escape(self.title), escape(self.told)
        return (
            f'<figure id="{self.name}"{style}><figcaption><b>{title}</b>'
            f"<span>{told}</span></figcaption>{legend(self.legend)}</figure>"
        )


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Renders the names of colours, each with its colour; nothing where there are none."""
    keys = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in entries
    )
    return f'<p class="legend">{keys}</p>' if keys else ""


class Drawings:
    """The figures of one page; data that several marks share are written once."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._data: list[Columns] = []
        self._figures: list[dict[str, Any]] = []

    def place(self, figure: Figure) -> str:
        """Takes a figure into the page; returns the HTML of its place."""
        views = [
            {
                "label": view.label,
                "options": view.options,
                "marks": [
                    {
                        "kind": mark.kind,
                        "data": self._number(mark.data),
                        "options": mark.options,
                        "pointer": mark.pointer,
                    }
                    for mark in view.marks
                ],
            }
            for view in figure.views
        ]
        table = None if figure.table is None else self._number(figure.table)
        body = {"name": figure.name, "title": figure.title, "told": figure.told}
        body |= {"group": figure.group}
        self._figures.append(body | {"views": views, "table": table})
        return figure.html()

    @property
    def body(self) -> dict[str, Any]:
        """All that the script needs, as JSON data without control characters."""
        return _plain({"data": self._data, "figures": self._figures})

    def _number(self, data: Columns) -> int:
        """Returns the number of a mark's data, which are kept for as long as the page is."""
        if id(data) not in self._numbers:
            self._numbers[id(data)] = len(self._data)
            self._data.append(data)
        return self._numbers[id(data)]


def _plain(value: Any) -> Any:
    """Returns a value as a page has it: numbers with few digits, None for those not finite."""
    if isinstance(value, Mapping):
        return {printable(str(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    if isinstance(value, bool | int) or value is None:
        return value
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if isfinite(number) else None
