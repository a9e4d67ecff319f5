"""A network tuned on two Ray nodes of one machine, with the script made for clusters."""

import json
from pathlib import Path

from tests.ray.test_nodes import program
from tests.whole.command import records

TRIALS = 12


def test_a_network_is_tuned_on_two_nodes(dense: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--nodes", "2", "--explorer", "random", "--trials", str(TRIALS), "--out", str(run)]
    done = program("tests/whole/two_nodes.py", dense, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The cluster: nodes: 2, cores: 4, GPUs: 0." in done.stdout
    assert "Verified" in done.stdout
    known = records(run)
    assert len(known) == len({(record.task, record.config) for record in known}) == TRIALS
    summary = json.loads((run / "summary.json").read_text())
    names = [process["name"] for process in summary["processes"]]
    assert sum(name.startswith("runner") for name in names) == 2
    assert sum(name.startswith("builder") for name in names) == 2
    (model,) = [process for process in summary["processes"] if process["name"] == "model"]
    assert "verify" not in model["busy"]  # but by the nodes, as the head has no cores


def test_there_is_no_such_cluster(dense: str) -> None:
    done = program("scripts/tune_net.py", dense, "--address", "127.0.0.1:1")
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["Error: no Ray at 127.0.0.1:1; is the address right?"],
    )
