"""A pool whose workers are Ray actors, each hosting an object that a factory makes.

A lost actor is replaced. The call it was doing is made again on another actor, and so are calls
that only waited for it. A pool that is spread over a cluster follows the cluster's nodes: it uses
those that join, and repeats elsewhere what was under way on those that leave.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Concatenate

import ray
from ray.exceptions import ObjectLostError, RayError, RayTaskError

from chameleon_ray.cluster.object_store import StoringWorker, fetched, labelled
from chameleon_ray.cluster.placement import Look, Node, Spread, affinity, nodes
from chameleon_ray.cluster.slots import Call, Slot, Slots
from chameleon_ray.cluster.supervisor import Supervisor
from chameleon_ray.ledger import Account, epoch
from chameleon_ray.measure.isolate import IsolateError
from chameleon_ray.options import Placing
from chameleon_ray.pool import Lost, Method, P, PoolError, T, phases_by_name

logger = logging.getLogger(__name__)
Doubt = Callable[[Any, int], bool]
"""Tells whether a result may be the worker's fault, given its number of failures in a row."""
PAUSE = 0.02
"""Seconds between two looks for actors that were set up."""


class ActorPool:
    """Actors that each host what a factory makes: ``count``, or as many as ``spread`` says.

    Args:
        name: Name of the pool, for people.
        factory: Picklable factory, which is called once in each actor.
        phases: Phase of the ledger by method, where it is not the method's name.
        began: ``time.perf_counter()`` when the run began.
        count: Number of actors where they are not spread; Ray chooses their nodes.
        resources: Ray options of each actor; no CPUs are reserved unless asked for.
        spread: Gives the number of actors that a node is to have; asked for every node that joins.
        look: Finds the nodes that actors are spread over; may block.
        patient: Whether calls wait for a node that may join where the last one was lost.
        ahead: Number of calls that an actor is given besides the one it is doing, so that it need
            not wait for the next one. An actor that has nothing to do is given a call first.
        stored: Methods whose results stay in the object store, but for an artifact's label. A
            stand-in is returned, which is fetched where it is an argument of another call.
        limits: Most seconds of a call by method, in place of ``Placing.call_seconds``.
        options: Settings of giving up actors and calls.
        doubt: Tells whether another worker is to repeat the call that came to a result. A worker
            whose failures are never confirmed is given up.
        tell: Receives a sentence about anything that happens to the actors.
        on_load: Receives the number of calls that are being done or wait, whenever it changes.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], Any],
        phases: Mapping[Method, str],
        began: float,
        count: int = 1,
        resources: Mapping[str, Any] | None = None,
        spread: Spread | None = None,
        look: Look = nodes,
        patient: bool = True,
        ahead: int = 0,
        stored: Collection[Method] = (),
        limits: Mapping[Method, float] = {},
        options: Placing = Placing(),  # noqa: B008, frozen
        doubt: Doubt = lambda result, before: False,
        tell: Callable[[str], None] = logger.warning,
        on_load: Callable[[int], None] = lambda calls: None,
    ) -> None:
        """Starts the actors and returns at once; those that are spread start with a first call."""
        self.name, self._began, self._spread = name, epoch(began), spread
        self._stored = frozenset(method.__name__ for method in stored)
        self._limits = {method.__name__: seconds for method, seconds in limits.items()}
        self._load, self._on_load = 0, on_load
        self._options, self._doubt = options, doubt
        actor, by_name = ray.remote(StoringWorker), phases_by_name(phases)
        asked = {"num_cpus": 0, **(resources or {})}
        self._owning = bool(asked.get("num_gpus"))

        def start_actor(worker: str, node: Node | None) -> Any:
            bound = asked | (affinity(node) if node else {})
            return actor.options(**bound).remote(worker, factory, by_name, fetched)

        self._slots = Slots(1 + ahead)
        self._supervisor = Supervisor(
            name, self._slots, start_actor, spread, look, patient, options, tell
        )
        for _ in range(0 if spread else count):
            self._supervisor.open(None)

    async def call(
        self, method: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See ``Pool.call``; the actor with the fewest calls does it."""
        self._supervisor.start()
        name, call = method.__name__, Call()
        limit = self._limits.get(name, self._options.call_seconds)
        while len(call.losses) < self._options.attempts:
            try:
                self._count(1)
                slot = await self._slots.acquire(call)
                if call not in slot.calls or not await self._usable(slot, call):
                    continue
                async with asyncio.timeout(limit * len(slot.calls)):
                    result = await self._sent(slot, name, args, kwargs)
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
                self._count(-1)
                self._slots.release(call)
        for slot in call.losses:  # it was the call
            slot.strikes = max(slot.strikes - 1, 0)
        raise PoolError(
            f"{self._options.attempts} {self.name} workers died one after the other while doing "
            f"'{name}'."
        )

    async def broadcast(
        self, method: Callable[Concatenate[Any, P], str], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """See ``Pool.broadcast``; this process keeps the arguments for actors that join later."""
        self._supervisor.start()
        try:
            kept = await asyncio.to_thread(fetched, args)
            named = {key: await asyncio.to_thread(fetched, one) for key, one in kwargs.items()}
        except RayError as error:
            raise Lost(str(error)) from error
        self._supervisor.broadcast(method.__name__, kept, named)

    async def ready(self) -> None:
        """Waits until every actor has been set up; where they are spread, until one has."""
        self._supervisor.start()
        enough = any if self._spread else all
        began, told = time.monotonic(), not self._owning
        while not self._slots.over and not enough(slot.settled for slot in self._slots.all):
            await asyncio.sleep(PAUSE)
            if not told and time.monotonic() - began > self._options.waiting_seconds:
                told = True
                self._supervisor.tell_of_waiting()

    async def accounts(self) -> list[Account]:
        there = [slot for slot in self._slots.all if slot.ready]
        accounts = await asyncio.gather(*map(self._account, there))
        return [account for account in accounts if account is not None]

    def close(self) -> None:
        self._supervisor.close()

    def _count(self, change: int) -> None:
        self._load += change
        self._on_load(self._load)

    async def _sent(
        self, slot: Slot, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls a method on one actor; returns its result, or the stand-in for it."""
        if method not in self._stored:
            return await slot.actor.call.remote(method, *args, **kwargs)
        stored = slot.actor.store.options(num_returns=2)
        label, content = stored.remote(method, *args, **kwargs)
        return labelled(await label, content)

    def _lose(self, call: Call, slot: Slot, error: Exception) -> None:
        """Tells the supervisor that a worker was lost, unless another of its calls did before."""
        if call in slot.calls:
            self._supervisor.lose(slot, error)

    def _doubted(self, slot: Slot, result: Any) -> bool:
        """Whether another worker is to repeat the call that came to this result."""
        failed, doubted = self._doubt(result, 1), self._doubt(result, slot.failing)
        slot.failing = slot.failing + 1 if failed else 0
        slot.failures = slot.failures + 1 if doubted else 0
        slot.strikes = slot.strikes if doubted else 0
        return doubted and bool(self._slots.others(slot))

    async def _usable(self, slot: Slot, call: Call) -> bool:
        """Whether an actor can be given a call; after a loss, only one that answers can."""
        return not call.alone or await self._supervisor.alive(slot)

    def _settled(self, call: Call, slot: Slot, result: Any) -> Any:
        """Returns the result to go by.

        An unconfirmed failure counts against the worker that had it.
        """
        first = call.failed
        if first is None or slot is first:
            return result
        if self._doubt(result, 1):
            first.failures = first.failing = 0
            return call.failure
        slot.failures = slot.failing = 0
        self._supervisor.strike(first, "what failed there worked elsewhere")
        return result

    async def _account(self, slot: Slot) -> Account | None:
        try:
            async with asyncio.timeout(self._options.account_seconds):
                return await slot.actor.account.remote(slot.name, self._began)
        except (RayError, TimeoutError):
            return None


def _raised(error: RayTaskError) -> Exception:
    """Returns the exception of a method as the caller is to see it."""
    cause: Exception = error.cause
    if isinstance(cause, ObjectLostError):
        return Lost(str(cause))
    own = type(cause).__module__.partition(".")[0] == __name__.partition(".")[0]
    return cause if own else error.as_instanceof_cause()
