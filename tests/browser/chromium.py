"""Chromium for the tests: where it is, what is missing, and pages that tell all they do."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PACKAGES = ("playwright", "axe_playwright_python")


def executable() -> str | None:
    """The browser that ``CHROMIUM`` names, or one on the path."""
    found = (shutil.which(name) for name in (os.environ.get("CHROMIUM"), *NAMES) if name)
    return next((path for path in found if path), None)


def missing() -> str:
    """Why no page can be opened, as a sentence; empty where one can."""
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        return (
            f"These tests need the Python packages {' and '.join(lacking)}: pip install '.[test]'."
        )
    if executable() is None:
        return "These tests need Chromium: install the package chromium, or set CHROMIUM."
    return ""


@dataclass
class Opened:
    """A page in the browser, and what it said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()


@contextmanager
def started() -> Iterator[Any]:
    """A browser without windows; as root it has no sandbox, which it could not make."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path, width: int = 1280, scheme: str = "light") -> Iterator[Opened]:
    """Opens a file in a window of so many pixels, light or dark, and waits for its figures."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.said.append(message.text))
    found.page.on("pageerror", lambda error: found.said.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(file.as_uri())
    # a script that polls in the page would be refused by its policy
    found.page.wait_for_selector("figure .canvas:not(:has(svg))", state="detached")
    try:
        yield found
    finally:
        context.close()
