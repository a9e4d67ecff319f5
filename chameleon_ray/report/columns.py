"""Tables of the reports as lists of columns, rendered as HTML or on a terminal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from rich.table import Table
from rich.text import Text

T = TypeVar("T")
Kind = Literal["text", "number", "share"]
CLASSES: dict[Kind, str] = {"text": "", "number": "num", "share": "share"}
"""Class of each kind of column in the style sheet."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table.

    Attributes:
        title: Title of the column.
        kind: Kind of its cells: words, numbers (at the right), or shares of one with their bars.
        cell: Returns the text for a row; HTML where the table is one of a page.
    """

    title: str
    kind: Kind
    cell: Callable[[T], str]


def html_table(columns: Sequence[Column[T]], rows: Iterable[T]) -> str:
    """Renders the table for a page; its titles and cells are HTML already."""
    heads = "".join(f'<th class="{CLASSES[one.kind]}">{one.title}</th>' for one in columns)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{CLASSES[one.kind]}">{one.cell(row)}</td>' for one in columns)
        + "</tr>"
        for row in rows
    )
    head = f"<thead><tr>{heads}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def text_table(columns: Sequence[Column[T]], rows: Iterable[T]) -> Table:
    """Renders the table for a terminal."""
    grid = Table(box=None, pad_edge=False)
    for one in columns:
        grid.add_column(one.title, justify="left" if one.kind == "text" else "right")
    for row in rows:
        grid.add_row(*(Text(one.cell(row)) for one in columns))
    return grid
