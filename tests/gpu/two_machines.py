"""A program that runs ``chameleon tune`` on a head without a driver, with a node that has a GPU.

Its arguments are those of the command. The GPU is simulated; the head finds none.
"""

import os
import subprocess
import sys

from chaos_nodes import Nodes

from tests.gpu.conftest import simulated


def main() -> None:
    """Ends as the command does."""
    plain = dict(os.environ)
    os.environ.update(simulated())  # for the node to come
    nodes = Nodes(1, cpus=2, gpus=1)
    try:
        command = [sys.executable, "-m", "chameleon_ray", "tune", *sys.argv[1:]]
        environment = plain | simulated(driver=None)
        done = subprocess.run([*command, "--address", nodes.address], env=environment)
        sys.exit(done.returncode)
    finally:
        nodes.close()


if __name__ == "__main__":
    main()
