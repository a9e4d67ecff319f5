"""A private Ray whose servers are killed: a session goes on, all else ends with a sentence."""

import os
import signal
from pathlib import Path

import pytest

from chameleon_ray.cluster.reaper import STUCK, TOLD
from chameleon_ray.options import Session
from tests.whole.command import JOINS, ROOT, Command, threads, until

TABLE = str(ROOT / "tests" / "data" / "resnet-9.parquet")
WALKS = ("--preset", "penalty9", "--explorer", "ppo", "--measurements", "128", "--seeds", "99")
"""Options of a replay whose explorer needs Ray, and that takes minutes."""
BUILDS = ("--build-only", "--engine", "ray", "--explorer", "random", "--trials", "4000")
SERVERS = {"raylet": "raylet/raylet ", "gcs_server": "gcs/gcs_server"}
"""Words of their command lines."""
WORKERS = "ray::StoringWorker"
PATIENCE = 120.0


def chosen(command: Command, words: str) -> list[int]:
    """Returns the living processes of a command that have these words."""
    return [pid for pid, line in command.processes().items() if words in line]


def kill(command: Command, server: str) -> None:
    """Kills a server of the command's Ray."""
    (found,) = chosen(command, SERVERS[server])
    os.kill(found, signal.SIGKILL)


def works(command: Command) -> None:
    """Waits until a command has started workers."""
    ended = lambda: command.process.poll() is not None  # noqa: E731
    assert until(lambda: chosen(command, WORKERS) or ended(), PATIENCE)
    assert not ended(), command.wait()


def assert_sentence(command: Command, server: str) -> None:
    """The command ends with one sentence that names the server, and nothing of it is left.

    Where Ray's library reaches for a raylet before its loss is noticed, it ends the command at
    once, and the reaper says that.
    """
    code, out, err = command.wait(PATIENCE)
    said = [
        f"Error: Ray ended, and all of its workers with it: its {server} was killed by SIGKILL."
    ]
    ends = [said, [TOLD.decode().strip()]] if server == "raylet" else [said]
    assert (code, err.splitlines()[-1:] in ends) == (1, True), (out, err)
    assert "Traceback" not in err
    assert command.orphans() == {}


@pytest.mark.parametrize("server", SERVERS)
def test_build_only_ends_with_a_sentence(server: str, dense: str, tmp_path: Path) -> None:
    command = Command("tune", dense, *BUILDS, "--out", str(tmp_path / "run"))
    works(command)
    kill(command, server)
    assert_sentence(command, server)


@pytest.mark.parametrize("server", SERVERS)
def test_a_replay_ends_with_a_sentence(server: str) -> None:
    command = Command("replay", TABLE, *WALKS)
    assert command.process.stderr is not None
    assert command.process.stderr.readline().startswith("seed 0:")
    kill(command, server)
    assert_sentence(command, server)


def test_a_signal_while_a_lost_ray_is_taken_down_stops_the_session(
    dense: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--engine", "ray", "--explorer", "random", "--trials", "400", "--out", str(run))
    command = Command("tune", dense, *options)
    works(command)
    kill(command, "raylet")
    assert until(lambda: not chosen(command, SERVERS["gcs_server"]), PATIENCE)
    os.kill(command.process.pid, signal.SIGINT)
    code, _, err = command.wait(PATIENCE)
    assert (code, err.split(".")[0]) == (130, "Stopped"), err
    assert command.orphans() == {}


def test_a_control_store_that_is_lost_as_the_command_joins_ray_ends_it_with_a_sentence(
    dense: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--engine", "ray", "--explorer", "random", "--trials", "8", "--out", str(run))
    command = Command("tune", dense, *options)
    assert until(lambda: JOINS in threads(command.process.pid), PATIENCE, 0.001)
    kill(command, "gcs_server")
    code, _, err = command.wait(PATIENCE)
    said = STUCK.format("gcs_server", Session().lost_seconds)
    assert (code, err) == (-signal.SIGKILL, said.strip())
    assert command.orphans() == {}
    resumed = ("--resume",) if (run / "run.json").exists() else ()
    code, out, err = Command("tune", dense, *options, *resumed).wait()
    assert (code, "Verified" in out) == (0, True), err
