"""A crew of Ray actors: a factory of plain objects in, awaitable calls to its replicas out.

A lost actor costs the call it was doing, which is made again on another one, and is replaced. A
crew that is spread over a cluster follows its nodes: those that join are used, and what was under
way on those that go is done elsewhere.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import ObjectLostError, RayError, RayTaskError

from chameleon_ray.cluster.parcel import Porter, labelled
from chameleon_ray.cluster.placement import Node, Spread, affinity, nodes
from chameleon_ray.cluster.seat import Seat, counted, reason
from chameleon_ray.crew import CrewError, Lost, NoWorkers, Unfit
from chameleon_ray.ledger import Account, epoch
from chameleon_ray.options import Placing

logger = logging.getLogger(__name__)
Doubt = Callable[[Any, int], bool]
"""Whether a result may be the worker's fault, given its failures in a row before."""
PAUSE = 0.02
"""Seconds between two looks for a worker who may give a second opinion."""


class ActorCrew:
    """Actors that each host what a factory makes: ``count``, or as many as ``spread`` says."""

    def __init__(
        self,
        name: str,
        factory: Callable[[], Any],
        phases: Mapping[str, str],
        began: float,
        count: int = 1,
        resources: Mapping[str, Any] | None = None,
        spread: Spread | None = None,
        apart: tuple[str, ...] = (),
        options: Placing = Placing(),  # noqa: B008, frozen
        doubt: Doubt = lambda result, before: False,
        tell: Callable[[str], None] = logger.warning,
    ) -> None:
        """Starts the actors and returns at once.

        Args:
            name: The crew, for people.
            factory: Picklable; called once in each actor.
            phases: The ledger's name for the time spent in a method.
            began: ``time.perf_counter()`` when the run began.
            count: Actors, wherever Ray puts them, where they are not spread.
            resources: Ray options of each actor; no CPUs are reserved unless asked for.
            spread: How many actors a node is to have, asked for every node that joins.
            apart: Methods that give an artifact whose code stays in the object store.
            options: When an actor is given up.
            doubt: Whether another worker is to repeat what came to this result.
            tell: Is given what happened, in a sentence.
        """
        self.name, self._phases, self._began = name, dict(phases), epoch(began)
        self._spread, self._apart, self._options, self._doubt = spread, apart, options, doubt
        self._actor, self._factory, self._tell = ray.remote(Porter), factory, tell
        self._resources = {"num_cpus": 0, **(resources or {})}
        self._seats, self._unsettled = list[Seat](), list[Seat]()
        self._tasks = set[asyncio.Task]()
        self._idle: asyncio.Queue[Seat | None] = asyncio.Queue()
        self._numbered, self._over = 0, ""
        self._followed = self._lost_one = False
        for _ in range(0 if spread else count):
            self._open(None)

    async def do(self, method: str, *args: Any) -> Any:
        """Has an idle actor call a method; see ``Crew.do``."""
        self._start()
        losses, doubtful = 0, None
        while losses < self._options.attempts:
            seat = await self._next(doubtful[0] if doubtful else None)
            if losses and not await self._alive(seat):
                continue
            try:
                call = self._call(seat, method, args)
                result = await asyncio.wait_for(call, self._options.call_seconds)
            except RayTaskError as error:
                self._idle.put_nowait(seat)
                if isinstance(error.cause, ObjectLostError):
                    raise Lost(str(error.cause)) from None
                raise error.as_instanceof_cause() from None
            except (RayError, TimeoutError) as error:
                losses += self._lose(seat, error)
                continue
            except asyncio.CancelledError:
                self._idle.put_nowait(seat)
                raise
            self._idle.put_nowait(seat)
            if doubtful is None and self._doubted(seat, result):
                doubtful = seat, result
                continue
            return self._settled(doubtful, seat, result)
        raise CrewError(
            f"{self._options.attempts} {self.name} workers died one after the other while doing "
            f"'{method}'; their logs are in Ray's session folder."
        )

    async def ready(self) -> None:
        """Waits until every actor has been set up; where they are spread, until one has."""
        self._start()
        enough = any if self._spread else all
        while not self._over and not enough(seat.settled for seat in self._seats):
            await asyncio.sleep(PAUSE)

    async def accounts(self) -> list[Account]:
        there = [seat for seat in self._seats if seat.settled and not seat.retired]
        accounts = [self._account(seat) for seat in there]
        return [account for account in await asyncio.gather(*accounts) if account is not None]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for seat in self._seats:
            seat.dismiss()
        self._seats.clear()

    async def _call(self, seat: Seat, method: str, args: tuple[Any, ...]) -> Any:
        if method not in self._apart:
            return await seat.actor.do.remote(method, *args)
        artifact, code = seat.actor.make.options(num_returns=2).remote(method, *args)
        return labelled(await artifact, code)

    # Who is to do a call, and what its result is worth.

    async def _next(self, failed: Seat | None) -> Seat:
        """An idle worker; where ``failed`` is given, another one that has not failed lately."""
        while True:
            seat = await self._idle.get()
            if seat is None:
                self._idle.put_nowait(None)
                raise NoWorkers(self._over)
            if seat not in self._seats or seat.retired:
                continue
            if failed is None or seat in self._trusted(failed) or not self._trusted(failed):
                return seat
            self._idle.put_nowait(seat)
            await asyncio.sleep(PAUSE)

    def _trusted(self, failed: Seat) -> list[Seat]:
        """Who may give a second opinion."""
        return [
            seat
            for seat in self._seats
            if seat is not failed and not seat.retired and not seat.failures
        ]

    def _doubted(self, seat: Seat, result: Any) -> bool:
        """Whether another worker is to repeat what this one came to."""
        doubted = self._doubt(result, seat.failures)
        seat.failures = seat.failures + 1 if doubted else 0
        seat.strikes = seat.strikes if doubted else 0
        return doubted and bool(self._trusted(seat))

    def _settled(self, doubtful: tuple[Seat, Any] | None, seat: Seat, result: Any) -> Any:
        """The result to go by; a failure that was not confirmed counts against who reported it."""
        if doubtful is None or seat is doubtful[0]:
            return result
        first, failure = doubtful
        if self._doubt(result, 1):
            first.failures = 0
            return failure
        seat.failures = 0
        self._strike(first, "what failed there worked elsewhere")
        return result

    # Coming and going.

    def _start(self) -> None:
        """Begins what needs an event loop: waiting for actors, and following the cluster."""
        if self._spread and not self._followed:
            self._followed = True
            self._look(nodes(), first=True)
            if not self._seats:
                self._tell(f"No node has a place for a {self.name} yet; one that joins may.")
            self._begin(self._follow())
        while self._unsettled:
            self._begin(self._settle(self._unsettled.pop()))

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._options.look_seconds)
            try:
                self._look(await asyncio.to_thread(nodes))
            except (RayError, RuntimeError, OSError):  # Ray's head is silent, perhaps for a moment
                logger.info("the nodes cannot be looked at", exc_info=True)
            self._start()

    def _look(self, found: tuple[Node, ...], first: bool = False) -> None:
        """Lets the actors of lost nodes go, and gives every node as many as it is to have."""
        living = {node.id for node in found}
        for node in {seat.node for seat in self._seats if seat.node and seat.node.id not in living}:
            self._leave(node)
        assert self._spread is not None
        for node in found:
            missing = self._spread(node) - len(self._on(node))
            for _ in range(missing):
                self._open(node)
            if missing > 0 and not first:
                self._tell(f"Node {node.address} joined, with {counted(missing, self.name)}.")

    def _leave(self, node: Node) -> None:
        """A node is gone, and with it its actors."""
        gone = self._on(node)
        for seat in gone:
            self._seats.remove(seat)
            seat.dismiss()
        rest = "; what they were doing is done elsewhere" if self._seats else ", the last there was"
        self._tell(f"Node {node.address} was lost, with {counted(len(gone), self.name)}{rest}.")

    def _on(self, node: Node) -> list[Seat]:
        return [seat for seat in self._seats if seat.node and seat.node.id == node.id]

    def _open(self, node: Node | None) -> None:
        """A new place."""
        self._numbered += 1
        where = f" on node {node.address}" if node else ""
        seat = Seat(f"{self.name} {self._numbered}{where}", node)
        self._seats.append(seat)
        self._hire(seat)

    def _hire(self, seat: Seat) -> None:
        options = self._resources | (affinity(seat.node) if seat.node else {})
        seat.actor = self._actor.options(**options).remote(self._factory, self._phases)
        self._unsettled.append(seat)

    async def _settle(self, seat: Seat) -> None:
        """A worker gets calls once it has been set up."""
        if seat.actor is not None and await self._alive(seat):
            seat.settled = True
            self._idle.put_nowait(seat)

    async def _alive(self, seat: Seat) -> bool:
        """Whether a worker answers; one that does not is replaced."""
        try:
            await seat.actor.account.remote("", 0.0)
        except RayError as error:
            self._lose(seat, error)
            return False
        return True

    def _lose(self, seat: Seat, error: Exception) -> int:
        """A worker died, or does not answer: replaces it; 1 where the call may have killed it."""
        if seat not in self._seats or seat.retired:
            return 0
        if seat.node and seat.node.id not in {node.id for node in nodes()}:
            self._leave(seat.node)
            return 0
        seat.dismiss()
        logger.info("%s was lost: %s", seat.name, error)
        unfit = Unfit.__name__ in str(error)  # Ray tells in words only what a factory raised
        self._strike(seat, reason(error), self._options.strikes if unfit else 1)
        if not seat.retired:
            self._hire(seat)
            self._start()
            if not self._lost_one:
                self._lost_one = True
                self._tell(
                    f"{seat.name.capitalize()} was lost and is replaced, as others will be without "
                    f"a word; what it was doing is done again: {reason(error)}."
                )
        return 1

    def _strike(self, seat: Seat, reason: str, strikes: int = 1) -> None:
        """Counts against a worker; the last time it is given up."""
        seat.strikes += strikes
        if seat.strikes < self._options.strikes or seat.retired:
            return
        seat.retired = seat.settled = True
        seat.dismiss()
        left = sum(not other.retired for other in self._seats)
        times = f"failed {seat.strikes} times in a row and " if strikes == 1 else ""
        said = f"{seat.name.capitalize()} {times}is given up"
        self._tell(f"{said}, which leaves {counted(left, self.name)}: {reason}.")
        if not left:
            self._over = f"{said}, the last there was: {reason}"
            self._idle.put_nowait(None)

    async def _account(self, seat: Seat) -> Account | None:
        try:
            return await seat.actor.account.remote(seat.name, self._began)
        except RayError:
            return None
