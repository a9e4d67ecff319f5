"""A pool: interchangeable workers behind one awaitable call, in this process or elsewhere.

The engine, the search and the measurer speak to pools only, so the same code drives one object in
this process and pools of actors on a cluster.
"""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any, Protocol

from chameleon_ray.ledger import Account, Ledger, epoch


class PoolError(RuntimeError):
    """A call that several workers of a pool died of; says which."""


class NoWorkers(RuntimeError):
    """A pool all of whose workers had to be given up; says why the last one was."""


class Lost(RuntimeError):
    """What a call was given by reference is gone: what made it has to be done again."""


class Unfit(RuntimeError):
    """Raised by a factory or in a receiving, where this place can never do the work; says why."""


class Pool(Protocol):
    """Workers that all offer the same methods."""

    async def do(self, method: str, *args: Any) -> Any:
        """Has one worker call a method; waits until one is free.

        A worker that dies is replaced and the call made again; an exception of the method itself
        is raised here.

        Raises:
            PoolError: Several workers died of this call, one after the other.
            Lost: The node that kept an argument is gone.
            NoWorkers: All were given up.
        """
        ...

    async def broadcast(self, method: str, *args: Any) -> None:
        """Has every worker call a method before it does anything else, those too that join later.

        Does not wait for them. What the method returns is told of the worker, if it is not empty;
        a worker that it fails on is replaced, and given up if it does so again and again, or at
        once if it raises ``Unfit``.

        Raises:
            Lost: The node that kept an argument is gone.
        """
        ...

    async def ready(self) -> None:
        """Waits until every worker has been set up."""
        ...

    async def accounts(self) -> list[Account]:
        """Where the time of each worker went."""
        ...

    def close(self) -> None:
        """Lets all workers go."""
        ...


class Worker:
    """A plain object and its ledger; what an actor hosts."""

    def __init__(self, factory: Callable[[], Any], phases: dict[str, str]) -> None:
        self._object = factory()
        self._phases = phases
        self._ledger = Ledger()

    def do(self, method: str, *args: Any) -> Any:
        with self._ledger.phase(self._phases.get(method, method)):
            return getattr(self._object, method)(*args)

    def account(self, name: str, began: float) -> Account:
        return self._ledger.account(name, began)

    def close(self) -> None:
        if hasattr(self._object, "close"):
            self._object.close()


class InProcessPool:
    """One worker in this process. Arguments and results are pickled all the same, so that what
    works here works with actors."""

    def __init__(
        self, name: str, factory: Callable[[], Any], phases: dict[str, str], began: float
    ) -> None:
        self.name = name
        self._worker, self._began = Worker(factory, phases), epoch(began)

    async def do(self, method: str, *args: Any) -> Any:
        await asyncio.sleep(0)  # a deadline or Ctrl-C may take effect between two calls
        arguments = pickle.loads(pickle.dumps(args))
        return pickle.loads(pickle.dumps(self._worker.do(method, *arguments)))

    async def broadcast(self, method: str, *args: Any) -> None:
        """There is one worker, which does it now."""
        await self.do(method, *args)

    async def ready(self) -> None:
        """A worker of this process is set up when it is made."""

    async def accounts(self) -> list[Account]:
        return [self._worker.account(self.name, self._began)]

    def close(self) -> None:
        self._worker.close()
