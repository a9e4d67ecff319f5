"""The pages of ``chameleon ui`` in a real browser: they work, follow, and ask nobody else."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chameleon_ray.ui.gallery import Gallery
from chameleon_ray.ui.server import LocalServer
from chameleon_ray.ui.site import Site
from tests.pure.fake_result import fake_result
from tests.pure.kept_runs import kept, under_way
from tests.pure.test_runs import NASTY

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
SECONDS = 20_000
"""Milliseconds within which a page must have become what is expected."""


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def page(browser, runs: Path) -> Iterator:
    """The list of two runs; the test fails where the browser complains, or asks anyone else."""
    kept(runs / "one", NASTY)
    kept(runs / "two", seed=1)
    complaints: list[str] = []
    with LocalServer(0, Site(Gallery(runs))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        opened = browser.new_page(viewport={"width": 1200, "height": 800})
        opened.set_default_timeout(SECONDS)
        opened.on("console", lambda said: complaints.append(said.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("dialog", lambda dialog: complaints.append(dialog.message))
        opened.on("request", lambda asked: foreign(asked.url, server, complaints))
        opened.goto(server.address)
        yield opened
        opened.close()
        server.shutdown()
        thread.join()
    assert complaints == []


def foreign(url: str, server: LocalServer, complaints: list[str]) -> None:
    if not url.startswith((server.address, "data:")):
        complaints.append(f"asked for {url}")


def test_a_run_and_its_report_are_opened(page) -> None:
    assert page.locator("tbody tr").count() == 2
    page.get_by_role("link", name="one").click()
    page.wait_for_selector("figure svg")
    assert r"\x1b[2J<b>net</b>" in page.locator("header").inner_text()
    assert page.locator("table").last.locator("tr").count() > 1
    page.get_by_role("link", name="report.html").click()
    assert page.get_by_role("heading", name="Report").is_visible()
    page.go_back()
    page.get_by_role("link", name="All runs").click()
    assert page.locator("tbody tr").count() == 2


def test_runs_are_chosen_and_compared(page, runs: Path) -> None:
    page.get_by_label("Compare one").check()
    kept(runs / "three", seed=2)
    page.wait_for_selector("text=three")
    assert page.get_by_label("Compare one").is_checked()
    page.get_by_label("Compare two").check()
    page.get_by_role("button", name="Compare those chosen").click()
    page.wait_for_selector("figure svg")
    assert page.locator(".legend span").all_inner_texts() == ["one", "two"]


def test_a_live_run_is_followed_to_its_end(page, runs: Path) -> None:
    with under_way(runs / "live") as (progress, log):
        page.goto(page.url + "run/live/")
        page.wait_for_selector("text=0 of 1000 measured")
        for one in fake_result(runs).records:
            progress.measured(one)
            log.measured(one, 0.1)
        page.wait_for_selector("text=failed, ")
        page.wait_for_selector("figure svg")
        other = page.get_by_label("over measurements")
        other.check()
        progress.note("News of which the page tells.")
        page.wait_for_selector("text=News of which the page tells.")
        page.wait_for_selector("figure svg")
        assert other.is_checked(), "the reader's choice outlasts the news"
        assert other.evaluate("one => one === document.activeElement")
        log.ended("stopped", "Stopped.")
    page.wait_for_selector(".state.interrupted")
    page.wait_for_selector("figure svg")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_pages_are_as_wide_as_the_window(page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 700})
    home = page.url
    for address in (home, f"{home}run/one/", f"{home}compare?run=one&run=two"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
