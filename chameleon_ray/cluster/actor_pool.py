"""A pool of Ray actors: a factory of plain objects in, awaitable calls to its replicas out.

A lost actor costs the call it was doing, which is made again on another one, and is replaced; calls
that only waited for it are made again, too. A pool that is spread over a cluster follows its nodes:
those that join are used, and what was under way on those that go is done elsewhere.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

import ray
from ray.exceptions import ObjectLostError, RayError, RayTaskError

from chameleon_ray.cluster.object_store import StoringWorker, labelled, opened
from chameleon_ray.cluster.placement import Look, Node, Spread, affinity, nodes
from chameleon_ray.cluster.slots import Call, Slot, Slots
from chameleon_ray.cluster.supervisor import Supervisor
from chameleon_ray.ledger import Account, epoch
from chameleon_ray.measure.isolate import IsolateError
from chameleon_ray.options import Placing
from chameleon_ray.pool import Lost, PoolError

logger = logging.getLogger(__name__)
Doubt = Callable[[Any, int], bool]
"""Whether a result may be the worker's fault, given its failures in a row before."""
PAUSE = 0.02
"""Seconds between two looks for actors that were set up."""


class ActorPool:
    """Actors that each host what a factory makes: ``count``, or as many as ``spread`` says.

    Args:
        name: The pool, for people.
        factory: Picklable; called once in each actor.
        phases: The ledger's name for the time spent in a method.
        began: ``time.perf_counter()`` when the run began.
        count: Actors, wherever Ray puts them, where they are not spread.
        resources: Ray options of each actor; no CPUs are reserved unless asked for.
        spread: How many actors a node is to have, asked for every node that joins.
        look: Finds the nodes for that; may block.
        patient: Whether calls wait for a node that may join where the last one was lost.
        ahead: Calls that an actor is given besides the one it is doing, so that it need not wait
            for the next one; an actor that has nothing to do is given a call first.
        apart: Methods whose results stay in the object store, but for an artifact's label. What is
            returned stands for them among the arguments of ``do``.
        limits: Seconds that methods may take which may take longer than others.
        options: When an actor is given up.
        doubt: Whether another worker is to repeat what came to this result; a worker whose failures
            are never confirmed is given up.
        tell: Is given what happened, in a sentence.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], Any],
        phases: Mapping[str, str],
        began: float,
        count: int = 1,
        resources: Mapping[str, Any] | None = None,
        spread: Spread | None = None,
        look: Look = nodes,
        patient: bool = True,
        ahead: int = 0,
        apart: Collection[str] = (),
        limits: Mapping[str, float] = {},
        options: Placing = Placing(),  # noqa: B008, frozen
        doubt: Doubt = lambda result, before: False,
        tell: Callable[[str], None] = logger.warning,
    ) -> None:
        """Starts the actors and returns at once; those that are spread start with a first call."""
        self.name, self._began, self._spread = name, epoch(began), spread
        self._apart, self._limits = frozenset(apart), dict(limits)
        self._options, self._doubt = options, doubt
        actor, phases = ray.remote(StoringWorker), dict(phases)
        asked = {"num_cpus": 0, **(resources or {})}

        def start_actor(node: Node | None) -> Any:
            bound = asked | (affinity(node) if node else {})
            return actor.options(**bound).remote(factory, phases)

        self._slots = Slots(1 + ahead)
        self._supervisor = Supervisor(
            name, self._slots, start_actor, spread, look, patient, options, tell
        )
        for _ in range(0 if spread else count):
            self._supervisor.open(None)

    async def do(self, method: str, *args: Any) -> Any:
        """Has the actor with the fewest calls do another one; see ``Pool.do``."""
        self._supervisor.start()
        call, limit = Call(), self._limits.get(method, self._options.call_seconds)
        while len(call.losses) < self._options.attempts:
            try:
                slot = await self._slots.acquire(call)
                if call not in slot.calls or (
                    call.alone and not await self._supervisor.alive(slot)
                ):
                    continue
                async with asyncio.timeout(limit * len(slot.calls)):
                    result = await self._call(slot, method, args)
                if call.failed or not self._doubted(slot, result):
                    return self._settled(call, slot, result)
                call.failed, call.failure = slot, result
            except RayTaskError as error:
                if not isinstance(error.cause, IsolateError):
                    raise _raised(error) from None
                self._lose(call, slot, error.cause)
            except (RayError, TimeoutError) as error:
                self._lose(call, slot, error)
            finally:
                self._slots.release(call)
        for slot in call.losses:  # it was the call
            slot.strikes = max(slot.strikes - 1, 0)
        raise PoolError(
            f"{self._options.attempts} {self.name} workers died one after the other while doing "
            f"'{method}'; their logs are in Ray's session folder."
        )

    async def broadcast(self, method: str, *args: Any) -> None:
        """See ``Pool.broadcast``; this process keeps the arguments for those that join later."""
        self._supervisor.start()
        try:
            kept = await asyncio.to_thread(lambda: tuple(map(opened, args)))
        except RayError as error:
            raise Lost(str(error)) from error
        self._supervisor.broadcast(method, kept)

    async def ready(self) -> None:
        """Waits until every actor has been set up; where they are spread, until one has."""
        self._supervisor.start()
        enough = any if self._spread else all
        while not self._slots.over and not enough(slot.settled for slot in self._slots.all):
            await asyncio.sleep(PAUSE)

    async def accounts(self) -> list[Account]:
        there = [slot for slot in self._slots.all if slot.ready]
        accounts = await asyncio.gather(*map(self._account, there))
        return [account for account in accounts if account is not None]

    def close(self) -> None:
        self._supervisor.close()

    async def _call(self, slot: Slot, method: str, args: tuple[Any, ...]) -> Any:
        """A method's result, or what stands for it."""
        if method not in self._apart:
            return await slot.actor.do.remote(method, *args)
        label, content = slot.actor.make.options(num_returns=2).remote(method, *args)
        return labelled(await label, content)

    def _lose(self, call: Call, slot: Slot, error: Exception) -> None:
        """Its worker was lost; another one of its calls may have been told before."""
        if call in slot.calls:
            self._supervisor.lose(slot, error)

    def _doubted(self, slot: Slot, result: Any) -> bool:
        """Whether another worker is to repeat what this one came to."""
        doubted = self._doubt(result, slot.failures)
        slot.failures = slot.failures + 1 if doubted else 0
        slot.strikes = slot.strikes if doubted else 0
        return doubted and bool(self._slots.others(slot))

    def _settled(self, call: Call, slot: Slot, result: Any) -> Any:
        """The result to go by; a failure that was not confirmed counts against who reported it."""
        first = call.failed
        if first is None or slot is first:
            return result
        if self._doubt(result, 1):
            first.failures = 0
            return call.failure
        slot.failures = 0
        self._supervisor.strike(first, "what failed there worked elsewhere")
        return result

    async def _account(self, slot: Slot) -> Account | None:
        try:
            async with asyncio.timeout(self._options.account_seconds):
                return await slot.actor.account.remote(slot.name, self._began)
        except (RayError, TimeoutError):
            return None


def _raised(error: RayTaskError) -> Exception:
    """What a method raised, as the caller is to see it."""
    cause: Exception = error.cause
    if isinstance(cause, ObjectLostError):
        return Lost(str(cause))
    own = type(cause).__module__.partition(".")[0] == __name__.partition(".")[0]
    return cause if own else error.as_instanceof_cause()
