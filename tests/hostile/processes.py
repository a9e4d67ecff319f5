"""Signals and kills, in each phase, of each kind of process."""

import os
import signal
import time
from pathlib import Path

from tests.hostile.stage import Ended, Stage, attempt
from tests.whole.command import Command, records, until
from tests.whole.test_faults import ISOLATE, parent

COMMAND, CHILD = "a command", "a process of a command"
SOON = 120.0
RAY = ("--engine", "ray", "--explorer", "random", "--trials", "24")
HUP, TERM, INT, KILL = signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGKILL


def measured(stage: Stage, count: int) -> bool:
    """Whether so many records are on disk; parts may be merged meanwhile."""
    return len(list((stage.folder / "run" / "records").glob("*.parquet"))) >= count


def started(stage: Stage, phase: str, *options: str) -> Command:
    """Starts a run and waits for a phase: import, ray (as it starts), search or end."""
    command = stage.start(*stage.words("dense.onnx", "--trials", "40", *options))
    run = stage.folder / "run"
    reached = {
        "import": lambda: (run / ".lock").exists(),
        "ray": lambda: any("gcs/gcs_server" in one for one in command.processes().values()),
        "search": lambda: measured(stage, 3),
        "end": lambda: (run / "winners.json").exists(),
    }
    assert until(reached[phase], SOON), f"no {phase}"
    return command


def signalled(stage: Stage, phase: str, *signals: int, options: tuple[str, ...] = ()) -> Ended:
    """Sends signals to a command in a phase, and waits for its end."""
    command = started(stage, phase, *options)
    for one in signals:
        os.kill(command.process.pid, one)
        time.sleep(0.1)
    return Ended(*command.wait(SOON))


def resumed(stage: Stage, before: Ended, *options: str) -> Ended:
    """Goes on with a run, whose records must still be there."""
    assert before.code == -KILL, before
    assert stage.commands[-1].orphans(15) == {}, "processes outlive the command"
    known = records(stage.folder / "run")
    ended = stage.tune("dense.onnx", "--resume", "--trials", "12", *options)
    assert records(stage.folder / "run")[: len(known)] == known
    return ended


@attempt(COMMAND, "is interrupted while it imports", 130)
def int_import(stage: Stage) -> Ended:
    return signalled(stage, "import", INT)


@attempt(COMMAND, "is interrupted while Ray starts", 130, quick=True)
def int_ray(stage: Stage) -> Ended:
    return signalled(stage, "ray", INT, options=RAY)


@attempt(COMMAND, "is terminated while Ray starts", 130, quick=True)
def term_ray(stage: Stage) -> Ended:
    return signalled(stage, "ray", TERM, options=RAY)


@attempt(COMMAND, "loses its terminal while Ray starts", 130)
def hup_ray(stage: Stage) -> Ended:
    return signalled(stage, "ray", HUP, options=RAY)


@attempt(COMMAND, "is killed while Ray starts", -KILL)
def kill_starting(stage: Stage) -> Ended:
    return signalled(stage, "ray", KILL, options=RAY)


@attempt(COMMAND, "is interrupted twice in the search", 130)
def int_twice(stage: Stage) -> Ended:
    return signalled(stage, "search", INT, INT)


@attempt(COMMAND, "is terminated in the search", 130)
def term_search(stage: Stage) -> Ended:
    return signalled(stage, "search", TERM)


@attempt(COMMAND, "is terminated at its end", 130)
def term_end(stage: Stage) -> Ended:
    return signalled(stage, "end", TERM, options=("--trials", "6"))


@attempt(COMMAND, "loses its terminal in the search", 130)
def hup_search(stage: Stage) -> Ended:
    return signalled(stage, "search", HUP)


@attempt(COMMAND, "loses its terminal while it imports", 130)
def hup_import(stage: Stage) -> Ended:
    return signalled(stage, "import", HUP)


@attempt(COMMAND, "is stopped for three seconds and continued, with all of its processes")
def stopped(stage: Stage) -> Ended:
    command = started(stage, "search", "--trials", "12")
    for one in (signal.SIGSTOP, signal.SIGCONT):
        for pid in command.processes():
            os.kill(pid, one)
        time.sleep(3)
    return Ended(*command.wait(SOON))


@attempt(COMMAND, "is killed while it imports", -KILL)
def kill_import(stage: Stage) -> Ended:
    return signalled(stage, "import", KILL)


@attempt(COMMAND, "is killed in the search, and the run is resumed")
def kill_search(stage: Stage) -> Ended:
    return resumed(stage, signalled(stage, "search", KILL))


@attempt(COMMAND, "is killed at its end, and the run is resumed")
def kill_end(stage: Stage) -> Ended:
    return resumed(stage, signalled(stage, "end", KILL, options=("--trials", "6")))


@attempt(COMMAND, "is killed in the search on Ray, and the run is resumed without")
def kill_ray(stage: Stage) -> Ended:
    return resumed(stage, signalled(stage, "search", KILL, options=RAY), "--engine", "serial")


def isolates(command: Command) -> list[int]:
    return sorted(pid for pid, line in command.processes().items() if ISOLATE in line)


@attempt(CHILD, "that imports the model is killed", 1, "killed by SIGKILL")
def kill_importer(stage: Stage) -> Ended:
    command = started(stage, "import")
    children = lambda: [one for one in isolates(command) if parent(one) in isolates(command)]  # noqa: E731
    assert until(children, SOON)
    for child in children():
        os.kill(child, KILL)
    return Ended(*command.wait(SOON))


@attempt(CHILD, "that holds the model is killed in the search", quick=True)
def kill_holder(stage: Stage) -> Ended:
    command = started(stage, "search", "--trials", "16")
    own = isolates(command)
    (holder,) = [one for one in own if parent(one) == min(own)]
    os.kill(holder, KILL)
    return Ended(*command.wait(SOON))


@attempt(CHILD, "of each kind is killed in the search without Ray")
def kill_children(stage: Stage) -> Ended:
    command = started(stage, "search", "--trials", "16")
    for child in isolates(command)[2:]:
        if child in isolates(command):
            os.kill(child, KILL)
            time.sleep(0.5)
    return Ended(*command.wait(SOON))


def kill_of_ray(stage: Stage, words: str = "") -> Ended:
    """Kills one kind of process of a private Ray in the search; the agents without words."""
    command = started(stage, "search", *RAY)
    lines = command.processes().items()
    chosen = [pid for pid, line in lines if words in line] if words else command.agents()
    assert chosen, command.processes()
    for pid in chosen:
        os.kill(pid, KILL)
    return Ended(*command.wait(SOON))


@attempt(CHILD, "is Ray's raylet, and is killed")
def kill_raylet(stage: Stage) -> Ended:
    ended = kill_of_ray(stage, "raylet/raylet ")
    assert "(raylet)" not in ended.out, "Ray printed to stdout"
    return ended


@attempt(CHILD, "is Ray's control store, and is killed")
def kill_gcs(stage: Stage) -> Ended:
    return kill_of_ray(stage, "gcs/gcs_server")


@attempt(CHILD, "is an agent of Ray's, and is killed")
def kill_agents(stage: Stage) -> Ended:
    return kill_of_ray(stage)


@attempt(CHILD, "is a worker of Ray's, as are all, and is killed")
def kill_workers(stage: Stage) -> Ended:
    return kill_of_ray(stage, "ray::StoringWorker")


@attempt(CHILD, "is the reaper, and is killed")
def kill_reaper(stage: Stage) -> Ended:
    return kill_of_ray(stage, "cluster/reaper.py")


def log_end(run: Path) -> str:
    return (run / "log.jsonl").read_text().splitlines()[-1]


@attempt(COMMAND, "is read by nobody after two lines")
def pipe_closed(stage: Stage) -> Ended:
    command = stage.start(*stage.words())
    assert command.process.stdout is not None
    assert command.process.stderr is not None
    command.process.stderr.readline()
    command.process.stderr.close()
    command.process.stdout.close()
    code = command.process.wait(SOON)
    assert "Done;" in log_end(stage.folder / "run")
    return Ended(code)
