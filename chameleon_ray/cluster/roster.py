"""The roster: who works in a crew; lost actors are replaced, and a cluster's nodes are followed."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ray.exceptions import RayError

from chameleon_ray.cluster.line import Line
from chameleon_ray.cluster.placement import Look, Node, Spread, nodes
from chameleon_ray.cluster.seat import Seat, blame, counted, reason, titled
from chameleon_ray.crew import Unfit
from chameleon_ray.options import Placing

logger = logging.getLogger(__name__)
Hire = Callable[[Node | None], Any]
"""Makes an actor, on a node where one is given; returns at once."""


class Roster:
    """Opens a line's seats, fills them, and gives them up."""

    def __init__(
        self,
        name: str,
        line: Line,
        hire: Hire,
        spread: Spread | None,
        look: Look,
        patient: bool,
        options: Placing,
        tell: Callable[[str], None],
    ) -> None:
        """Begins nothing; for the arguments see ``ActorCrew``."""
        self.name, self._line, self._new = name, line, hire
        self._spread, self._nodes, self._patient = spread, look, patient
        self._options, self._tell = options, tell
        self._unsettled: list[Seat] = []
        self._briefings: list[tuple[str, tuple[Any, ...]]] = []
        self._tasks: set[asyncio.Task] = set()
        self._numbered = 0
        self._followed = self._lost_one = False

    def start(self) -> None:
        """Begins what needs an event loop: waiting for actors, and following the cluster."""
        if self._spread and not self._followed:
            self._followed = True
            self._look(self._nodes(), first=True)
            if not self._line.seats:
                self._tell(f"No node has a place for a {self.name} yet; one that joins may.")
            self._begin(self._follow())
        while self._unsettled:
            seat = self._unsettled.pop()
            self._begin(self._settle(seat, seat.actor))

    def brief(self, method: str, args: tuple[Any, ...]) -> None:
        """Workers get no call from now on until they have done this one."""
        self._briefings.append((method, args))
        for seat in self._line.seats:
            if seat.ready and not seat.briefing:
                seat.briefing = True
                self._begin(self._settle(seat, seat.actor))

    def close(self) -> None:
        """Lets all actors go; calls come to nothing from now on."""
        for task in self._tasks:
            task.cancel()
        self._line.end(f"all {self.name} workers were let go")
        for seat in self._line.seats:
            seat.dismiss()
        self._line.seats.clear()

    def open(self, node: Node | None) -> None:
        """A new seat."""
        self._numbered += 1
        where = f" on node {node.address}" if node else ""
        seat = Seat(f"{self.name} {self._numbered}{where}", node)
        self._line.seats.append(seat)
        self._hire(seat)

    async def alive(self, seat: Seat) -> bool:
        """Whether a worker answers; one that does not is replaced."""
        actor = seat.actor
        if actor is None:
            return False
        try:
            await actor.account.remote("", 0.0)
        except RayError as error:
            if seat.actor is actor:
                self.lose(seat, error, begun=False)
            return False
        return seat.actor is actor

    def lose(self, seat: Seat, error: Exception, begun: bool = True) -> None:
        """A worker died, or does not answer: replaces it.

        Args:
            seat: Where it worked.
            error: How that became known.
            begun: It was doing the first of its calls, which may have killed it.
        """
        if seat.node and seat.node.id not in {node.id for node in nodes()}:
            self._leave(seat.node)
            return
        calls = seat.dismiss()
        if begun:
            blame(calls, seat, error)
        logger.info("%s was lost: %s", seat.name, error)
        unfit = Unfit.__name__ in str(error)  # Ray tells in words only what a factory raised
        self.strike(seat, reason(error), self._options.strikes if unfit else 1)
        if not seat.retired:
            self._hire(seat)
            self.start()
            if not self._lost_one:
                self._lost_one = True
                self._tell(
                    f"{titled(seat.name)} was lost and is replaced, as others will be without "
                    f"a word; what it was doing is done again: {reason(error)}."
                )

    def strike(self, seat: Seat, why: str, strikes: int = 1) -> None:
        """Counts against a worker; the last time it is given up."""
        seat.strikes += strikes
        if seat.strikes < self._options.strikes or seat.retired:
            return
        seat.retired = seat.settled = True
        seat.dismiss()
        left = sum(not other.retired for other in self._line.seats)
        times = f"failed {seat.strikes} times in a row and " if strikes == 1 else ""
        said = f"{titled(seat.name)} {times}is given up"
        self._tell(f"{said}, which leaves {counted(left, self.name)}: {why}.")
        if not left:
            self._line.end(f"{said}, the last there was: {why}")
        self._line.move()

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._options.look_seconds)
            try:
                self._look(await asyncio.to_thread(self._nodes))
            except (RayError, RuntimeError, OSError):  # Ray's head is silent, perhaps for a moment
                logger.info("the nodes cannot be looked at", exc_info=True)
            self.start()

    def _look(self, found: tuple[Node, ...], first: bool = False) -> None:
        """Lets the actors of lost nodes go, and gives every node as many as it is to have."""
        living, seats = {node.id for node in found}, self._line.seats
        for node in {seat.node for seat in seats if seat.node and seat.node.id not in living}:
            self._leave(node)
        assert self._spread is not None
        for node in found:
            missing = self._spread(node) - len(self._on(node))
            for _ in range(missing):
                self.open(node)
            if missing > 0 and not first:
                self._tell(f"Node {node.address} joined, with {counted(missing, self.name)}.")

    def _leave(self, node: Node) -> None:
        """A node is gone, and with it its actors."""
        gone = self._on(node)
        for seat in gone:
            self._line.seats.remove(seat)
            seat.dismiss()
        left = any(not seat.retired for seat in self._line.seats)
        rest = "; what they were doing is done elsewhere" if left else ", the last there was"
        self._tell(f"Node {node.address} was lost, with {counted(len(gone), self.name)}{rest}.")
        if not (left or self._patient):
            self._line.end(f"Node {node.address} was lost, the last that had a {self.name}")
        self._line.move()

    def _on(self, node: Node) -> list[Seat]:
        return [seat for seat in self._line.seats if seat.node and seat.node.id == node.id]

    def _hire(self, seat: Seat) -> None:
        seat.actor = self._new(seat.node)
        self._unsettled.append(seat)

    async def _settle(self, seat: Seat, actor: Any) -> None:
        """A worker gets calls once it has been set up and briefed; nothing if it was lost since."""
        if seat.actor is not actor:
            return
        if (seat.ready or await self.alive(seat)) and await self._briefed(seat):
            seat.ready = seat.settled = True
            seat.briefing = False
            self._line.move()

    async def _briefed(self, seat: Seat) -> bool:
        """Whether a worker has had all briefings; one that fails in one is replaced."""
        actor = seat.actor
        while seat.actor is actor and seat.briefed < len(self._briefings):
            method, args = self._briefings[seat.briefed]
            try:
                async with asyncio.timeout(self._options.call_seconds):
                    said = await actor.do.remote(method, *args)
            except (RayError, TimeoutError) as error:
                if seat.actor is actor:
                    self.lose(seat, error)
                return False
            if seat.actor is actor:
                seat.briefed += 1
                if said and not seat.noted:
                    seat.noted = True
                    self._tell(f"{titled(seat.name)} {said}.")
        return seat.actor is actor
