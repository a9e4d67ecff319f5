"""Slots, the places that a pool's actors come and go on, and the calls that wait for one."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayTaskError

from chameleon_ray.cluster.placement import Node
from chameleon_ray.measure.isolate import IsolateError
from chameleon_ray.pool import NoWorkers, Unfit


@dataclass(eq=False)
class Call:
    """One call of a pool, until it has its result.

    Attributes:
        losses: Slots whose workers died, or did not answer, while they were doing the call.
        alone: Whether the next worker is given no other call meanwhile, as a worker that had the
            call was lost. An answer may be lost with the call that follows it. Alone, it is clear
            which call is to blame.
        failed: Slot whose result was a failure that another worker is to confirm.
        failure: Result in doubt.
        turn: Future of the slot that does the call; made anew whenever the call queues.
    """

    losses: "list[Slot]" = field(default_factory=list)
    alone: bool = False
    failed: "Slot | None" = None
    failure: Any = None
    turn: "asyncio.Future[Slot]" = field(init=False)


@dataclass(eq=False)
class Slot:
    """One worker's place in a pool, kept while the actors on it come and go.

    Attributes:
        name: Name of the worker, for people.
        node: Node that the slot's actors have to be on; None where Ray chooses.
        actor: Present actor.
        ready: Whether the actor is set up and has had every broadcast that was due then.
        received: Number of broadcasts that the actor has had.
        receiving: Whether the actor is busy with a broadcast; it gets no calls until that is done.
        noted: Whether a text that a broadcast returned was reported.
        calls: Calls given to the actor, which is doing the first one.
        failing: Number of failures in a row, first time-outs included.
        failures: Number of doubtful results in a row.
        strikes: Number of losses, and of failures that others did not confirm, in a row.
        settled: Whether the first actor was set up, or the slot was given up.
        retired: Whether the slot is given up.
    """

    name: str
    node: Node | None
    actor: Any = None
    ready: bool = False
    received: int = 0
    receiving: bool = False
    noted: bool = False
    calls: list[Call] = field(default_factory=list)
    failing: int = 0
    failures: int = 0
    strikes: int = 0
    settled: bool = False
    retired: bool = False

    def takes(self, call: Call, most: int) -> bool:
        """Whether the actor may be given a call; ``most`` counts it and those that it has."""
        if not self.ready or self.receiving or (call.alone and self.calls):
            return False
        return len(self.calls) < most and not any(other.alone for other in self.calls)

    def dismiss(self) -> list[Call]:
        """Lets the actor go, dead or alive; returns the calls that it had."""
        if self.actor is not None:
            ray.kill(self.actor)
        calls, self.calls = self.calls, []
        self.actor, self.ready, self.receiving, self.received = None, False, False, 0
        return calls


def blame(calls: list[Call], slot: Slot, error: Exception) -> None:
    """Books the loss of a worker against the call that it was doing, the first of these."""
    for call in calls:
        call.alone = True
    if not isinstance(error, IsolateError):  # then it is the place, whatever the call
        for call in calls[:1]:
            call.losses.append(slot)


def reason(error: Exception) -> str:
    """Tells why an actor is gone, by the first sentence of the last line of Ray's error."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    error = error.cause if isinstance(error, RayTaskError) else error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1].removeprefix(f"{Unfit.__module__}.{Unfit.__name__}: ") if lines else ""
    return last.partition(". ")[0].rstrip(".") or type(error).__name__


def titled(name: str) -> str:
    """Gives a name the capital letter that begins a sentence."""
    return name[:1].upper() + name[1:]


def counted(count: int, name: str) -> str:
    """Returns a count and a noun, such as ``2 builders``."""
    return f"{count} {name}{'' if count == 1 else 's'}"


class Slots:
    """A pool's slots and its queue of calls.

    Calls are served in their order, by the worker with the fewest calls. Calls that are made again
    go first.

    Attributes:
        all: Slots of the pool, those that were given up included.
        over: Reason why no call will ever be served again; empty until then.
    """

    def __init__(self, most: int) -> None:
        """Makes an empty queue.

        Args:
            most: Most calls that a worker may be given, the one that it is doing included.
        """
        self.all: list[Slot] = []
        self.over = ""
        self._most = most
        self._waiting: deque[Call] = deque()

    async def acquire(self, call: Call) -> Slot:
        """Waits for a slot to do the call.

        Raises:
            NoWorkers: All workers were given up.
        """
        if self.over:
            raise NoWorkers(self.over)
        call.turn = asyncio.get_running_loop().create_future()
        if call.alone or call.failed:
            self._waiting.appendleft(call)
        else:
            self._waiting.append(call)
        self.dispatch()
        return await call.turn

    def release(self, call: Call) -> None:
        """Forgets a call that is done, or no longer wanted, whether it waits or has a slot."""
        if call in self._waiting:
            self._waiting.remove(call)
        for slot in self.all:
            if call in slot.calls:
                slot.calls.remove(call)
        self.dispatch()

    def dispatch(self) -> None:
        """Gives waiting calls to free slots."""
        while self._waiting:
            call = self._waiting[0]
            fit = self.others(call.failed) if call.failed else []
            free = [slot for slot in fit or self.all if slot.takes(call, self._most)]
            if not free:
                return
            self._waiting.popleft()
            if not call.turn.cancelled():
                slot = min(free, key=lambda slot: len(slot.calls))
                slot.calls.append(call)
                call.turn.set_result(slot)

    def others(self, failed: Slot) -> list[Slot]:
        """Returns the slots that may give a second opinion: set up, and without recent failures."""
        return [
            slot for slot in self.all if slot is not failed and slot.ready and not slot.failures
        ]

    def shut(self, reason: str) -> None:
        """Ends the queue where no worker is left: every waiting call is told why."""
        self.over = reason
        while self._waiting:
            call = self._waiting.popleft()
            if not call.turn.cancelled():
                call.turn.set_exception(NoWorkers(reason))
