"""A program that runs the code blocks of one document, in the working directory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.code_blocks import Block, blocks


def main(path: Path) -> None:
    """Runs the blocks in order; Python's share their names. The first that fails ends it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    sys.path.insert(0, "")
    for block in blocks(path.read_text()):
        if block.runs:
            print(f"{path.name}, line {block.line}", flush=True)
            run(block, names, path)


def run(block: Block, names: dict[str, Any], path: Path) -> None:
    """Runs one block, or writes it to the file that it is to be in."""
    if block.title:
        Path(block.title).write_text(block.text)
    elif block.language == "bash":
        subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], check=True)
    else:
        code = "\n" * (block.line - 1) + block.text
        exec(compile(code, path.name, "exec"), names)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
