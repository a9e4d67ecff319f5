"""TVM's threads, each on a core of its own.

Threads that are free to move are often put on the same core when they begin, as after everything
else was frozen, and stay there for longer than a timing takes.
"""

import os
from collections.abc import Sequence
from threading import Lock

BIND = "TVM_BIND_THREADS"
"""Variable without which TVM binds no thread; it is read whenever TVM is to."""
_BINDING = Lock()
"""Held by whoever sets the variable."""
ONE_CORE_EACH = -2
"""TVM's number of the way in which every thread has a core of its own."""


def pin(cores: Sequence[int]) -> None:
    """Binds the threads of a kernel that this thread calls, itself included, to a core each.

    Args:
        cores: The cores, as many as TVM has threads. With one there is nothing to bind.
    """
    import tvm

    if len(cores) == 1:
        return
    configure = tvm.get_global_func("runtime.config_threadpool")
    with _BINDING:
        before, os.environ[BIND] = os.environ.get(BIND), "1"
        try:
            configure(ONE_CORE_EACH, len(cores), [str(core) for core in cores])
        finally:
            os.environ[BIND] = before or "0"
    os.sched_setaffinity(0, cores[:1])  # TVM lets the thread that calls have all of them
