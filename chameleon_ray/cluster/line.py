"""The line: calls that wait in, the seat at which each of them is done out."""

import asyncio
from collections import deque

from chameleon_ray.cluster.seat import Call, Seat
from chameleon_ray.crew import NoWorkers


class Line:
    """First come, first served, by the worker that has the fewest calls; what is done again goes
    first.

    Attributes:
        seats: All of the crew, those that were given up included.
        over: Why nobody will ever be served again; empty until then.
    """

    def __init__(self, most: int) -> None:
        """Takes how many calls a worker is given, the one that it is doing included."""
        self.seats: list[Seat] = []
        self.over = ""
        self._most = most
        self._waiting: deque[Call] = deque()

    async def seat(self, call: Call) -> Seat:
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
        self.move()
        return await call.turn

    def leave(self, call: Call) -> None:
        """The call is done, or no longer wanted, wherever it is."""
        if call in self._waiting:
            self._waiting.remove(call)
        for seat in self.seats:
            if call in seat.calls:
                seat.calls.remove(call)
        self.move()

    def move(self) -> None:
        """Gives seats to those who wait, as far as there are any."""
        while self._waiting:
            call = self._waiting[0]
            fit = self.others(call.failed) if call.failed else []
            free = [seat for seat in fit or self.seats if seat.takes(call, self._most)]
            if not free:
                return
            self._waiting.popleft()
            if not call.turn.cancelled():
                seat = min(free, key=lambda seat: len(seat.calls))
                seat.calls.append(call)
                call.turn.set_result(seat)

    def others(self, failed: Seat) -> list[Seat]:
        """Who may give a second opinion: they are set up, and have not failed lately."""
        return [
            seat for seat in self.seats if seat is not failed and seat.ready and not seat.failures
        ]

    def end(self, reason: str) -> None:
        """Nobody is left: all who wait are told why."""
        self.over = reason
        while self._waiting:
            call = self._waiting.popleft()
            if not call.turn.cancelled():
                call.turn.set_exception(NoWorkers(reason))
