"""The pages: the list of runs, one run, and several compared. Every text of a run is escaped."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from urllib.parse import quote

from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.css import CSS
from chameleon_ray.report.difference import columns
from chameleon_ray.report.format import size
from chameleon_ray.report.terminal import printable
from chameleon_ray.runs.comparing import RUNS, Comparison
from chameleon_ray.runs.kept_run import KeptRun, State
from chameleon_ray.runs.layers import LAYERS
from chameleon_ray.runs.listing import FACTS
from chameleon_ray.runs.showing import Shown

REFRESH = 2
"""Seconds between two looks of a page at what is going on."""
STATES = "<span class='state {0}'>{0}</span>"


def safe(text: str) -> str:
    """Returns a text as HTML that shows it, control characters and all."""
    return escape(printable(text))


def address(name: str) -> str:
    """Returns the name of a run as one step of an address."""
    return quote(os.fsencode(name), safe="")


def list_page(runs: Mapping[str, KeptRun], folder: str) -> str:
    """Returns the page of all runs, in which some can be chosen for a comparison."""
    shown: tuple[Column[tuple[str, KeptRun]], ...] = (
        Column("", "text", lambda row: _box(*row)),
        Column("run", "text", lambda row: _link(*row)),
        *(
            Column(
                safe(fact.title),
                "number" if fact.number else "text",
                _cell(fact.cell) if fact.title != "state" else lambda row: _state(row[1]),
            )
            for fact in FACTS
        ),
    )
    table = html_table(shown, runs.items()) if runs else '<p class="soft">There is no run yet.</p>'
    faults = "".join(f"<p>{safe(name)}: {safe(r.fault)}</p>" for name, r in runs.items() if r.fault)
    button = "<p><button>Compare those chosen</button></p>" if len(runs) > 1 else ""
    body = (
        f"<header><h1>Runs in {safe(folder)}</h1></header>"
        f'<form action="compare">{table}{button}</form>{faults}'
    )
    return page(f"Runs in {folder}", body, "", REFRESH)


def run_page(name: str, found: Shown, models: Sequence[str], figures: str = "") -> str:
    """Returns the page of one run."""
    run = found.run
    files = "".join(
        f"<li>{_file(name, path.name)}: {safe(told)}, {size(count)}</li>"
        for path, told, count in found.files
    )
    listed = "".join(
        f'<li><a href="models/{address(one)}/report.html">{safe(one)}</a></li>' for one in models
    )
    left = "".join(f"<p>{safe(one)}</p>" for one in found.left)
    lines = "".join(
        f"<p>{safe(what)}:</p><pre>{safe(line)}</pre>" for what, line in found.commands.items()
    )
    notes = found.progress.notes if found.progress else []
    parts = [
        f"<header><h1>{safe(name)}</h1><p class='hero said'>{safe(found.headline)}</p>"
        f"<p>{_state(run)}</p>{''.join(f'<p>{safe(fact)}</p>' for fact in found.facts)}"
        f"{left}</header>",
        section("Now", _phase(found)) if run.state is State.LIVE else "",
        figures,
        section("Layers", html_table(_escaped(LAYERS), found.layers)) if found.layers else "",
        section("Models", f"<ul>{listed}</ul>") if listed else "",
        section("Notes", "".join(f"<p>{safe(note)}</p>" for note in notes)) if notes else "",
        section("Files", f"<ul>{files}</ul>{lines}") if files or lines else "",
    ]
    crumbs = '<p class="crumbs"><a href="../../">All runs</a></p>'
    return page(name, crumbs + "".join(parts), "../../", REFRESH if run.state is State.LIVE else 0)


def comparison_page(found: Comparison, figures: str = "") -> str:
    """Returns the page of several runs side by side."""
    notes = "".join(f"<p>{safe(note)}</p>" for note in found.notes)
    body = (
        '<p class="crumbs"><a href="./">All runs</a></p><header><h1>Runs compared</h1></header>'
        + section("Runs", html_table(_escaped(RUNS), found.rows) + notes)
        + figures
        + section("Layers", html_table(_escaped(columns(found.names)), found.layers))
    )
    return page("Runs compared", body, "", 0)


def page(title: str, body: str, root: str, refresh: int) -> str:
    """Returns a whole page.

    Args:
        title: Its title, as text.
        body: HTML of what is in it.
        root: Way from the page to the list of runs.
        refresh: Seconds after which it looks for news; 0 for never.
    """
    again = f' data-refresh="{refresh}"' if refresh else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>{CSS}</style>"
        f'<link rel="stylesheet" href="{root}page.css"></head><body>'
        '<p id="lost" role="status" hidden>chameleon ui does not answer; is it still running?</p>'
        f'<main{again}>{body}</main><script src="{root}page.js"></script></body></html>\n'
    )


def section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _cell(cell: Callable[[KeptRun], str]) -> Callable[[tuple[str, KeptRun]], str]:
    return lambda row: safe(cell(row[1]))


def _escaped(table: Iterable[Column]) -> tuple[Column, ...]:
    """Returns the columns of a table for a terminal as those of a page."""

    def one(column: Column) -> Column:
        return Column(safe(column.title), column.kind, lambda row: safe(column.cell(row)))

    return tuple(map(one, table))


def _state(run: KeptRun) -> str:
    return STATES.format(run.state.value)


def _box(name: str, run: KeptRun) -> str:
    if run.holds != "run" or run.fault:
        return ""
    label = f"Compare {safe(name)}"
    return f'<input type="checkbox" name="run" value="{safe(name)}" aria-label="{label}">'


def _link(name: str, run: KeptRun) -> str:
    return f'<a href="run/{address(name)}/">{safe(name)}</a>'


def _file(name: str, file: str) -> str:
    """Returns the name of a file, which leads to it where a page can show it."""
    return f'<a href="{file}">{safe(file)}</a>' if file in ("report.html",) else safe(file)


def _phase(found: Shown) -> str:
    if found.progress is None or not found.progress.phases:
        return "<p>It has just begun.</p>"
    from chameleon_ray.report.live_table import lines

    head = [line.text for line in lines(found.progress, 160, 4)[:1]]
    return "".join(f"<p>{safe(line)}</p>" for line in head)
