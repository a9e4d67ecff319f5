"""A program that runs ``scripts/tune_net.py``, with its own arguments, on two nodes made here."""

import subprocess
import sys
from pathlib import Path

from chaos_nodes import Nodes

SCRIPT = Path(__file__).parents[2] / "scripts" / "tune_net.py"


def main() -> None:
    """Ends as the script does."""
    nodes = Nodes(2)
    try:
        command = [sys.executable, str(SCRIPT), *sys.argv[1:], "--address", nodes.address]
        sys.exit(subprocess.run(command).returncode)
    finally:
        nodes.close()


if __name__ == "__main__":
    main()
