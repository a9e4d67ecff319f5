"""The threads of linear algebra, which the search keeps to one: others time kernels meanwhile."""

from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def pools() -> ThreadpoolController:
    """Returns the thread pools of this process's linear algebra; cached, as the search is slow."""
    return ThreadpoolController()
