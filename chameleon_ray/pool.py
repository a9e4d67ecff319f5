"""A pool: interchangeable workers behind one awaitable, typed call, in this process or elsewhere.

The engine, the search and the measurer know pools only. So the same code drives one object in this
process and actors on a cluster.
"""

import asyncio
import pickle
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from chameleon_ray.errors import UserError
from chameleon_ray.ledger import Account, Ledger, epoch

P = ParamSpec("P")
T = TypeVar("T")
Method = Callable[..., Any]
"""A method of the workers' class or protocol, such as ``Builder.build``; its name goes by wire."""


class PoolError(UserError):
    """A call that several workers of a pool died of; says which."""


class NoWorkers(UserError):
    """A pool that had to give up all of its workers; says why the last one was given up."""


class Lost(RuntimeError):
    """An argument that was passed by reference is gone; what made it has to be done again."""


class Unfit(UserError):
    """Raised by a factory or in a broadcast: this place can never do the work; says why."""


class Pool(Protocol):
    """Workers that all offer the same methods."""

    async def call(
        self, method: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Has one worker call a method; waits until one is free.

        A worker that dies is replaced and the call made again. An exception that the method itself
        raises is raised here.

        Args:
            method: Of the workers' class or protocol, such as ``Builder.build``.
            args: Its arguments, ``self`` left out.
            kwargs: Its arguments by name.

        Raises:
            PoolError: Several workers died of this call, one after the other.
            Lost: The node that kept an argument is gone.
            NoWorkers: All were given up.
        """
        ...

    async def broadcast(
        self, method: Callable[Concatenate[Any, P], str], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Has every worker call a method before any other call, also workers that join later.

        Does not wait for them. A text that the method returns is reported of the worker, unless it
        is empty. A worker on which the method fails is replaced. It is given up if that happens
        again and again, or at once if the method raises ``Unfit``.

        Raises:
            Lost: The node that kept an argument is gone.
        """
        ...

    async def ready(self) -> None:
        """Waits until every worker has been set up."""
        ...

    async def accounts(self) -> list[Account]:
        """Returns where the time of each worker went."""
        ...

    def close(self) -> None:
        """Lets all workers go."""
        ...


def phases_by_name(phases: Mapping[Method, str]) -> dict[str, str]:
    """Phases of the ledger by the name of the method that is booked under them."""
    return {method.__name__: phase for method, phase in phases.items()}


def _same(argument: Any) -> Any:
    return argument


class Worker:
    """A plain object and its ledger; what a pool has several of, and an actor hosts."""

    def __init__(
        self,
        factory: Callable[[], Any],
        phases: Mapping[str, str],
        fetch: Callable[[Any], Any] = _same,
    ) -> None:
        """Makes the object.

        Args:
            factory: Makes it.
            phases: The ledger's phase by method name, where it is not the method's name.
            fetch: Gives an argument that was passed by reference; its time is in no phase.
        """
        self._object = factory()
        self._phases, self._fetch = phases, fetch
        self._ledger = Ledger()

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of the object by its name, as it came by wire."""
        args = tuple(map(self._fetch, args))
        with self._ledger.phase(self._phases.get(name, name)):
            return getattr(self._object, name)(*args, **kwargs)

    def account(self, name: str, began: float) -> Account:
        return self._ledger.account(name, began)

    def close(self) -> None:
        if hasattr(self._object, "close"):
            self._object.close()


class InProcessPool:
    """One worker in this process. Arguments and results are pickled all the same, so that what
    works here works with actors."""

    def __init__(
        self,
        name: str,
        factory: Callable[[], Any],
        phases: Mapping[Method, str],
        began: float,
    ) -> None:
        self.name = name
        self._worker, self._began = Worker(factory, phases_by_name(phases)), epoch(began)

    async def call(
        self, method: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See ``Pool.call``."""
        await asyncio.sleep(0)  # a deadline or Ctrl-C may take effect between two calls
        arguments, named = pickle.loads(pickle.dumps((args, kwargs)))
        result = self._worker.call(method.__name__, *arguments, **named)
        answer: T = pickle.loads(pickle.dumps(result))
        return answer

    async def broadcast(
        self, method: Callable[Concatenate[Any, P], str], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """See ``Pool.broadcast``; there is one worker, which calls the method now."""
        await self.call(method, *args, **kwargs)

    async def ready(self) -> None:
        """Returns at once: a worker of this process is set up when it is made."""

    async def accounts(self) -> list[Account]:
        return [self._worker.account(self.name, self._began)]

    def close(self) -> None:
        self._worker.close()
