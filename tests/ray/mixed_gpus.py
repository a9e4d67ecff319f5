"""A program that hires runners on pretended GPUs of two models, and says last what it saw."""

import asyncio
import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import ray
from chaos_nodes import Nodes

from chameleon_ray.api.fleet import left_out, shared_out
from chameleon_ray.cluster import session
from chameleon_ray.cluster.offered import Offers, owning
from chameleon_ray.cluster.placement import one_per_gpu
from chameleon_ray.cluster.pool import ActorCrew
from chameleon_ray.measure import nvml
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


def hired(model: str, offers: Offers, said: list[str]) -> ActorCrew:
    return ActorCrew(
        f"{model} runner",
        owning(model, Device),
        {},
        time.perf_counter(),
        spread=one_per_gpu,
        look=partial(offers.nodes, model),
        resources={"num_gpus": 1},
        tell=said.append,
    )


async def seen(nodes: Nodes, offers: Offers, said: list[str]) -> dict[str, Any]:
    """Which GPUs each crew works on, those of a node that joins included."""
    crews = {model: hired(model, offers, said) for model in MODELS}
    await asyncio.gather(*(crew.ready() for crew in crews.values()))
    nodes.add()
    async with asyncio.timeout(180):
        for crew in crews.values():
            while len(await crew.accounts()) < 2:
                await asyncio.sleep(0.5)
    return {
        model: sorted(set(await asyncio.gather(*(crew.do("name") for _ in range(12)))))
        for model, crew in crews.items()
    }


def main() -> None:
    """A node with a T4 and two A100, of which Ray hands out the first two, then one like it."""
    os.environ["LD_LIBRARY_PATH"] = str(library(Path(sys.argv[1])).parent)  # of the nodes to come
    os.environ[GPUS] = "Tesla T4:7,NVIDIA A100:8,NVIDIA A100:8"
    nodes, said = Nodes(1, cpus=1, gpus=2), list[str]()
    try:
        with session.start(nodes.address):
            offers = Offers()
            gpus = offers.gpus()
            shared = {why: shared_out(gpus, wanted) for why, wanted in WANTED.items()}
            told = {why: left_out(gpus, models) for why, models in shared.items()}
            os.environ[GPUS] = "NVIDIA A100:8,Tesla T4:7"
            devices = asyncio.run(seen(nodes, offers, said))
    finally:
        nodes.close()
    print(json.dumps({"shared": shared, "told": told, "said": said, "devices": devices}))


if __name__ == "__main__":
    main()
