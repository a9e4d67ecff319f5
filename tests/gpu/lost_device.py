"""A program that times on two simulated GPUs, of which one is lost after some timings.

Its argument is the file that the simulated machine reads the numbers of lost GPUs from. It prints
what became of all timings, and what was said of the runners.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.cluster.gpus import owning
from chameleon_ray.cluster.ray_session import start
from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.measure import nvml
from chameleon_ray.measure.measurer import Artifact, Runner
from chameleon_ray.record import DEFAULT
from chameleon_ray.task import Task
from tests.cuda.kernels import PATIENT, task

TIMINGS, BEFORE = 12, 4
INFINITE = float("inf")


async def timed(one: Task, artifact: Artifact, lost: Path, said: list[str]) -> dict[str, int]:
    """How often each status came."""
    options = replace(PATIENT, shots=3, wake_seconds=0.0)
    model = nvml.gpus()[0].name
    pool = ActorPool(
        "runner",
        owning(model, partial(CudaRunner, options)),
        {},
        time.perf_counter(),
        2,
        {"num_gpus": 1},
        tell=said.append,
    )
    await pool.ready()
    found: list[str] = []
    for number in range(TIMINGS):
        if number == BEFORE:
            lost.write_text("0\n")
        pair = [pool.call(Runner.run, one, artifact, INFINITE) for _ in range(2)]
        found += [timing.status for timing in await asyncio.gather(*pair)]
    async with asyncio.timeout(60):
        while not any("is given up" in sentence for sentence in said):
            await asyncio.sleep(0.1)
    found.append((await pool.call(Runner.run, one, artifact, INFINITE)).status)
    pool.close()
    return Counter(found)


def main() -> None:
    """Prints the statuses and the sentences as JSON."""
    one, said, builder = task("dense"), list[str](), ChildBuilder(CUDA, PATIENT)
    artifact = builder.build(one, DEFAULT)
    builder.close()
    with start(cpus=2):
        statuses = asyncio.run(timed(one, artifact, Path(sys.argv[1]), said))
    print(json.dumps({"statuses": statuses, "said": said}))


if __name__ == "__main__":
    main()
