"""The stage of an attempt on the whole command: its folder, its processes, and what must be left.

An attempt is a function that does harm in a folder and runs the command there. What every attempt
has in common is checked here: the exit status, one sentence where it is an error, no process and no
file in the temporary directory left, records and every file of JSON whole.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chameleon_ray.database import Database, DatabaseError
from chameleon_ray.printable import CONTROL
from tests.hostile.leftovers import files_left
from tests.whole.command import SERIAL, Command
from tests.whole.onnx_net import dense_layers

PATIENCE, GONE = 240.0, 15.0
"""Most seconds for a command to end, and then for its processes."""
TRIALS = "4"
SENTENCE = re.compile(r"(Error: [^\n]+(\.|: [^\n.]+|: chameleon [^\n]+)\n?)+")
SWEEPS = (
    "from chameleon_ray.measure import rendezvous, scratch; scratch.sweep(); rendezvous.sweep()"
)
"""How the next command removes a killed one's entry, and directories of its processes."""
GOING_ON = re.compile(
    r"Stopped\. (Nothing was measured yet\.|\d+ measurements are kept in .*)", re.S
)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, negative after a signal, and what it said."""

    code: int
    out: str = ""
    err: str = ""


@dataclass
class Stage:
    """A folder that commands are run in.

    Attributes:
        folder: Working directory of the commands, with the model ``dense.onnx``.
        finished: Directory of a finished run of that model, which is to be copied.
        commands: Commands that were started.
    """

    folder: Path
    finished: Callable[[], Path]
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.temporary = self.folder / "t"
        self.temporary.mkdir()
        dense_layers(self.folder / "dense.onnx", 64, 192)

    def start(
        self, *arguments: str, environment: dict[str, str] | None = None, **options: object
    ) -> Command:
        """Starts a command."""
        variables = {"TMPDIR": str(self.temporary), "COLUMNS": "1000", **(environment or {})}
        command = Command(*arguments, environment=variables, **{"cwd": self.folder, **options})
        self.commands.append(command)
        return command

    def run(self, *arguments: str, **options: object) -> Ended:
        """Runs a command to its end."""
        return Ended(*self.start(*arguments, **options).wait(PATIENCE))  # type: ignore[arg-type]

    def tune(self, model: str = "dense.onnx", *options: str, **settings: object) -> Ended:
        """Tunes a model to the end, into ``run``."""
        return self.run(*self.words(model, *options), **settings)

    @staticmethod
    def words(model: str = "dense.onnx", *options: str, out: str = "run") -> Sequence[str]:
        """Returns the arguments of a short search without Ray, into a directory."""
        return ("tune", model, *SERIAL, "--trials", TRIALS, "--out", out, *options)

    def copy(self, name: str = "run") -> Path:
        """Copies the finished run into the folder."""
        path = self.folder / name
        shutil.copytree(self.finished(), path)
        return path

    def wrong(self, ended: Ended, attempt: "CommandAttempt") -> list[str]:
        """Returns what is not as it must be after an attempt."""
        found = [] if ended.code == attempt.status else [f"exit status {ended.code}"]
        said = ended.err.strip()
        if attempt.status == 1 and not SENTENCE.fullmatch(said):
            found.append(f"not one sentence: {said[:300]}")
        if attempt.status == 130 and not GOING_ON.fullmatch(said):
            found.append(f"no word on how to go on: {said[:300]}")
        if attempt.status == 0 and said:
            found.append(f"said {said[:300]}")
        found += [f"{words!r} is not said" for words in attempt.said if words not in said]
        if CONTROL.search(ended.out + ended.err):
            found.append("control characters on the terminal")
        found += [f"traceback: {said[-300:]}"] if "Traceback" in said else []
        for command in self.commands:
            found += [f"process left: {line[:80]}" for line in command.orphans(GONE).values()]
        found += [f"file left: {name}" for name in self._left(killed=attempt.status < 0)]
        return found + ([] if attempt.torn else unsound(self.folder))

    def _left(self, killed: bool) -> list[str]:
        """Returns what is left in the temporary directory; after a kill, once it was swept."""
        if killed:
            variables = {**os.environ, "TMPDIR": str(self.temporary)}
            subprocess.run([sys.executable, "-P", "-c", SWEEPS], env=variables, check=True)
        return files_left(self.temporary)


def unsound(folder: Path) -> list[str]:
    """Returns what is not whole in the run directories of a folder."""
    found = []
    for run in {path.parent for path in folder.rglob("run.json")}:
        try:
            records = Database(run / "records").read()
            if len({record.sequence for record in records}) != len(records):
                found.append(f"{run.name}: records with equal numbers")
        except DatabaseError as error:
            found.append(str(error))
        texts = [path.read_text() for path in run.glob("*.json")]
        if (run / "log.jsonl").is_file():
            texts += (run / "log.jsonl").read_text().splitlines()
        for text in texts:
            try:
                json.loads(text, parse_constant=refused)
            except ValueError as error:
                found.append(f"{run.name}: no strict JSON: {error}")
        found += [f"{path.name} left" for path in run.rglob(".*") if path.name != ".lock"]
    return found


def refused(word: str) -> None:
    """Refuses what Python reads as JSON, though it is none."""
    raise ValueError(f"{word} is no JSON")


@dataclass(frozen=True)
class CommandAttempt:
    """An attempt on the whole command.

    Attributes:
        kind: What is hostile.
        what: What it does, in words that follow ``kind``.
        act: Does it, and returns how the command ended.
        status: Exit status that is wanted.
        said: Words of the sentence.
        quick: Whether CI runs it, too.
        torn: Whether damaged files stay in the run directory, as the command leaves them alone.
        able: Returns why this machine cannot try it; empty where it can.
    """

    kind: str
    what: str
    act: Callable[[Stage], Ended]
    status: int = 0
    said: tuple[str, ...] = ()
    quick: bool = False
    torn: bool = False
    able: Callable[[], str] = lambda: ""


TABLE: list[CommandAttempt] = []


def attempt(
    kind: str, what: str, status: int = 0, *said: str, **options: object
) -> Callable[[Callable[[Stage], Ended]], Callable[[Stage], Ended]]:
    """Enters a function into the table."""

    def enter(act: Callable[[Stage], Ended]) -> Callable[[Stage], Ended]:
        TABLE.append(CommandAttempt(kind, what, act, status, said, **options))  # type: ignore[arg-type]
        return act

    return enter


def tried(one: CommandAttempt, folder: Path, finished: Callable[[], Path]) -> tuple[Ended, str]:
    """Tries one attempt in an empty folder; returns how it ended and what is wrong, if anything."""
    stage = Stage(folder, finished)
    try:
        ended = one.act(stage)
        return ended, "; ".join(stage.wrong(ended, one))
    finally:
        for command in stage.commands:
            if command.process.poll() is None:
                command.process.kill()


def table() -> list[CommandAttempt]:
    """Returns all attempts on the whole command."""
    from tests.hostile import directories, files, machines, processes, terminals

    parts = (files, directories, processes, machines, terminals)
    assert all(part.__name__ in sys.modules for part in parts)
    return TABLE
