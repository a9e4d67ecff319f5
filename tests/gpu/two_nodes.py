"""A program that uses several simulated GPUs on two simulated nodes; its last line is what it saw.

With ``pinned FOLDER``, actors own the GPUs of one model among eight. With ``tuned FOLDER MODEL
TRIALS OUT`` a model is tuned on three GPUs of two models: one GPU is lost meanwhile, and a process
on another one falls silent. The program calls itself with ``tuning`` for the tuning.
"""

import asyncio
import ctypes
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chaos_nodes import Nodes, until

from chameleon_ray import api
from chameleon_ray.answering import errors
from chameleon_ray.api.gpu_assignment import left_out, shared_out
from chameleon_ray.cluster import ray_session
from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.cluster.gpus import GpuInventory, owning
from chameleon_ray.cluster.placement import one_per_gpu
from chameleon_ray.commands.screen import screen
from chameleon_ray.compiler.tvm_process import CUDART, DRIVER, load_cudart
from chameleon_ray.measure import nvidia_driver, nvml
from chameleon_ray.options import Measuring, Request
from chameleon_ray.report.console import final_message
from chameleon_ray.report.live_table import watching
from chameleon_ray.report.progress import Progress
from tests.gpu.conftest import simulated

CALLS, SECONDS = 42, 1.0
"""Calls of the pinned pool, and what each takes."""
LOST_AT = 2
"""Kernel of a process, from 1, whose loading loses the GPU: the first one was timed by then."""
SEARCHES = '"name": "searching"'
"""What the log says once layers are searched."""
MEASURING = Measuring(context_timeout=12.0, default_timeout=15.0)
"""Less patience than the command's with a process that falls silent."""


class Device:
    """A runner that sleeps, and says which GPU it has and how many CUDA shows it."""

    def name(self) -> tuple[str, str, int]:
        time.sleep(SECONDS)
        load_cudart()
        count, gpu = ctypes.c_int(), nvml.visible()
        ctypes.CDLL(CUDART).cudaGetDeviceCount(ctypes.byref(count))
        return gpu.name, gpu.uuid, count.value


async def pinned(nodes: Nodes) -> dict[str, Any]:
    """What the actors of one pool say, one for each GPU of the model with the most."""
    inventory = GpuInventory()
    gpus = inventory.gpus()
    (model,) = shared_out(gpus, {"cuda": ()})
    pool = ActorPool(
        "runner",
        owning(model, Device),
        {},
        time.perf_counter(),
        spread=one_per_gpu,
        look=partial(inventory.nodes, model),
        resources={"num_gpus": 1},
        tell=print,
    )
    await pool.ready()
    async with asyncio.timeout(180):
        while len(await pool.accounts()) < sum(gpu.name == model for gpu in gpus):
            await asyncio.sleep(0.2)
    began = time.perf_counter()
    seen = await asyncio.gather(*(pool.call(Device.name) for _ in range(CALLS)))
    return {
        "known": len({gpu.uuid for gpu in gpus}),
        "left_out": left_out(gpus, (model,)),
        "seen": sorted(set(seen)),
        "devices_worth": CALLS * SECONDS / (time.perf_counter() - began),
    }


def tuned(
    nodes: Nodes, arguments: list[str], head: dict[str, str], lost: Path, stop: Path
) -> dict[str, Any]:
    """What was said of a tuning on a head without a driver, and what went wrong meanwhile.

    Once it searches, the file ``stop`` stops a process that times something on the second node.

    Args:
        nodes: The cluster, whose settings of Ray the head gets.
        arguments: Model, number of measurements, and directory of the run.
        head: Environment of a machine without a driver.
        lost: File with the numbers of the GPUs that are lost.
        stop: That file.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    child = subprocess.Popen(
        [sys.executable, __file__, "tuning", nodes.address, *arguments],
        env=head | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = Path(arguments[-1], "log.jsonl")
    try:
        until(lambda: child.poll() is not None or searches(log), 300)
        stop.touch()
        said, _ = child.communicate(timeout=300)
    finally:
        child.kill()
    fallen = lost.read_text().split() if lost.exists() else []
    hung = not stop.exists()
    return {"status": child.returncode, "said": said, "hung": hung, "lost": fallen}


def searches(log: Path) -> bool:
    """Whether a run's log says that its layers are searched."""
    return log.exists() and SEARCHES in log.read_text()


def tune(address: str, model: str, trials: str, out: str) -> None:
    """Does what the command ``tune`` does, with less patience."""
    request = Request(
        model,
        target="cuda",
        trials=int(trials),
        explorer="random",
        sampler="greedy",
        address=address,
        out=out,
        measuring=MEASURING,
    )
    with pytest.raises(OSError, match=DRIVER):
        nvidia_driver.load(DRIVER)
    progress = Progress()
    with watching(progress, errors):
        result = api.tune(request, progress)
    screen.print(final_message(result))


def look(kind: str, rest: list[str]) -> None:
    """Prints what was seen on two nodes with GPUs of two models."""
    few, folder = kind == "tuned", Path(rest[0])
    lost, stop = folder / "lost", folder / "stop"
    faults = {"lost": lost, "lost_at": LOST_AT} if few else {}
    head = {**os.environ, **simulated(driver=None)}
    first, second = (1, 2) if few else (3, 4)  # or either program waits for the other one's GPUs
    here = simulated(model="H100,T4" if few else "H100,T4,H100,H100", machine=first, **faults)
    os.environ.update(here)
    nodes = Nodes(1, cpus=1, gpus=2 if few else 4)
    try:
        for name in faults:
            del os.environ[f"SIMULATED_{name.upper()}"]
        stops = {"stop": stop} if few else {}
        os.environ.update(simulated(2 if few else 4, machine=second, **stops))
        nodes.add()
        if few:
            found = tuned(nodes, rest[1:], head, lost, stop)
        else:
            with ray_session.start(nodes.address):
                found = asyncio.run(pinned(nodes))
    finally:
        nodes.close()
    print(json.dumps(found))


def main() -> None:
    """Looks, or tunes for one that looks."""
    kind, *rest = sys.argv[1:]
    if kind == "tuning":
        tune(*rest)
    else:
        look(kind, rest)


if __name__ == "__main__":
    main()
