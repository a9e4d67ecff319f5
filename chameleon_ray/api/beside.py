"""Blocking work beside the event loop: a function in, a future of what it returns out."""

import asyncio
from collections.abc import Callable
from typing import Any


def beside(work: Callable[..., Any], *arguments: Any) -> asyncio.Future:
    """Has a thread do it; an error is not complained of where something else failed first."""
    future = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    future.add_done_callback(_heard)
    return future


def _heard(future: asyncio.Future) -> None:
    if not future.cancelled():
        future.exception()
