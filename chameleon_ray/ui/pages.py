"""The pages: the list of runs, one run, and several compared. Every text of a run is escaped."""

import os
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.figure import Drawings
from chameleon_ray.report.format import size
from chameleon_ray.report.live_table import lines
from chameleon_ray.report.model_figure import model_figure
from chameleon_ray.report.page import embedded, section
from chameleon_ray.runs import side_by_side
from chameleon_ray.runs.comparing import Comparison
from chameleon_ray.runs.courses import course_of, course_so_far, end_of, names_of
from chameleon_ray.runs.kept_run import KeptRun, State
from chameleon_ray.runs.layers import LAYERS
from chameleon_ray.runs.listing import FACTS
from chameleon_ray.runs.showing import Shown
from chameleon_ray.runs.side_by_side import escaped, safe

STYLES = ("page.css", "ui.css")
DRAWING = ("d3.min.js", "plot.umd.min.js", "figures.js")
"""Scripts of a page with figures, in order; the last one draws."""
REPORT = "report.html"
REFRESH = 2
"""Least seconds between two looks of a page at what is going on; slow answers come less often."""


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
    none = '<p class="soft">There is no run yet.</p>'
    table = html_table(shown, runs.items(), "Runs, the latest first") if runs else none
    faults = "".join(f"<p>{safe(name)}: {safe(r.fault)}</p>" for name, r in runs.items() if r.fault)
    button = "<p><button>Compare those chosen</button></p>" if len(runs) > 1 else ""
    body = (
        f"<header><h1>Runs in {safe(folder)}</h1></header>"
        f'<form action="compare">{table}{button}</form>{faults}'
    )
    return page(f"Runs in {folder}", body, "", REFRESH)


def run_page(name: str, found: Shown, models: Sequence[str]) -> str:
    """Returns the page of one run."""
    run, drawings = found.run, Drawings()
    listed = "".join(
        f'<li><a href="models/{address(one)}/report.html">{safe(one)}</a></li>' for one in models
    )
    left = "".join(f"<p>{safe(one)}</p>" for one in found.left)
    facts = "".join(f"<p>{safe(fact)}</p>" for fact in found.facts)
    notes = found.progress.notes if found.progress else []
    parts = [
        f'<header><h1>{safe(name)}</h1><p class="hero said">{safe(found.headline)}</p>'
        f"<p>{_state(run)}</p>{facts}{left}</header>",
        section("now", "Now", _phase(found)) if run.state is State.LIVE else "",
        _course(found, drawings),
        _section(
            "Layers",
            html_table(escaped(LAYERS), found.layers, "Layers by time") if found.layers else "",
        ),
        _section("Models", f"<ul>{listed}</ul>" if listed else ""),
        _section("Notes", "".join(f"<p>{safe(note)}</p>" for note in notes)),
        _section("Files", _files(found)),
    ]
    crumbs = '<p class="crumbs"><a href="../../">All runs</a></p>'
    again = REFRESH if run.state is State.LIVE else 0
    return page(name, crumbs + "".join(parts), "../../", again, drawings)


def comparison_page(found: Comparison) -> str:
    """Returns the page of several runs side by side."""
    drawings = Drawings()
    crumbs = '<p class="crumbs"><a href="./">All runs</a></p>'
    head = f"{crumbs}<header><h1>Runs compared</h1></header>"
    return page("Runs compared", head + side_by_side.body(found, drawings), "", 0, drawings)


def page(title: str, body: str, root: str, refresh: int, drawings: Drawings | None = None) -> str:
    """Returns a whole page.

    Args:
        title: Its title, as text.
        body: HTML of what is in it.
        root: Way from the page to the list of runs.
        refresh: Seconds after which it looks for news; 0 for never.
        drawings: Figures in it; None where there are none.
    """
    again = f' data-refresh="{refresh}"' if refresh else ""
    styles = "".join(f'<link rel="stylesheet" href="{root}{name}">' for name in STYLES)
    scripts = "".join(f'<script src="{root}{name}"></script>' for name in DRAWING[:-1])
    scripts += f'<script src="{root}{DRAWING[-1]}" data-draws></script>'
    data = f'<script type="application/json" id="data">{{}}</script>{scripts}'
    drawn = data.format(embedded(drawings.body)) if drawings else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title>{styles}</head><body>"
        '<p id="lost" role="status" hidden>chameleon ui does not answer; is it still running?</p>'
        f'<main{again}>{body}</main>{drawn}<script src="{root}ui.js"></script></body></html>\n'
    )


def _course(found: Shown, drawings: Drawings) -> str:
    """Returns the figure of the whole model, where anything is known of that."""
    done = found.progress is None
    course = course_of(found.run) if done else course_so_far(found)
    if course is None:
        return ""
    end = end_of(found.run) if done else None
    return drawings.place(model_figure(course, end, names_of(found)))


def _section(title: str, body: str) -> str:
    return section(title.lower(), title, body) if body else ""


def _files(found: Shown) -> str:
    """Returns the files of a run, of which the report can be opened, and the next commands."""
    files = "".join(
        f"<li>{_file(path.name)}: {safe(told)}, {size(count)}</li>"
        for path, told, count in found.files
    )
    lines = "".join(
        f"<p>{safe(what)}:</p><pre>{safe(line)}</pre>" for what, line in found.commands.items()
    )
    return (f"<ul>{files}</ul>" if files else "") + lines


def _cell(cell: Callable[[KeptRun], str]) -> Callable[[tuple[str, KeptRun]], str]:
    return lambda row: safe(cell(row[1]))


def _state(run: KeptRun) -> str:
    return f'<span class="state {run.state.value}">{run.state.value}</span>'


def _box(name: str, run: KeptRun) -> str:
    if run.holds != "run" or run.fault:
        return ""
    label = f"Compare {safe(name)}"
    return f'<input type="checkbox" name="run" value="{safe(name)}" aria-label="{label}">'


def _link(name: str, run: KeptRun) -> str:
    return f'<a href="run/{address(name)}/">{safe(name)}</a>'


def _file(name: str) -> str:
    return f'<a href="{name}">{name}</a>' if name == REPORT else name


def _phase(found: Shown) -> str:
    if found.progress is None or not found.progress.phases:
        return "<p>It has just begun.</p>"
    head = [line.text for line in lines(found.progress, 160, 4)[:1]]
    return "".join(f"<p>{safe(line)}</p>" for line in head)
