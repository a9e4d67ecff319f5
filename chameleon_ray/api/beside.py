"""Work beside other work: a function, or several coroutines, in, what they return out."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def beside(work: Callable[..., Any], *arguments: Any) -> asyncio.Future:
    """Has a thread do it; an error is not complained of where something else failed first."""
    future = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    future.add_done_callback(_heard)
    return future


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them return; the first error ends the others."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _heard(future: asyncio.Future) -> None:
    if not future.cancelled():
        future.exception()
