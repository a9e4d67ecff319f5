"""Tables of the report are lists of columns: another column is one entry."""

import io
import re
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from rich.console import Console

from chameleon_ray.record import DEFAULT
from chameleon_ray.report import layer_table
from chameleon_ray.report.columns import Column, html_table, text_table
from chameleon_ray.report.html import render
from tests.pure.fake_result import fake_result, record, task
from tests.pure.test_html import parsed

PAIR = (
    Column[tuple[str, float]]("name", "text", lambda pair: pair[0]),
    Column[tuple[str, float]]("ms", "number", lambda pair: f"{pair[1]:.1f}"),
)


def test_a_page_s_table() -> None:
    assert html_table(PAIR, [("<b>a</b>", 1.0)]) == (
        '<div class="scroll"><table><thead><tr><th scope="col" class="">name</th>'
        '<th scope="col" class="num">ms</th></tr></thead><tbody><tr>'
        '<th scope="row" class=""><b>a</b></th><td class="num">1.0</td></tr></tbody></table></div>'
    )


def test_a_terminal_s_table_takes_texts_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=40)
    console.print(text_table(PAIR, [("[bold]a", 1.0), ("b", 10.0)]))
    assert isinstance(console.file, io.StringIO)
    shown = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert shown == ["name       ms", "[bold]a   1.0", "b        10.0"]


def test_another_column_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Column[layer_table.Row]("failed", "number", lambda row: str(row.layer.failed))
    monkeypatch.setattr(layer_table, "COLUMNS", (*layer_table.COLUMNS, failed))
    result = fake_result(Path("run"))
    page = render(result)
    parsed(page)
    assert '<th scope="col" class="num">failed</th>' in page
    cells = re.findall(r'data-title="failed">(\d+)</td></tr>', page)
    assert sorted(map(int, cells)) == sorted(layer.failed for layer in result.layers)


def test_rows_go_by_their_time_and_bars_by_the_largest_share() -> None:
    tasks = (task("a"), task("b", weight=2), task("c"))
    records = tuple(record(of, n + 1.0, DEFAULT) for n, of in enumerate(tasks[:2]))
    result = replace(fake_result(Path("run")), tasks=tasks, records=records, outcomes=())
    page = layer_table.layer_table(result.layers)
    assert re.findall(r'"layer">(\w)<', page) == ["b", "a", "c"]
    assert page.count("width:100.0%") == 1, "that of b"
    assert "80.0%" in page
    assert "20.0%" in page
    assert result.layers[2].best == inf
    assert "never timed" in page
