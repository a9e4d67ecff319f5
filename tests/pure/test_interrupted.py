"""The exit status of a command that is interrupted, whatever Python was at."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_text_that_is_interrupted_changes_no_exit_status() -> None:
    command = [sys.executable, "-m", "tests.pure.interrupted_command", "interrupted"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "Stopped.\n")
