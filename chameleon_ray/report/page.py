"""A page for people: one self-contained HTML file that needs no network and runs no other script.

The plotting library and the script that draws are in the page, with their licences. The page's
policy names them by their digests, so nothing else in it is executed, whatever a model is called.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

from chameleon_ray.printable import printable
from chameleon_ray.report.figure import Drawings

LIBRARIES = (("d3.min.js", "d3.LICENSE"), ("plot.umd.min.js", "plot.LICENSE"))
"""Files of the plotting library, in order, each with its licence."""


def page(title: str, body: str, drawings: Drawings, top: str = "") -> str:
    """Returns a whole page; its control characters are spelt out.

    Args:
        title: Title of the page, as text.
        body: HTML of what is in ``main``, with the places of the figures.
        drawings: The figures.
        top: HTML of what precedes it.
    """
    scripts = [*_libraries(), _read("figures.js")]
    sources = " ".join(f"'{_digest(script)}'" for script in scripts)
    policy = f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; base-uri 'none'"
    tags = "".join(f"<script>{script}</script>" for script in scripts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(printable(title))}</title><style>{_read('page.css')}</style></head>"
        f"<body>{printable(top)}<main>{printable(body)}</main>"
        '<noscript><p class="soft">The figures need JavaScript; all else is here.</p></noscript>'
        f'<script type="application/json" id="data">{embedded(drawings.body)}</script>{tags}'
        "</body></html>\n"
    )


@dataclass(frozen=True)
class Section:
    """A part of a page that can be linked to.

    Attributes:
        name: Its name in the page.
        title: Its heading, as HTML.
        body: What is in it, as HTML.
    """

    name: str
    title: str
    body: str

    @property
    def html(self) -> str:
        head = f'<h2 id="{self.name}">{self.title}</h2>'
        return f'<section aria-labelledby="{self.name}">{head}{self.body}</section>'


def section(name: str, title: str, body: str) -> str:
    """Returns a section of a page as HTML; see ``Section``."""
    return Section(name, title, body).html


def contents(sections: Sequence[Section]) -> str:
    """Returns links to the sections of a page."""
    links = "".join(f'<li><a href="#{one.name}">{one.title}</a></li>' for one in sections)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


@cache
def _libraries() -> tuple[str, ...]:
    return tuple(f"/*! {_read(licence)} */\n{_read(name)}" for name, licence in LIBRARIES)


@cache
def _read(name: str) -> str:
    return (files("chameleon_ray.report") / "page" / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """Returns the name that a policy has for a script."""
    found = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(found).decode()}"


def embedded(body: object) -> str:
    """Returns data as JSON that ends no script, whatever texts are in it."""
    text = json.dumps(body, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
