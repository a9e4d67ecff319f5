"""The audit of dependencies: what a service says of them, and what is done without one."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "audit.py"
BAD = {"id": "CVE-2026-1", "fix_versions": ["2.0"]}


def audit(program: Path) -> tuple[int, str]:
    path = sysconfig.get_path("purelib")
    command = [sys.executable, str(SCRIPT), "--with", str(program), "--path", path]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout


def service(folder: Path, dependencies: list[dict] | None) -> Path:
    """A program that answers as ``pip-audit`` does; it is silent where there is no answer."""
    program = folder / "pip-audit"
    said = "" if dependencies is None else json.dumps({"dependencies": dependencies, "fixes": []})
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    return program


def test_a_vulnerability_is_an_error(tmp_path: Path) -> None:
    package = {"name": "net", "version": "1.0", "vulns": [BAD]}
    code, said = audit(service(tmp_path, [package, {"name": "a", "version": "1", "vulns": []}]))
    assert code == 1
    assert "net 1.0: CVE-2026-1, mended in 2.0\n2 packages looked up, 1 vulnerabilities" in said


@pytest.mark.parametrize("answer", [None, [], [{"name": "net", "skip_reason": "not found"}]])
def test_without_an_answer_versions_are_listed(tmp_path: Path, answer: list[dict] | None) -> None:
    code, said = audit(service(tmp_path, answer))
    assert code == 0
    assert "No package could be looked up" in said
    assert "numpy" in said


def test_without_the_program_versions_are_listed(tmp_path: Path) -> None:
    code, said = audit(tmp_path / "missing")
    assert (code, "No package could be looked up" in said) == (0, True)
