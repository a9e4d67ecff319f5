"""The report in a real browser: it asks no network, says nothing on the console, lacks nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chameleon_ray.report.html import render
from tests.browser.chromium import Opened, opened
from tests.browser.searched_run import searched_run
from tests.pure.test_recorded_spaces import NAMES

LOOKS = pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (360, "light"), (1280, "dark"), (360, "dark")]
)
SERIOUS = ("serious", "critical")
AXE = {"resultTypes": ["violations"]}


def quiet(found: Opened, file: Path) -> None:
    assert found.said == []
    assert set(found.requests) == {file.as_uri()}


@LOOKS
def test_every_figure_is_there_and_nothing_else_happens(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    with opened(browser, report, width, scheme) as found:
        quiet(found, report)
        names = {"course", "roofline", "map", "importance", "foretold"}
        assert all(found.count(f"figure#{name} svg") == 1 for name in names)
        assert found.count("figure.small svg") == len(NAMES), "a curve for each layer"
        assert found.count("figure#layer-time li") == len(NAMES)
        drawn = found.page.evaluate(
            "[...document.querySelectorAll('figure svg')].map((one) => "
            "[one.getBoundingClientRect().width, one.querySelectorAll('path,circle,rect').length])"
        )
        assert all(wide > 150 and marks > 0 for wide, marks in drawn)
        cut = "[...document.querySelectorAll('.bars .layer, .many .layer')].filter((one) => {"
        cut += "const box = one.getBoundingClientRect();"
        cut += (
            "return box.left < 0 || box.right > innerWidth || one.scrollWidth > one.clientWidth})"
        )
        assert found.page.evaluate(f"{cut}.length") == 0, "names can be read whole"
        beyond = found.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert beyond <= 0, "nobody scrolls sideways"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_no_serious_obstacle_for_anyone(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, report, width, scheme) as found:
        found.page.locator("figure#roofline summary").click()
        verdict = Axe().run(found.page, options=AXE).response
        assert verdict["testEngine"]["name"] == "axe-core"
        serious = [
            (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"])
            for one in verdict["violations"]
            if one["impact"] in SERIOUS
        ]
        assert serious == []


def test_the_reader_chooses_what_is_shown_with_the_keyboard(browser: Any, report: Path) -> None:
    with opened(browser, report) as found:
        page = found.page
        axis = page.locator("figure#course svg")
        assert "minutes" in str(axis.text_content())
        page.locator("figure#course input").first.focus()
        page.keyboard.press("ArrowRight")
        assert "measurements" in str(axis.text_content())
        chosen = page.locator("select")
        before = page.locator("figure#map svg").inner_html()
        bars = page.locator("figure#importance svg").inner_html()
        chosen.focus()
        page.keyboard.press("ArrowDown")
        assert page.locator("figure#map svg").inner_html() != before
        assert page.locator("figure#importance svg").inner_html() != bars
        summary = page.locator("figure#map summary")
        summary.focus()
        page.keyboard.press("Enter")
        table = page.locator("figure#map table")
        table.wait_for()
        assert table.locator("caption").inner_text() == "Where candidates lay"
        assert table.locator("tbody tr").count() == 225
        quiet(found, report)


def test_who_cannot_see_it_is_told(browser: Any, report: Path) -> None:
    with opened(browser, report) as found:
        page = found.page
        assert page.locator("h1").count() == 1
        assert page.get_by_role("navigation").count() == 1
        assert page.get_by_role("main").count() == 1
        assert page.get_by_role("heading", name="Is it near the machine's limit?").count() == 1
        figures = page.locator("figure").all()
        assert all(one.locator("figcaption").inner_text().strip() for one in figures)
        labels = page.locator("figure svg.plot").evaluate_all(
            "all => all.map((one) => [one.getAttribute('aria-label'), "
            "one.getAttribute('aria-description')])"
        )
        assert all(name and told for name, told in labels)


def test_it_is_printed_whole(browser: Any, report: Path) -> None:
    with opened(browser, report) as found:
        found.page.emulate_media(media="print")
        assert not found.page.locator("nav").is_visible()
        assert not found.page.locator("figure#course .choice").is_visible()
        assert found.page.pdf(format="A4").startswith(b"%PDF")
        quiet(found, report)


def test_a_name_that_is_a_script_is_text(browser: Any, tmp_path: Path) -> None:
    evil = "</script><script>console.log('ran')</script><img src=x onerror=console.log(1)>\u202e"
    result = searched_run()
    tasks = tuple(replace(task, nodes=(evil,), what=evil) for task in result.tasks[:2])
    file = tmp_path / "evil.html"
    file.write_text(render(replace(result, model=evil, device=evil, tasks=tasks)), encoding="utf-8")
    with opened(browser, file) as found:
        quiet(found, file)
        assert found.count("img") == 0
        assert evil[:20] in found.page.locator("h1").inner_text()
        assert "\\u202e" in found.page.locator("h1").inner_text()
