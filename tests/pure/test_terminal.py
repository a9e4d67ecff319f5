"""Terminals are told what strangers' names contain, and obey none of it."""

import io
import os
import subprocess
import sys

import pytest
from rich.text import Text

from chameleon_ray.printable import printable
from chameleon_ray.report.terminal import Terminal


def test_control_characters_are_spelt_out() -> None:
    nasty = "a\x1b]0;title\x07b\rc\x9b2Jd\u202ee"
    assert printable(nasty) == r"a\x1b]0;title\x07b\rc\x9b2Jd\u202ee"
    assert printable("Gr\xf6\xdfe\t1\n") == "Gr\xf6\xdfe\t1\n"


@pytest.mark.parametrize("shown", ["a\x1b[2Jb", Text("a\x1b[2Jb", "red")])
def test_a_terminal_keeps_its_own_colours_only(shown: str | Text) -> None:
    screen = Terminal(file=io.StringIO(), force_terminal=True, color_system="standard")
    screen.print(shown, markup=False, highlight=False)
    assert isinstance(screen.file, io.StringIO)
    said = screen.file.getvalue()
    assert r"a\x1b[2Jb" in said
    assert "\x1b[2J" not in said
    assert ("\x1b[31m" in said) == isinstance(shown, Text)


PROGRAM = """
import sys
from chameleon_ray.report.terminal import Terminal
out, err = Terminal(), Terminal(stderr=True)
for one in (out, err):
    for _ in range(2):
        one.print("x" * 100_000, soft_wrap=True)
sys.exit(3)
"""


def test_a_reader_that_leaves_changes_no_status() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=writing, stderr=writing)
    os.close(writing)
    assert done.returncode == 3


def test_a_full_disk_is_told_of() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.endswith("\n")
    assert "Error: standard output cannot be written: No space left on device." in done.stderr


def test_no_file_gets_the_number_of_a_closed_stream() -> None:
    program = "import os; from chameleon_ray.__main__ import occupy; occupy(); n = os.open('/', 0)"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; os._exit(n)"], preexec_fn=lambda: os.closerange(0, 3)
    )
    assert done.returncode >= 3
