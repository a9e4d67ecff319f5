"""What Ray's dashboard shows actors as: what people call them, whoever else has actors there."""

import asyncio

import pytest
from ray._private.state import state
from ray.core.generated import gcs_pb2

from tests.ray.test_pool import Counter, start_pool

pytestmark = pytest.mark.usefixtures("local_ray")


def shown() -> list[str]:
    """What the living actors are shown as; of others on this Ray, too."""
    accessor = state._connect_and_get_accessor()
    table = map(gcs_pb2.ActorTableData.FromString, accessor.get_actor_table(None, None))
    alive = gcs_pb2.ActorTableData.ActorState.ALIVE
    return [actor.repr_name for actor in table if actor.state == alive]


def test_actors_have_names_for_people_which_others_may_have_too() -> None:
    async def body() -> list[str]:
        pools = [start_pool("tally", Counter, count) for count in (2, 1)]
        for pool in pools:
            await pool.ready()
        names = shown()
        for pool in pools:
            pool.close()
        return names

    names = [name for name in asyncio.run(body()) if name.startswith("tally")]
    assert sorted(names) == ["tally 1", "tally 1", "tally 2"]
