"""Tables of the reports as lists of columns, rendered as HTML or on a terminal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Generic, Literal, TypeVar

from rich.table import Table
from rich.text import Text

NARROW = 4
"""Most columns of a table that has its columns on a phone, too; of others each row is a list."""
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


def html_table(columns: Sequence[Column[T]], rows: Iterable[T], caption: str = "") -> str:
    """Renders the table for a page; its cells are HTML already, as are its titles, which have
    no tags; its caption is text.

    The first cell of a row is its heading. Who has no mouse can scroll a table with a caption.
    """
    style = ' class="many"' if len(columns) > NARROW else ""
    heads = "".join(
        f'<th scope="col" class="{CLASSES[one.kind]}">{one.title}</th>' for one in columns
    )
    body = "".join(f"<tr>{_cells(columns, row)}</tr>" for row in rows)
    name = escape(caption)
    region = f' role="region" tabindex="0" aria-label="{name}"' if caption else ""
    told = f"<caption>{name}</caption>" if caption else ""
    return (
        f'<div class="scroll"{region}><table{style}>{told}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(columns: Sequence[Column[T]], row: T) -> str:
    first, *rest = columns
    named = len(columns) > NARROW  # where a row is a list, the style sheet puts the titles in it
    cells = "".join(_cell(one, one.cell(row), named) for one in rest)
    return f'<th scope="row" class="{CLASSES[first.kind]}">{first.cell(row)}</th>{cells}'


def _cell(column: Column[T], text: str, named: bool) -> str:
    title = f' data-title="{column.title}"' if named else ""
    return f'<td class="{CLASSES[column.kind]}"{title}>{text}</td>'


def text_table(columns: Sequence[Column[T]], rows: Iterable[T]) -> Table:
    """Renders the table for a terminal."""
    grid = Table(box=None, pad_edge=False)
    for one in columns:
        grid.add_column(one.title, justify="left" if one.kind == "text" else "right")
    for row in rows:
        grid.add_row(*(Text(one.cell(row)) for one in columns))
    return grid
