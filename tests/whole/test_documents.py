"""The documents' code blocks run, as a reader would run them one page after the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.code_blocks import DOCUMENTS, ROOT, blocks

FIRST = ROOT / "docs" / "start" / "own-model.md"
"""The page that tunes the model that other pages use."""
OTHERS = [
    path
    for path in DOCUMENTS
    if path != FIRST and any(block.runs for block in blocks(path.read_text()))
]
PATIENCE = 150.0
"""Most seconds for a page, on a busy machine; what takes minutes is not run."""


def followed(path: Path, folder: Path) -> None:
    """Runs the blocks of a page in a folder that has the repository's tests and documents."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "CHAMELEON_STORE": "",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.whole.page", str(path)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first page was followed."""
    made = tmp_path_factory.mktemp("reader")
    for name in ("tests", "docs"):
        (made / name).symlink_to(ROOT / name)
    followed(FIRST, made)
    return made


@pytest.mark.parametrize("path", OTHERS, ids=[str(path.relative_to(ROOT)) for path in OTHERS])
def test_a_page_can_be_followed(path: Path, folder: Path) -> None:
    followed(path, folder)
