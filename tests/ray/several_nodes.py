"""A program that spreads pools over pretended GPU nodes, and says in its last line what it saw."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from typing import Any

from chaos_nodes import Nodes

from chameleon_ray.cluster import ray_session
from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.cluster.placement import one_per_gpu
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.pool import NoWorkers

CALLS = 60


class Maker:
    """A builder of large artifacts."""

    def build(self) -> Artifact:
        return Artifact(bytes(1 << 20))


class Device:
    """A runner; says where it is."""

    def __init__(self) -> None:
        import ray

        context = ray.get_runtime_context()
        self.device = context.get_node_id(), os.environ.get("CUDA_VISIBLE_DEVICES")

    def where(self) -> tuple[str, str | None]:
        time.sleep(0.2)
        return self.device

    def twice(self, number: int) -> int:
        time.sleep(0.3)
        return 2 * number

    def opened(self, one: Artifact, several: tuple[Artifact, ...]) -> list[int]:
        return [len(artifact.code) for artifact in (one, *several)]


async def seen(nodes: Nodes, said: list[str]) -> dict[str, Any]:
    """Four devices, a node that joins with two more, and one that is lost while they work."""

    def start_pool(name: str, factory: type, **more: Any) -> ActorPool:
        began = time.perf_counter()
        return ActorPool(name, factory, {}, began, spread=one_per_gpu, tell=said.append, **more)

    found: dict[str, Any] = {}
    runners = start_pool("runner", Device, resources={"num_gpus": 1})
    builders = start_pool("builder", Maker, stored=(Maker.build,))
    await asyncio.gather(runners.ready(), grown(runners, 4))
    asked = await asyncio.gather(*(runners.call(Device.where) for _ in range(24)))
    found["devices"] = sorted(set(asked))

    artifact = await builders.call(Maker.build)
    found["code"] = type(artifact.code).__name__
    found["opened"] = await runners.call(Device.opened, artifact, (artifact,))

    nodes.add()
    found["joined"] = await grown(runners, 6)
    found["results"] = [
        await disturbed(runners, nodes.kill, said),
        await disturbed(runners, nodes.freeze, said),
    ]
    found["calls"] = [2 * number for number in range(CALLS)]
    found["left"] = len(await runners.accounts())
    hasty = start_pool("hasty worker", Maker, patient=False)
    await hasty.ready()
    await asyncio.to_thread(nodes.kill, 0)
    found["over"] = await asyncio.wait_for(ended(hasty), 120)
    return found


async def ended(pool: ActorPool) -> str:
    """Why a pool does no more calls."""
    try:
        while True:
            await pool.call(Maker.build)
    except NoWorkers as error:
        return str(error)


async def disturbed(
    runners: ActorPool, disturb: Callable[[int], None], said: list[str]
) -> list[int]:
    """What many calls came to, in the midst of which something happened to a node."""
    before = lost(said)
    calls = [asyncio.create_task(runners.call(Device.twice, number)) for number in range(CALLS)]
    await asyncio.sleep(0.6)
    await asyncio.to_thread(disturb, 0)
    results = await asyncio.wait_for(asyncio.gather(*calls), 300)
    async with asyncio.timeout(60):
        while lost(said) == before:
            await asyncio.sleep(0.1)
    return results


def lost(said: list[str]) -> int:
    """How many nodes were said to be lost."""
    return sum(" was lost, with " in sentence for sentence in said)


async def grown(pool: ActorPool, wanted: int) -> int:
    """How many workers there are once there are as many as wanted, or after two minutes."""
    for _ in range(600):
        count = len({account.name for account in await pool.accounts()})
        if count >= wanted:
            return count
        await asyncio.sleep(0.2)
    return count


def main() -> None:
    """Two nodes of two GPUs each at first."""
    nodes, said = Nodes(2, cpus=1, gpus=2), list[str]()
    try:
        with ray_session.start(nodes.address):
            found = asyncio.run(seen(nodes, said))
    finally:
        nodes.close()
    print(json.dumps(found | {"said": said}))


if __name__ == "__main__":
    main()
