"""A browser for all tests of this folder, and the page of a run of 2,700 measurements."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chameleon_ray.report.html import render
from tests.browser import chromium
from tests.browser.searched_run import searched_run

MOST_SECONDS, MOST_BYTES = 10.0, 1_000_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs the browser, with the reason, where there is none."""
    if reason := chromium.missing():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def browser(report: Path) -> Iterator[Any]:
    """A browser for one file of tests: as long as there is one, this thread has a running loop."""
    with chromium.started() as found:
        yield found


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of many measurements, which must be made soon and be small."""
    result = searched_run()
    assert len(result.records) >= 2000
    began = time.process_time()
    page = render(result)
    assert time.process_time() - began <= MOST_SECONDS
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(page, encoding="utf-8")
    assert file.stat().st_size <= MOST_BYTES
    return file
