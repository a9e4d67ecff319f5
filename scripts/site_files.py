"""Hook of MkDocs: files of the repository outside ``docs/`` in the site, and links to them.

README, CONTRIBUTING and CHANGELOG are pages; any other file that a page links to is copied. So
links are written as they work in the repository, relative to the file that has them.
"""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "extending/contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""The page in the site that a document outside ``docs/`` becomes."""
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
"""A Markdown link or picture: its target, and an anchor."""


def on_files(files: Files, config: Any) -> Files:
    """Adds the documents outside ``docs/``, and all files that are linked to."""
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text()))
    pages = [file for file in files if file.is_documentation_page()]
    for path in sorted({path for page in pages for path in _linked(page)}):
        uri = site_path(path)
        if uri and not files.get_file_from_path(uri):
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links that hold in the repository into those that hold in the site."""
    home, uri = _repository_path(page.file.src_uri), page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        there = site_path(joined(home, match[1]))
        if "://" in match[1] or match[1].startswith("mailto:") or there is None:
            return match[0]
        return f"]({os.path.relpath(there, os.path.dirname(uri) or '.')}{match[2] or ''})"

    return LINK.sub(moved, markdown)


def site_path(path: str) -> str | None:
    """Returns where a file of the repository is in the site's sources; None where it is no file."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path}" if (ROOT / path).is_file() else None


def joined(home: str, target: str) -> str:
    """Returns the path from the repository's root of a link's target in the document ``home``."""
    return os.path.normpath(os.path.join(os.path.dirname(home), target))


def _repository_path(uri: str) -> str:
    return next((path for path, page in PAGES.items() if page == uri), f"docs/{uri}")


def _linked(page: File) -> list[str]:
    home = _repository_path(page.src_uri)
    targets = [match[1] for match in LINK.finditer(page.content_string)]
    return [joined(home, target) for target in targets if "://" not in target]
