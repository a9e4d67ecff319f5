"""The zygote and its children: the side of ``Isolate`` that does the jobs.

What a job does to its process stays there: a copy of the process that a job leaves behind cannot
answer, the channel's descriptor is out of the way of those that a job closes or hands on, and all
processes that a job started end with the child.
"""

import contextlib
import fcntl
import gc
import importlib
import os
import pickle
import resource
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any

from chameleon_ray.errors import UserError
from chameleon_ray.importing import uncollected
from chameleon_ray.measure import lifetime
from chameleon_ray.measure.message import Stamp, packed, receive, send
from chameleon_ray.measure.scratch import remove_own
from chameleon_ray.measure.setting import Setting

FORK, KILL, AWAIT = b"F", b"K", b"A"
"""Commands to a zygote: fork a child, kill the last one, or let it end for ``GRACE`` before."""
PID = struct.Struct("<i")
"""The reply to ``FORK``: the child's id."""
END = struct.Struct("<i?")
"""The reply to the others: the child's status, and whether the zygote had to kill it."""
GRACE = 2.0
"""Seconds in which a child whose channel is closed has ended, if it is ending."""
HIGHEST_DESCRIPTOR = 8000
"""Most for the number of the channel's descriptor; low ones are those that programs close."""


def serve(control: socket.socket) -> None:
    """Warms up, then forks and ends children as the parent commands, until that is gone."""
    lifetime.die_with_parent()
    lifetime.adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setting: Setting = pickle.loads(receive(control)[1])
    if setting.cores is not None:
        os.sched_setaffinity(0, setting.cores)
    if setting.freezer is not None:
        setting.freezer.join(group=True)
    with uncollected():
        handler = _handler(setting)
    gc.freeze()  # children need not look for garbage in what was imported
    own, pid, stuck = os.getpid(), 0, set[int]()

    def leave(*_: object) -> None:
        if os.getpid() == own:  # and no child that has just been forked
            lifetime.end_children(stuck)
            remove_own()  # the parent may have been killed
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    lifetime.die_with_parent(signal.SIGTERM)  # from now on there are children to end before
    while True:
        command, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if command == FORK:
            pid = os.fork()
            if pid == 0:
                control.close()
                _child(_kept_apart(descriptors[0]), handler, setting)
            os.close(descriptors[0])
            control.sendall(PID.pack(pid))
        elif command in (KILL, AWAIT):
            status, killed = lifetime.ended(pid, GRACE if command == AWAIT else 0.0)
            if status == lifetime.STUCK:
                stuck.add(pid)
            lifetime.end_children(stuck)
            control.sendall(END.pack(status, killed))
        else:
            leave()


def _handler(setting: Setting) -> Callable[[Any], Any]:
    module, _, factory = setting.handler.partition(":")
    return getattr(importlib.import_module(module), factory)(setting.argument)


def _kept_apart(descriptor: int) -> socket.socket:
    """Moves a channel to a high descriptor that no program started from here inherits."""
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], HIGHEST_DESCRIPTOR)
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(descriptor, most - 8))
    os.close(descriptor)
    return socket.socket(fileno=high)


def _child(channel: socket.socket, handler: Callable[[Any], Any], setting: Setting) -> None:
    """Does jobs until the parent is gone."""
    lifetime.die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    own, identity = os.getpid(), os.fstat(channel.fileno())
    descriptor = channel.fileno()

    def is_open() -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(descriptor), identity)
        return False

    def close_in_copy() -> None:
        if is_open():
            os.close(descriptor)

    os.register_at_fork(after_in_child=close_in_copy)
    if setting.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (setting.memory_bytes, setting.memory_bytes))
    while True:
        try:
            stamp, job = receive(channel)
        except EOFError:
            os._exit(0)
        body = _answer(handler, pickle.loads(job), setting.memory_bytes)
        if os.getpid() != own:  # the job forked, and returned in the copy, too
            os._exit(0)
        if not is_open():
            signal.pause()  # the parent has seen the end of the channel, and ends this process
        send(channel, body, Stamp(stamp.number, own))


def _answer(handler: Callable[[Any], Any], job: Any, most: int | None) -> bytes:
    """Does a job and packs what comes of it: whether it went well, value or error, for whom.

    Any exception is an answer; only what is worse is a crash.
    """
    try:
        try:
            return packed((True, handler(job), False))
        except MemoryError:
            there = "there is" if most is None else f"{most >> 20} MiB"
            return packed((False, f"it needs more memory than {there}", False))
        except UserError as error:
            return packed((False, str(error), True))
        except SystemExit as error:
            return packed((False, f"it ended Python by sys.exit({error.code!r})", False))
        except BaseException as error:
            text = f": {error}".rstrip(": ") or " without a message"
            return packed((False, f"{type(error).__name__}{text}", False))
    except BaseException as error:  # also of an exception that has no text
        return packed((False, f"{type(error).__name__} without a message", False))
