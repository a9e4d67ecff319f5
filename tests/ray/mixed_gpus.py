"""A program that starts runners on pretended GPUs of two models, and says last what it saw."""

import asyncio
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import ray
from chaos_nodes import Nodes

from chameleon_ray.api.gpu_assignment import left_out, shared_out
from chameleon_ray.cluster import ray_session
from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.cluster.gpus import GpuInventory, owning
from chameleon_ray.cluster.placement import one_per_gpu
from chameleon_ray.measure import nvml
from chameleon_ray.measure.scratch import MACHINE
from tests.pure.driver import GPUS, library

MODELS = ("NVIDIA A100", "Tesla T4")
WANTED: dict[str, dict[str, tuple[str, ...]]] = {
    "even": {"cuda": ()},
    "known": {"cuda": ("Tesla T4",)},
    "named": {"cuda:sm_70": ()},
    "none": {"cuda:sm_90": ()},
    "both": {"cuda:sm_70": (), "cuda:sm_80": ()},
}


class Device:
    """A runner; says which GPU it has, and where."""

    def name(self) -> tuple[str, str, str]:
        time.sleep(0.2)
        gpu = nvml.visible()
        return gpu.name, gpu.uuid, ray.get_runtime_context().get_node_id()


def started(model: str, inventory: GpuInventory, said: list[str]) -> ActorPool:
    return ActorPool(
        f"{model} runner",
        owning(model, Device),
        {},
        time.perf_counter(),
        spread=one_per_gpu,
        look=partial(inventory.nodes, model),
        resources={"num_gpus": 1},
        tell=said.append,
    )


async def seen(nodes: Nodes, inventory: GpuInventory, said: list[str]) -> dict[str, Any]:
    """Which GPUs each pool works on, those of a node that joins included."""
    pools = {model: started(model, inventory, said) for model in MODELS}
    await asyncio.gather(*(pool.ready() for pool in pools.values()))
    nodes.add()
    async with asyncio.timeout(180):
        for pool in pools.values():
            while len(await pool.accounts()) < 2:
                await asyncio.sleep(0.5)
    return {
        model: sorted(set(await asyncio.gather(*(pool.call(Device.name) for _ in range(12)))))
        for model, pool in pools.items()
    }


def main() -> None:
    """A node with a T4 and two A100, of which Ray hands out the first two, then one like it."""
    os.environ["LD_LIBRARY_PATH"] = str(library(Path(sys.argv[1])).parent)  # of the nodes to come
    os.environ[GPUS] = "Tesla T4:7,NVIDIA A100:8,NVIDIA A100:8"
    nodes, said = Nodes(1, cpus=1, gpus=2), list[str]()
    try:
        with ray_session.start(nodes.address):
            inventory = GpuInventory()
            gpus = inventory.gpus()
            shared = {why: shared_out(gpus, wanted) for why, wanted in WANTED.items()}
            told = {why: left_out(gpus, models) for why, models in shared.items()}
            os.environ[GPUS] = "NVIDIA A100:8,Tesla T4:7"
            os.environ[MACHINE] = tempfile.mkdtemp(dir=sys.argv[1])  # the next one's own locks
            devices = asyncio.run(seen(nodes, inventory, said))
    finally:
        nodes.close()
    print(json.dumps({"shared": shared, "told": told, "said": said, "devices": devices}))


if __name__ == "__main__":
    main()
