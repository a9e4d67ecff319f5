"""A console for what strangers may have named: it shows control characters, and obeys none.

Names of models, inputs and files, and texts of errors, may come from files of others. Written to a
terminal as they are, they could move its cursor, rename its window or hide what was said.
"""

import errno
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from chameleon_ray.printable import printable

GONE = (errno.EPIPE, errno.EIO)
"""Errors of a stream whose reader has left."""


class Terminal(Console):
    """A console that shows control characters, and goes on where nobody reads it any more."""

    def __init__(self, **options: Any) -> None:
        """Takes options of ``Console``; nothing is coloured by what it looks like."""
        super().__init__(highlight=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints, as ``Console`` does; ends the command where the disk of its output is full."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            self.on_broken_pipe()
            if error.errno not in GONE and not self.stderr:
                why = os.strerror(error.errno or 0)
                print(f"Error: standard output cannot be written: {why}.", file=sys.stderr)
                raise SystemExit(1) from None

    def on_broken_pipe(self) -> None:
        """Drops what is printed from now on; the command's work and its status are not changed."""
        self.quiet = True
        with suppress(OSError):  # a stream that is no descriptor's, as in a notebook
            where, nowhere = self.file.fileno(), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, where)
            os.close(nowhere)
