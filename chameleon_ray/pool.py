"""A pool: interchangeable workers behind one awaitable, typed call, in this process or elsewhere.

The engine, the search and the measurer know pools only. So the same code drives one object in this
process and actors on a cluster.
"""

import asyncio
import pickle
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from chameleon_ray.errors import UserError
from chameleon_ray.importing import uncollected
from chameleon_ray.ledger import Account, Ledger, epoch

P = ParamSpec("P")
T = TypeVar("T")
Method = Callable[..., Any]
"""Method of the workers' class or protocol, such as ``Builder.build``; its name is sent."""


class PoolError(UserError):
    """Several workers of a pool died of one call; the text says which call."""


class NoWorkers(UserError):
    """A pool gave up all of its workers; the text says why the last one was given up."""


class Lost(RuntimeError):
    """An argument that was passed by reference is gone and has to be made again."""


class Unfit(UserError):
    """A place can never do the work; raised, with the reason, by a factory or in a broadcast."""


class Pool(Protocol):
    """Workers that all offer the same methods."""

    async def call(
        self, method: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Has one worker call a method; waits until one is free.

        A worker that dies is replaced and the call made again. An exception that the method itself
        raises is raised here.

        Args:
            method: Method of the workers' class or protocol, such as ``Builder.build``.
            args: Arguments of the method, without ``self``.
            kwargs: Arguments of the method by name.

        Raises:
            PoolError: Several workers died of this call, one after the other.
            Lost: The node that kept an argument is gone.
            NoWorkers: All workers were given up.
        """
        ...

    async def broadcast(
        self, method: Callable[Concatenate[Any, P], str], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Has every worker call a method before any other call, also workers that join later.

        The workers are not waited for. A text that the method returns is reported for the worker,
        unless it is empty. A worker on which the method fails is replaced. It is given up if that
        happens again and again, or at once if the method raises ``Unfit``.

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
        """Ends all workers."""
        ...


def phases_by_name(phases: Mapping[Method, str]) -> dict[str, str]:
    """Returns the phases of the ledger by the names of the methods booked under them."""
    return {method.__name__: phase for method, phase in phases.items()}


def _same(argument: Any) -> Any:
    return argument


class Worker:
    """A plain object and its ledger: one worker of a pool, hosted by an actor or this process."""

    def __init__(
        self,
        factory: Callable[[], Any],
        phases: Mapping[str, str],
        fetch: Callable[[Any], Any] = _same,
    ) -> None:
        """Makes the worker's object.

        Args:
            factory: Makes the object.
            phases: Phase of the ledger by method name, where it is not the method's name.
            fetch: Returns an argument that was passed by reference; its time is in no phase.
        """
        with uncollected():  # the parts of the search import much
            self._object = factory()
        self._phases, self._fetch = phases, fetch
        self._ledger = Ledger()

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a method of the object by the name that was sent."""
        args = tuple(map(self._fetch, args))
        kwargs = {key: self._fetch(value) for key, value in kwargs.items()}
        with self._ledger.phase(self._phases.get(name, name)):
            return getattr(self._object, name)(*args, **kwargs)

    def account(self, name: str, began: float) -> Account:
        return self._ledger.account(name, began)

    def close(self) -> None:
        if hasattr(self._object, "close"):
            self._object.close()


class InProcessPool:
    """One worker in this process.

    Arguments and results are pickled all the same, so that what works here works with actors.
    """

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
