"""Balances builds: idle runners do builds that would otherwise wait for the builders.

On a small machine all wait for the builders, and the cores that time kernels would be idle between
two runs. A build on these cores disturbs no timing, as a runner does one thing at a time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class BuildBalance:
    """Counts builds and runs under way; calls of one pool of builders and one of runners."""

    def __init__(self, enough: int) -> None:
        """Takes the number of builds given to the builders at once; any further build waits."""
        self._enough, self._building, self._running = enough, 0, 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def build(self) -> AsyncIterator[bool]:
        """Counts one build while it lasts; yields whether the runners are to do it.

        It waits until either pool has room.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._room or not self._running)
            helps = not self._room
            self._count(helps, 1)
        try:
            yield helps
        finally:
            await self._over(helps)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Counts one run while it lasts."""
        self._count(True, 1)
        try:
            yield
        finally:
            await self._over(True)

    @property
    def _room(self) -> bool:
        return self._building < self._enough

    def _count(self, running: bool, change: int) -> None:
        self._running += change if running else 0
        self._building += 0 if running else change

    async def _over(self, running: bool) -> None:
        self._count(running, -1)
        async with self._changed:
            self._changed.notify()
