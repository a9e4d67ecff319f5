"""A program with two drivers on one Ray cluster of one node; prints when each had the device.

With the arguments ADDRESS, FOLDER and NAME it is one of the drivers.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from chameleon_ray.cluster import ray_session
from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.cluster.placement import one_per_gpu, one_per_node
from chameleon_ray.options import Placing

NAMES = ("one", "two")
ROUNDS = 8
INFINITE = float("inf")


class Noting:
    """A runner's child that notes, in a file, from when to when it worked."""

    def __init__(self, child: Any, path: Path) -> None:
        self._child, self._path = child, path

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._child, name)
        return partial(self._noted, name, found) if name in ("run", "call") else found

    def _noted(self, name: str, method: Callable[..., Any], *args: Any) -> Any:
        began = time.monotonic()
        result = method(*args)
        with self._path.open("a") as file:
            file.write(json.dumps([name, began, time.monotonic()]) + "\n")
        return result


def core_runner(path: Path) -> Any:
    """A real runner, on this machine's last core."""
    from chameleon_ray.compiler.kinds import LLVM
    from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
    from chameleon_ray.measure.cores import available
    from chameleon_ray.options import Measuring

    runner = CpuRunner(LLVM, Measuring(), available()[-1:], "")
    runner.child = Noting(runner.child, path)  # type: ignore[assignment]
    return runner


class Gpu:
    """Stands for a runner that owns a GPU."""

    def held(self, seconds: float) -> list[Any]:
        began = time.monotonic()
        time.sleep(seconds)
        return ["held", began, time.monotonic()]


async def times_on_a_core(folder: Path, name: str) -> None:
    """Builds and times in turns, beginning when the other driver does."""
    from chameleon_ray.compiler.runtime.cpu_runner import CpuRunner
    from chameleon_ray.record import DEFAULT
    from tests.tvm import layers

    factory = partial(core_runner, folder / f"core-{name}")
    pool = ActorPool("runner", factory, {}, time.perf_counter(), spread=one_per_node)
    task = layers.task_of("dense")
    await pool.call(CpuRunner.warm)
    (folder / f"ready-{name}").touch()
    while not all((folder / f"ready-{other}").exists() for other in NAMES):
        await asyncio.sleep(0.01)
    for _ in range(ROUNDS):
        artifact = await pool.call(CpuRunner.build, task, DEFAULT)
        await pool.call(CpuRunner.run, task, artifact, INFINITE)
    pool.close()


async def owns_the_gpu(folder: Path, name: str) -> None:
    """Has the cluster's only GPU for two seconds, and notes what the user is told meanwhile."""
    said: list[str] = []
    pool = ActorPool(
        "runner",
        Gpu,
        {},
        time.perf_counter(),
        spread=one_per_gpu,
        resources={"num_gpus": 1},
        options=Placing(waiting_seconds=0.5),
        tell=said.append,
    )
    await pool.ready()
    span = await pool.call(Gpu.held, 2.0)
    pool.close()
    (folder / f"gpu-{name}").write_text(json.dumps({"span": span, "said": said}))


def drive(address: str, folder: Path, name: str) -> None:
    """What one driver does."""
    with ray_session.start(address):
        asyncio.run(times_on_a_core(folder, name))
        asyncio.run(owns_the_gpu(folder, name))


def main(folder: Path) -> None:
    """Starts a cluster and both drivers."""
    from chaos_nodes import Nodes

    nodes = Nodes(1, gpus=1)
    try:
        command = [sys.executable, "-m", "tests.whole.two_commands", nodes.address, str(folder)]
        drivers = [subprocess.Popen([*command, name]) for name in NAMES]
        statuses = [driver.wait(120) for driver in drivers]
    finally:
        nodes.close()
    spans = {
        name: [json.loads(line) for line in (folder / f"core-{name}").read_text().splitlines()]
        for name in NAMES
    }
    gpus = {name: json.loads((folder / f"gpu-{name}").read_text()) for name in NAMES}
    print(json.dumps({"statuses": statuses, "core": spans, "gpu": gpus}))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    else:
        drive(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
