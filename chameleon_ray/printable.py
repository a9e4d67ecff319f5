"""Texts by strangers, made fit to be shown: control characters are spelt out."""

import re

CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Characters that a terminal obeys, but for tabs and new lines, those that turn text around, those
that nobody sees, and the halves that stand for bytes of a file's name that are no text."""


def printable(text: str) -> str:
    """Returns a text with its control characters spelt out, as ``\\\\x1b``."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def on_one_line(text: str) -> str:
    """Returns a printable text in which every run of white space is one space."""
    return printable(" ".join(text.split()))
