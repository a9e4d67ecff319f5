"""Calls compiled models on a simulated GPU as a user's program does, in a process of its own."""

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np

from chameleon_ray.compiler.runtime.callable_model import CallableModel

Outputs = list[list[np.ndarray]]
"""What a thread's calls gave, in order."""


def called(
    environment: Mapping[str, str],
    libraries: Sequence[Path],
    array: np.ndarray,
    order: Sequence[int],
    threads: int = 1,
) -> list[Outputs]:
    """Calls models by their places in ``order``, in each of some threads at once.

    All are loaded first, and threads wait for each other before the first call.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.calling"],
        input=pickle.dumps((libraries, array, order, threads)),
        capture_output=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    outputs: list[Outputs] = pickle.loads(done.stdout)
    return outputs


def main() -> None:
    libraries, array, order, threads = pickle.load(sys.stdin.buffer)
    models = [CallableModel(one, gpu=True, threads=None) for one in libraries]
    barrier = Barrier(threads)

    def call(_: int) -> Outputs:
        barrier.wait()
        return [models[place]([array]) for place in order]

    with ThreadPoolExecutor(threads) as pool:
        outputs = list(pool.map(call, range(threads)))
    sys.stdout.buffer.write(pickle.dumps(outputs))


if __name__ == "__main__":
    main()
