"""Two zoos compared: measurements to the latency that both reached."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.compare_zoos import compared

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_zoos.py"
TAUGHT = [[10, 1.0, 30.0], [20, 2.0, 11.0], [50, 5.0, 9.0]]
ALONE = [[12, 1.0, 40.0], [60, 6.0, 10.5], [90, 9.0, 10.0]]


def test_measurements_to_what_both_reached() -> None:
    exact, *_, half = compared(TAUGHT, ALONE)
    assert exact == {"goal_ms": 10.0, "above": 0.0, "with": 50, "without": 90, "saved": 40}
    assert half == {"goal_ms": 15.0, "above": 0.5, "with": 20, "without": 60, "saved": 40}
    assert compared(ALONE, TAUGHT)[0]["saved"] == -40, "what does not help is not hidden"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "holds no finished zoo"),
        ("{", "holds no finished zoo"),
        ("[]", "holds no finished zoo"),
        ('{"curve": []}', "not every layer"),
    ],
)
def test_what_is_no_zoo_is_a_sentence(tmp_path: Path, text: str | None, words: str) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "summary.json").write_text(json.dumps({"curve": TAUGHT}))
    if text is not None:
        (tmp_path / "summary.json").write_text(text)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "good"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr
    assert done.stdout == ""
