"""A crew of Ray actors: a factory of plain objects in, awaitable calls to its replicas out.

A dead actor costs the call it was doing, which is made again on another one, and is replaced.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from chameleon_ray.crew import CrewError, Worker
from chameleon_ray.ledger import Account, epoch

ATTEMPTS = 3
"""Workers that one call may lose before it is given up."""

logger = logging.getLogger(__name__)


class ActorCrew:
    """``count`` actors that each host the object a factory makes."""

    def __init__(
        self,
        name: str,
        factory: Callable[[], Any],
        phases: Mapping[str, str],
        began: float,
        count: int = 1,
        resources: Mapping[str, Any] | None = None,
    ) -> None:
        """Starts the actors and returns at once.

        Args:
            name: The crew, for people.
            factory: Picklable; called once in each actor.
            phases: The ledger's name for the time spent in a method.
            began: ``time.perf_counter()`` when the run began.
            count: Actors.
            resources: Ray options of each actor; no CPUs are reserved unless asked for.
        """
        self.name, self._factory, self._phases = name, factory, dict(phases)
        self._began = epoch(began)
        self._actor = ray.remote(Worker).options(**{"num_cpus": 0, **(resources or {})})
        self._names: dict[Any, str] = {}
        self._hired = 0
        self._idle: asyncio.Queue[Any] = asyncio.Queue()
        for _ in range(count):
            self._hire()

    async def do(self, method: str, *args: Any) -> Any:
        """Has an idle actor call a method; see ``Crew.do``."""
        for _ in range(ATTEMPTS):
            actor = await self._idle.get()
            try:
                result = await actor.do.remote(method, *args)
            except RayTaskError as error:
                self._idle.put_nowait(actor)
                raise error.as_instanceof_cause() from None
            except RayError as error:
                name = self._names.get(actor, self.name)
                logger.warning("%s was lost and is replaced: %s", name, _reason(error))
                self._dismiss(actor)
                self._hire()
                continue
            except asyncio.CancelledError:
                self._idle.put_nowait(actor)
                raise
            self._idle.put_nowait(actor)
            return result
        raise CrewError(
            f"{ATTEMPTS} {self.name} workers died one after the other while doing '{method}'; "
            "their logs are in Ray's session folder."
        )

    async def ready(self) -> None:
        """Waits until every actor has been set up."""
        await asyncio.gather(*(self._settle(actor) for actor in list(self._names)))

    async def accounts(self) -> list[Account]:
        accounts = [self._account(actor) for actor in self._names]
        return [account for account in await asyncio.gather(*accounts) if account is not None]

    def close(self) -> None:
        for actor in list(self._names):
            self._dismiss(actor)

    def _hire(self) -> None:
        actor = self._actor.remote(self._factory, self._phases)
        self._hired += 1
        self._names[actor] = f"{self.name} {self._hired}"
        self._idle.put_nowait(actor)

    def _dismiss(self, actor: Any) -> None:
        self._names.pop(actor, None)
        ray.kill(actor)

    async def _settle(self, actor: Any) -> None:
        with contextlib.suppress(RayError):  # the first call to it finds out and replaces it
            await actor.account.remote("", 0.0)

    async def _account(self, actor: Any) -> Account | None:
        try:
            return await actor.account.remote(self._names[actor], self._began)
        except RayError:
            return None


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
