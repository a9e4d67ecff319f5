"""The code blocks of the documents, and what becomes of each: run, read, or left out.

``bash`` and ``python`` blocks are run, page by page, unless a comment before one says why not::

    <!-- not run: needs a GPU -->

A ``python`` block with a title (``title="net.py"``) is written to that file instead. ``yaml``,
``toml`` and ``json`` blocks are read, and ``text`` is output.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
RUN, READ, SHOWN = ("bash", "python"), ("yaml", "toml", "json"), ("text",)
REASON = re.compile(r"<!-- not run: (.+?) -->", re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        line: Number of its first line of code in the document.
        language: First word after the fence.
        title: Title after the fence; empty where there is none.
        text: Code.
        reason: Why it is not run; empty where it is.
    """

    line: int
    language: str
    title: str
    text: str
    reason: str

    @property
    def runs(self) -> bool:
        """Whether the tests run it."""
        return self.language in RUN and not self.reason


def blocks(text: str) -> list[Block]:
    """Returns the fenced blocks of a Markdown document, in order."""
    found, reason = [], ""
    for token in MarkdownIt().parse(text):
        if token.type == "fence":
            assert token.map is not None
            title = TITLE.search(token.info)
            language = token.info.partition(" ")[0]
            named = title[1] if title else ""
            found.append(Block(token.map[0] + 2, language, named, token.content, reason))
        if token.type == "html_block" and (match := REASON.fullmatch(token.content.strip())):
            reason = match[1]
        elif not token.type.endswith("_open") and token.type != "html_block":
            reason = ""
    return found
