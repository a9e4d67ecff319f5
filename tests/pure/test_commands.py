"""What every command has: options of all, statuses and examples in the help, names to choose."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chameleon_ray import __version__
from chameleon_ray.api import algorithms
from chameleon_ray.commands import choosing
from chameleon_ray.commands.app import app
from chameleon_ray.compiler.frontend.frameworks import FRAMEWORKS
from chameleon_ray.options.comparing import FRAMEWORKS as DEFAULTS


def commands(group: Any, *before: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands with the words that call them."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            yield (*before, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))
PROGRAM = "import sys; sys.argv[0] = 'chameleon'; from chameleon_ray.__main__ import main; main()"
"""The command under its own name."""
SIGNALLED = """
import os, sys, atexit
class Finder:
    def find_spec(name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder)
if not {module!r}:
    atexit.register(os.kill, os.getpid(), {number})
"""
"""Sends the process a signal when it imports a module; without one, when it ends."""
HANGING = """
import atexit, os, signal, sys, time
def hang():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
    print("hangs", flush=True)
    time.sleep(60)
class Finder:
    def find_spec(name, path, target=None):
        if name == "chameleon_ray.commands.app":
            atexit.register(hang)
sys.meta_path.insert(0, Finder)
"""
"""Has a command hang at its end, where a first signal comes."""
every_command = pytest.mark.parametrize("words", COMMANDS, ids=" ".join)


@every_command
def test_every_command_has_the_options_of_all(words: tuple[str, ...]) -> None:
    offered = {text for one in COMMANDS[words].params for text in one.opts}
    assert {"--json", "--quiet", "-q", "--debug", "--version"} <= offered


@every_command
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "-h"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert f"chameleon {' '.join(words)}" in done.output or words == ("diff",)
    assert "Examples:" in done.output
    assert "130 stopped by Ctrl-C" in " ".join(done.output.split())


@pytest.mark.parametrize("words", [(), ("tune",), ("store", "ls")])
def test_the_version_is_told_anywhere(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--version"])
    assert (done.exit_code, done.output.strip()) == (0, __version__)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("typer", (130, "", "Stopped.\n")),
        ("chameleon_ray.commands.zoo", (130, "", "Stopped.\n")),
        ("", (0, f"{__version__}\n", "")),
    ],
    ids=["before it begins", "while it is imported", "after its end"],
)
def test_a_signal_is_answered_at_any_time(
    number: signal.Signals, module: str, expected: tuple[int, str, str]
) -> None:
    signalled = SIGNALLED.format(module=module, number=int(number)) + PROGRAM
    words = [sys.executable, "-c", signalled, "--version"]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a shell's background jobs
    )
    assert (done.returncode, done.stdout, done.stderr) == expected


def test_a_second_signal_ends_a_command_that_hangs_at_its_end() -> None:
    program = f"{HANGING}\n{PROGRAM}"
    with subprocess.Popen(
        [sys.executable, "-c", program, "version"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    ) as command:
        assert command.stdout is not None
        try:
            assert "hangs\n" in iter(command.stdout.readline, "")
            command.send_signal(signal.SIGTERM)
            assert command.wait(20) == -signal.SIGTERM
        finally:
            command.kill()


def test_names_in_the_help_are_those_that_there_are() -> None:
    assert tuple(algorithms.EXPLORERS) == choosing.EXPLORERS
    assert tuple(algorithms.SAMPLERS) == choosing.SAMPLERS
    assert tuple(algorithms.COST_MODELS) == choosing.COST_MODELS
    assert algorithms.LAYOUTS == choosing.LAYOUTS
    assert algorithms.PRECISIONS == choosing.PRECISIONS
    assert algorithms.ENGINES == choosing.ENGINES
    assert set(FRAMEWORKS) == set(choosing.FRAMEWORKS)
    assert choosing.FRAMEWORKS[:2] == DEFAULTS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("chameleon tu", {"tune"}),
        ("chameleon tune --explorer ", {"ppo", "annealing", "random"}),
        ("chameleon tune --compare torch", {"torch.compile"}),
        ("chameleon tune resnet", {"resnet-18", "resnet-34"}),
        ("chameleon store ", {"ls", "show", "gc", "export", "import"}),
    ],
)
def test_the_shell_completes(line: str, expected: set[str]) -> None:
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    environment = {**os.environ, **asked, "_CHAMELEON_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert expected <= set(done.stdout.split())


def test_completion_is_installed_for_a_shell(tmp_path: Path) -> None:
    given = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    home = {**os.environ, **given}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--install-completion", "bash"],
        env=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "_CHAMELEON_COMPLETE=complete_bash" in "".join(
        path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_quiet_leaves_notes_out_and_json_is_one_document() -> None:
    told = CliRunner().invoke(app, ["pending", "--list"])
    assert "0 graphs wait" in told.stderr
    quiet = CliRunner().invoke(app, ["pending", "--list", "-q", "--json"])
    assert (quiet.exit_code, quiet.stderr, json.loads(quiet.stdout)) == (0, "", [])
