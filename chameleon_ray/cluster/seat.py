"""A seat: one worker's place in a crew, kept while the actors on it come and go."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import ray

from chameleon_ray.cluster.placement import Node
from chameleon_ray.crew import Unfit
from chameleon_ray.measure.isolate import IsolateError


@dataclass(eq=False)
class Call:
    """One call of a crew, until it has its result.

    Attributes:
        losses: Where workers died, or did not answer, while they were doing it.
        alone: A worker that had it was lost, so the next one has no other call meanwhile: an answer
            may be lost with the call that follows it, and only then is it clear who is to blame.
        failed: Where its result was a failure that another worker is to confirm.
        failure: That result.
        turn: Has the seat at which it is done; made anew whenever it joins the line.
    """

    losses: "list[Seat]" = field(default_factory=list)
    alone: bool = False
    failed: "Seat | None" = None
    failure: Any = None
    turn: "asyncio.Future[Seat]" = field(init=False)


@dataclass(eq=False)
class Seat:
    """Who works here, at what, and how well.

    Attributes:
        name: For people.
        node: Where its actors have to be; wherever Ray puts them if None.
        actor: The one at work.
        ready: That actor was set up and briefed.
        briefed: How many briefings it has had.
        briefing: It is ready, but for another briefing.
        noted: What it said of itself in one was passed on.
        calls: What it was given; it is doing the first one.
        failures: Doubtful results in a row.
        strikes: Losses, and failures that others did not confirm, in a row.
        settled: Its first actor was set up, or the seat was given up.
        retired: It is given up.
    """

    name: str
    node: Node | None
    actor: Any = None
    ready: bool = False
    briefed: int = 0
    briefing: bool = False
    noted: bool = False
    calls: list[Call] = field(default_factory=list)
    failures: int = 0
    strikes: int = 0
    settled: bool = False
    retired: bool = False

    def takes(self, call: Call, most: int) -> bool:
        """Whether it may be given a call besides those that it has, ``most`` with this one."""
        if not self.ready or self.briefing or (call.alone and self.calls):
            return False
        return len(self.calls) < most and not any(other.alone for other in self.calls)

    def dismiss(self) -> list[Call]:
        """Lets the actor go, however it is; the calls that it had."""
        if self.actor is not None:
            ray.kill(self.actor)
        calls, self.calls = self.calls, []
        self.actor, self.ready, self.briefing, self.briefed = None, False, False, 0
        return calls


def blame(calls: list[Call], seat: Seat, error: Exception) -> None:
    """Their worker was lost while it was doing the first of them."""
    for call in calls:
        call.alone = True
    if not isinstance(error, IsolateError):  # then it is the place, whatever the call
        for call in calls[:1]:
            call.losses.append(seat)


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
