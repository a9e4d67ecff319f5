"""A program that hires runners on pretended GPUs of two models, and says last what it saw."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from chaos_nodes import Nodes

from chameleon_ray.api.fleet import model_of, only
from chameleon_ray.cluster import session
from chameleon_ray.cluster.placement import one_per_gpu
from chameleon_ray.cluster.pool import ActorCrew
from chameleon_ray.measure import nvml
from tests.pure.driver import GPUS, library


class Device:
    """A runner; says which GPU it has."""

    def name(self) -> str:
        time.sleep(0.2)
        return nvml.visible().name


async def seen(nodes: Nodes, model: str, said: list[str]) -> list[str]:
    """Which GPUs are worked on, those of a node that joins included."""
    runners = ActorCrew(
        "runner",
        only(model, Device),
        {},
        time.perf_counter(),
        spread=one_per_gpu,
        resources={"num_gpus": 1},
        tell=said.append,
    )
    await runners.ready()
    nodes.add()
    async with asyncio.timeout(120):
        while sum("is given up" in one for one in said) < 2 or len(await runners.accounts()) < 2:
            await asyncio.sleep(0.5)
    return await asyncio.gather(*(runners.do("name") for _ in range(12)))


def main() -> None:
    """A node with a T4 and two A100, of which Ray hands out the first two, then one like it."""
    os.environ["LD_LIBRARY_PATH"] = str(library(Path(sys.argv[1])).parent)  # of the nodes to come
    os.environ[GPUS] = "Tesla T4:7,NVIDIA A100:8,NVIDIA A100:8"
    nodes, said = Nodes(1, cpus=1, gpus=2), list[str]()
    try:
        with session.start(nodes.address):
            found = {
                "even": model_of("", (), said.append),
                "known": model_of("", ("Tesla T4",), said.append),
                "named": model_of("sm_70", (), said.append),
                "none": model_of("sm_90", (), said.append),
            }
            told, said = said, []
            os.environ[GPUS] = "NVIDIA A100:8,Tesla T4:7"
            names = asyncio.run(seen(nodes, found["even"], said))
    finally:
        nodes.close()
    print(json.dumps(found | {"told": told, "said": said, "names": names}))


if __name__ == "__main__":
    main()
