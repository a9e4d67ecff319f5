"""A crew of Ray actors: a factory of plain objects in, awaitable calls to its replicas out.

A dead actor costs the call it was doing, which is made again on another one, and is replaced.
Calls that only waited for it are made again, too.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from chameleon_ray.crew import CrewError, Worker
from chameleon_ray.ledger import Account, epoch

ATTEMPTS = 3
"""Workers that one call may lose before it is given up, each of which was doing it."""

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Call:
    """One call: whether it must have an actor to itself, and the seat that it will get."""

    alone: bool
    seat: "asyncio.Future[Seat]"


@dataclass(eq=False)
class Seat:
    """One actor, its name, and the calls it was given; the first is the one it is doing."""

    actor: Any
    name: str
    calls: list[Call] = field(default_factory=list)

    def takes(self, call: Call, most: int) -> bool:
        """Whether it may be given a call besides those it has, of which there are ``most``."""
        if call.alone:
            return not self.calls
        return len(self.calls) < most and not any(other.alone for other in self.calls)


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
        ahead: int = 0,
        kept: Collection[str] = (),
    ) -> None:
        """Starts the actors and returns at once.

        Args:
            name: The crew, for people.
            factory: Picklable; called once in each actor.
            phases: The ledger's name for the time spent in a method.
            began: ``time.perf_counter()`` when the run began.
            count: Actors.
            resources: Ray options of each actor; no CPUs are reserved unless asked for.
            ahead: Calls an actor is given besides the one it is doing, so that it need not wait
                for the next one; an actor that has nothing to do is given a call first.
            kept: Methods whose results this process does not look at, but hands to other crews:
                they stay where they are until an actor wants them. What is returned stands for
                them among the arguments of ``do``.
        """
        self.name, self._factory, self._phases = name, factory, dict(phases)
        self._began, self._kept = epoch(began), frozenset(kept)
        self._actor = ray.remote(Worker).options(**{"num_cpus": 0, **(resources or {})})
        self._seats: list[Seat] = []
        self._hired = 0
        self._most = 1 + ahead
        self._waiting: deque[Call] = deque()
        for _ in range(count):
            self._hire()

    async def do(self, method: str, *args: Any) -> Any:
        """Has the actor with the fewest calls do another one; see ``Crew.do``.

        A call whose actor died is made again on one that is given no other call meanwhile: an
        answer may be lost with the call that follows it, and only then is it clear who is to blame.
        """
        lost, again = 0, False
        while lost < ATTEMPTS:
            call = self._ask(alone=again)
            try:
                seat = await call.seat
                return await self._call(seat.actor, method, args)
            except RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except RayError as error:
                lost, again = lost + (seat.calls[0] is call), True
                self._replace(seat, error)
            finally:
                self._leave(call)
        raise CrewError(
            f"{ATTEMPTS} {self.name} workers died one after the other while doing '{method}'; "
            "their logs are in Ray's session folder."
        )

    def _ask(self, alone: bool) -> Call:
        """Waits in line; what is made again goes first."""
        call = Call(alone, asyncio.get_running_loop().create_future())
        if alone:
            self._waiting.appendleft(call)
        else:
            self._waiting.append(call)
        self._assign()
        return call

    def _leave(self, call: Call) -> None:
        """Gives up a seat, or the wait for one."""
        if call in self._waiting:
            self._waiting.remove(call)
        elif not call.seat.cancelled() and (seat := call.seat.result()) in self._seats:
            seat.calls.remove(call)
        self._assign()

    def _assign(self) -> None:
        """Gives seats to those who wait, as far as there are any."""
        while self._waiting:
            call = self._waiting[0]
            free = [seat for seat in self._seats if seat.takes(call, self._most)]
            if not free:
                return
            self._waiting.popleft()
            if not call.seat.cancelled():
                seat = min(free, key=lambda one: len(one.calls))
                seat.calls.append(call)
                call.seat.set_result(seat)

    async def _call(self, actor: Any, method: str, args: tuple) -> Any:
        """A method's result, or what stands for it."""
        if method not in self._kept:
            return await actor.do.remote(method, *args)
        done, result = actor.keep.options(num_returns=2).remote(method, *args)
        await done
        return result

    async def ready(self) -> None:
        """Waits until every actor has been set up."""
        await asyncio.gather(*(self._settle(seat.actor) for seat in self._seats))

    async def accounts(self) -> list[Account]:
        accounts = await asyncio.gather(*(self._account(seat) for seat in self._seats))
        return [account for account in accounts if account is not None]

    def close(self) -> None:
        for seat in list(self._seats):
            self._dismiss(seat)

    def _hire(self) -> None:
        self._hired += 1
        actor = self._actor.remote(self._factory, self._phases)
        self._seats.append(Seat(actor, f"{self.name} {self._hired}"))

    def _replace(self, seat: Seat, error: Exception) -> None:
        """Puts a new actor in a dead one's place; the first call to notice does so."""
        if seat in self._seats:
            logger.warning("%s was lost and is replaced: %s", seat.name, _reason(error))
            self._dismiss(seat)
            self._hire()

    def _dismiss(self, seat: Seat) -> None:
        self._seats.remove(seat)
        ray.kill(seat.actor)

    async def _settle(self, actor: Any) -> None:
        with contextlib.suppress(RayError):  # the first call to it finds out and replaces it
            await actor.account.remote("", 0.0)

    async def _account(self, seat: Seat) -> Account | None:
        try:
            return await seat.actor.account.remote(seat.name, self._began)
        except RayError:
            return None


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
