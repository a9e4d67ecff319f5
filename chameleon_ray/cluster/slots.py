"""Slots: the places of a pool's actors, and the calls that wait for one of them."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import ray

from chameleon_ray.cluster.placement import Node
from chameleon_ray.measure.isolate import IsolateError
from chameleon_ray.pool import NoWorkers, Unfit


@dataclass(eq=False)
class Call:
    """One call of a pool, until it has its result.

    Attributes:
        losses: Where workers died, or did not answer, while they were doing it.
        alone: A worker that had it was lost, so the next one has no other call meanwhile: an answer
            may be lost with the call that follows it, and only then is it clear who is to blame.
        failed: Where its result was a failure that another worker is to confirm.
        failure: That result.
        turn: Has the slot at which it is done; made anew whenever it joins the line.
    """

    losses: "list[Slot]" = field(default_factory=list)
    alone: bool = False
    failed: "Slot | None" = None
    failure: Any = None
    turn: "asyncio.Future[Slot]" = field(init=False)


@dataclass(eq=False)
class Slot:
    """Who works here, at what, and how well.

    Attributes:
        name: For people.
        node: Where its actors have to be; wherever Ray puts them if None.
        actor: The one at work.
        ready: That actor was set up and received.
        received: How many broadcasts it has had.
        receiving: It is ready, but for another receiving.
        noted: What it said of itself in one was passed on.
        calls: What it was given; it is doing the first one.
        failures: Doubtful results in a row.
        strikes: Losses, and failures that others did not confirm, in a row.
        settled: Its first actor was set up, or the slot was given up.
        retired: It is given up.
    """

    name: str
    node: Node | None
    actor: Any = None
    ready: bool = False
    received: int = 0
    receiving: bool = False
    noted: bool = False
    calls: list[Call] = field(default_factory=list)
    failures: int = 0
    strikes: int = 0
    settled: bool = False
    retired: bool = False

    def takes(self, call: Call, most: int) -> bool:
        """Whether it may be given a call besides those that it has, ``most`` with this one."""
        if not self.ready or self.receiving or (call.alone and self.calls):
            return False
        return len(self.calls) < most and not any(other.alone for other in self.calls)

    def dismiss(self) -> list[Call]:
        """Lets the actor go, however it is; the calls that it had."""
        if self.actor is not None:
            ray.kill(self.actor)
        calls, self.calls = self.calls, []
        self.actor, self.ready, self.receiving, self.received = None, False, False, 0
        return calls


def blame(calls: list[Call], slot: Slot, error: Exception) -> None:
    """Their worker was lost while it was doing the first of them."""
    for call in calls:
        call.alone = True
    if not isinstance(error, IsolateError):  # then it is the place, whatever the call
        for call in calls[:1]:
            call.losses.append(slot)


def reason(error: Exception) -> str:
    """Why an actor is gone, in a sentence: the first of what Ray says last."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1].removeprefix(f"{Unfit.__module__}.{Unfit.__name__}: ") if lines else ""
    return last.partition(". ")[0].rstrip(".") or type(error).__name__


def titled(name: str) -> str:
    """A name as a sentence begins with it."""
    return name[:1].upper() + name[1:]


def counted(count: int, name: str) -> str:
    """So many of them."""
    return f"{count} {name}{'' if count == 1 else 's'}"


class Slots:
    """First come, first served, by the worker that has the fewest calls; what is done again goes
    first.

    Attributes:
        slots: All of the pool, those that were given up included.
        over: Why nobody will ever be served again; empty until then.
    """

    def __init__(self, most: int) -> None:
        """Takes how many calls a worker is given, the one that it is doing included."""
        self.all: list[Slot] = []
        self.over = ""
        self._most = most
        self._waiting: deque[Call] = deque()

    async def acquire(self, call: Call) -> Slot:
        """Waits for the call's turn.

        Raises:
            NoWorkers: It will never come.
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
        """The call is done, or no longer wanted, wherever it is."""
        if call in self._waiting:
            self._waiting.remove(call)
        for slot in self.all:
            if call in slot.calls:
                slot.calls.remove(call)
        self.dispatch()

    def dispatch(self) -> None:
        """Gives slots to those who wait, as far as there are any."""
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
        """Who may give a second opinion: they are set up, and have not failed lately."""
        return [
            slot for slot in self.all if slot is not failed and slot.ready and not slot.failures
        ]

    def shut(self, reason: str) -> None:
        """Nobody is left: all who wait are told why."""
        self.over = reason
        while self._waiting:
            call = self._waiting.popleft()
            if not call.turn.cancelled():
                call.turn.set_exception(NoWorkers(reason))
