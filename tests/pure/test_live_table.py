"""The live table and the last words on terminals of several sizes, and where there is none."""

import io
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from chameleon_ray.record import DEFAULT
from chameleon_ray.report.console import final_message
from chameleon_ray.report.html import render
from chameleon_ray.report.live_table import LiveTable, lines, watching
from chameleon_ray.report.log import LogLines
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.result import Launching, Verified
from chameleon_ray.reporting import Reporting
from tests.pure.fake_result import fake_result, record, task


def busy(layers: int) -> Progress:
    """Layer n takes n + 1 ms by default and half of it now; layer 3 is in flight."""
    progress = Progress()
    tasks = [replace(task(f"fused_conv2d_{n}"), nodes=(f"block_{n}",)) for n in range(layers)]
    progress.began(tasks, 600.0, 1000)
    progress.phase("searching")
    for n, of in enumerate(tasks):
        progress.measured(record(of, n + 1.0, DEFAULT), 0.01)
        progress.measured(record(of, (n + 1.0) / 2))
    progress.proposed(tasks[min(3, layers - 1)].digest, 8)
    return progress


class Screen(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(width: int = 80, height: int = 24) -> Console:
    return Console(file=Screen(), force_terminal=True, width=width, height=height)


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("height", [4, 12, 24, 60])
@pytest.mark.parametrize("layers", [0, 1, 18, 200])
def test_it_fits(width, height, layers):
    progress = busy(layers) if layers else Progress()
    progress.note("\u6f22\u5b57 " * 100)
    drawn = lines(progress, width, height)
    assert 1 <= len(drawn) < height
    assert max(cell_len(line.text) for line in drawn) <= width


def test_the_rows_that_matter_are_shown():
    text = "\n".join(line.text for line in lines(busy(40), 80, 15))
    shown = [line for line in text.splitlines() if line.startswith("block")]
    numbers = [line.split()[0].rpartition("_")[2] for line in shown]
    assert numbers[:4] == ["3", "39", "38", "37"], "3 is in flight, though it takes little time"
    assert f"... and {40 - len(shown)} more" in text


def test_narrow_and_wide_show_the_known_answers():
    narrow = next(line.text for line in lines(busy(1), 80, 24) if line.text.startswith("block"))
    assert narrow.split()[1:] == ["2", "0", "0.500", "2.00x", "100.0%", "searching"]
    wide = next(line.text for line in lines(busy(1), 200, 24) if line.text.startswith("block"))
    assert " ".join(wide.split()[1:]) == "1 2 0 1.00 0.500 2.00x 400 100.0% searching"


def test_a_terminal_gets_the_table_and_anything_else_the_log():
    progress = busy(2)
    assert isinstance(watching(progress, terminal()), LiveTable)
    file = io.StringIO()
    plain = Console(file=file, force_terminal=False, width=80)
    with watching(progress, plain) as view:
        assert isinstance(view, LogLines)
        progress.note("now")
    assert file.getvalue().isascii()
    assert "\x1b" not in file.getvalue()
    assert "now" in file.getvalue()


def test_a_file_gets_the_log_even_if_colours_are_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(watching(busy(2), Console(file=io.StringIO(), width=80)), LogLines)


def test_the_last_table_stands_and_stdout_is_left_alone():
    console, progress, stdout = terminal(), busy(2), sys.stdout
    with LiveTable(progress, console):
        assert sys.stdout is stdout
        progress.note("the last word")
    assert "the last word" in console.file.getvalue()


def test_drawing_yields_where_it_is_dear():
    console, progress = terminal(200, 60), busy(100)
    table = LiveTable(progress, console, Reporting(refresh_seconds=0.001, core_share=0.01))
    with table:
        began = time.process_time()
        time.sleep(1.0)
        spent = time.process_time() - began
    assert spent < 0.1, "at most 1 % of the second, and room for a slow machine"


def test_a_lost_terminal_does_not_end_the_run():
    class Gone(io.StringIO):
        lost = False

        def write(self, text: str) -> int:
            if self.lost:
                raise OSError("gone")
            return super().write(text)

    file = Gone()
    progress = busy(2)
    console = Console(file=file, force_terminal=True, width=80, height=24)
    with LiveTable(progress, console, Reporting(refresh_seconds=0.01)):
        file.lost = True
        progress.note("unheard")
        time.sleep(0.05)
    assert progress.measurements == 4


@pytest.mark.parametrize("width", [80, 200])
def test_the_last_words(width):
    result = fake_result(Path("runs/one"))
    console = Console(file=io.StringIO(), width=width)
    console.print(final_message(result))
    text = console.file.getvalue()
    tuned, untuned = (f"{1e3 * one.seconds:.1f}" for one in (result.tuned, result.untuned))
    assert f"resnet-18: {tuned} ms; untuned TVM {untuned}" in text
    assert "Verified: same outputs" in text
    assert "runs/one/model.so" in text
    assert "load_module('runs/one/model.so')" in text
    assert max(map(len, text.splitlines())) <= width


def test_the_last_words_say_how_kernels_are_launched():
    result = replace(fake_result(Path("run")), launching=Launching(graphs=True, ratio=1.25))
    console = Console(file=io.StringIO(), width=200)
    console.print(final_message(result))
    assert (
        "as CUDA graphs; one by one the tuned model takes 1.25 times as long."
        in console.file.getvalue()
    )
    assert "as CUDA graphs; one by one" in render(result)


def test_the_last_words_of_failures():
    result = fake_result(Path("run"))
    console = Console(file=io.StringIO(), width=200)
    console.print(final_message(replace(result, verified=Verified(False, 2.0, 1.0, "torch"))))
    assert "NOT verified" in console.file.getvalue()
    console = Console(file=io.StringIO(), width=200)
    console.print(
        final_message(replace(result, tuned=None, verified=None, records=(), outcomes=()))
    )
    text = console.file.getvalue()
    assert "was not timed" in text
    assert "0 kept at the default, 18 never timed" in text
    assert "model.so" not in text
