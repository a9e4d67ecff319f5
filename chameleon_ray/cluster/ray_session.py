"""A session of Ray: joins a cluster or starts a local one, quiet and checked, and ends it again.

By default Ray may join any cluster that it finds on the machine, listens on every interface, and
reports usage. It also runs its workers at nice 15, where a foreign process on the core falsifies
timings.
"""

import importlib.metadata
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import ray
import ray._raylet
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from chameleon_ray.cluster.address import AddressError, on_loopback, resolve
from chameleon_ray.cluster.asking import Silent, asked
from chameleon_ray.cluster.placement import Node, nodes
from chameleon_ray.cluster.ray_habits import (
    answered,
    environment,
    loopback,
    spare,
    stoppable,
    unheard,
    untrapped,
)
from chameleon_ray.cluster.reaper import MARK, end, reaped
from chameleon_ray.cluster.servers import LIMIT, let_go, lost, noted
from chameleon_ray.cluster.session_folder import session_folder
from chameleon_ray.cluster.versions import NONE, Versions, differences, reader
from chameleon_ray.cluster.workers_path import WorkersPath
from chameleon_ray.errors import RayLost, Stopped, UserError
from chameleon_ray.measure import rendezvous, scratch
from chameleon_ray.options import Session
from chameleon_ray.pool import Unfit

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_worker_niceness": "0",
}


class SessionError(UserError):
    """Ray cannot be used as asked; the message says why and what to do."""


@contextmanager
def start(
    address: str | None = None,
    cpus: int | None = None,
    gpus: int | None = None,
    options: Session = Session(),  # noqa: B008, frozen
) -> Iterator[None]:
    """Provides Ray for the length of a ``with`` block.

    A Ray runtime that this process already has is checked, used and left running.

    Args:
        address: The cluster to join (``auto``: the only one on this machine). None starts a
            local one, which listens on the loopback interface only and asks for a token.
        cpus: Number of cores that a local session hands out; all if None. A cluster has its own.
        gpus: Number of GPUs that a local session hands out; all if None.
        options: Sizes and time limits.

    Raises:
        SessionError: Ray did not start, could not be reached, or a node has other versions.
        RayLost: One of a private Ray's servers ended while it started.
        Stopped: There was a signal before Ray was there.
    """
    check_pins()
    if address is not None:
        address = found(address, options)
    if ray.is_initialized():
        check_nodes(options)
        yield
        return
    with ExitStack() as stack:
        arguments: dict[str, Any] = {"address": address}
        if address is None:
            arguments = {"num_cpus": cpus, "num_gpus": gpus} | stack.enter_context(own(options))
        private = address is None or on_loopback(address, options.knock_seconds)
        for prepared in (environment(QUIET), loopback(private), unheard(), untrapped()):
            stack.enter_context(prepared)
        stack.callback(_shut_down, address is None)
        connect(address, arguments, options.answer_seconds)
        check_nodes(options)
        yield


def _shut_down(private: bool) -> None:
    """Ends this process's part in Ray, and all of a private one."""
    if private:
        let_go()
    ray.shutdown()


@contextmanager
def own(options: Session) -> Iterator[dict[str, Any]]:
    """Prepares for a Ray of this command alone, and provides what ``ray.init`` is to be told."""
    with (
        session_folder() as folder,
        reaped(folder, options.lost_seconds) as tell,
        noted(tell),
        spare(),
        environment(LIMIT | locked(), {MARK: str(folder)}),
    ):
        try:
            yield {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": options.store_bytes,
                "_temp_dir": str(folder / "r"),  # which Ray opens to everybody
            }
        finally:
            end(str(folder))  # agents whose server was killed would live on
            rendezvous.sweep()
            scratch.sweep()


def connect(address: str | None, arguments: Mapping[str, Any], patience: float) -> None:
    """Calls ``ray.init`` with arguments for it; it is quiet, and a signal ends it at once.

    A private Ray's control store has so many seconds of patience for an answer. Its processes carry
    the mark of its folder; what this one starts later does not.

    Raises:
        SessionError: Ray did not start, or could not be joined at the address.
        RayLost: One of the private Ray's servers ended meanwhile.
        Stopped: There was a signal. Of a private Ray nothing is left, or it is whole.
    """
    try:
        with stoppable(), answered(patience) if address is None else nullcontext():
            quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
            ray.init(**quiet, job_config=WorkersPath(), **arguments)
        os.environ.pop(MARK, None)
    except Stopped:
        if address is None and not ray.is_initialized():  # else it ends by itself, and sooner
            let_go()
            end(os.environ[MARK])
        raise
    except Exception as error:  # a node that starts too slowly is no more than that to Ray
        if why := lost():
            raise RayLost(f"{why} ({error})") from error
        where = f"Ray at {address} cannot be joined" if address else "Ray does not start here"
        advice = "is the address right, and are Ray and Python the same there?" if address else ""
        raise SessionError(f"{where}: {error} {advice}".strip()) from error


def found(address: str, options: Session) -> str:
    """Finds the address of the Ray that the user means.

    Raises:
        SessionError: There is none, or it is not clear which.
    """
    try:
        return resolve(address, options.knock_seconds)
    except AddressError as error:
        raise SessionError(str(error)) from error


def check_pins() -> None:
    """Compares this machine's distributions with the versions ``chameleon_ray`` asks for.

    Raises:
        SessionError: One is missing or of a version that was not tested.
    """
    ours, wrong = reader()(), []
    for text in importlib.metadata.requires("chameleon_ray") or []:
        wanted = Requirement(text)
        asked = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        version = ours.get(wanted.name) if asked else None
        if version is None or _is_in(version, wanted.specifier):
            continue
        fitting = str(wanted.specifier).removeprefix("==")
        wrong.append(f"{wanted.name} is {version} on this machine, but has to be {fitting}")
    if wrong:
        raise SessionError(f"{'; '.join(wrong)}; install chameleon_ray again")


def _is_in(version: str, specifier: SpecifierSet) -> bool:
    """Whether a version, which may be ``none``, is one of those asked for."""
    return version != NONE and specifier.contains(version, prereleases=True)


def check_nodes(options: Session) -> None:
    """Compares the pinned distributions on every other node with this one's.

    Raises:
        SessionError: A node has other versions, or does not answer in time.
    """
    others, ours, wrong = [node for node in nodes() if not node.here], reader()(), list[str]()
    answers = asked(reader(), others, options.check_seconds)
    for node, answer in answers.items():
        if not isinstance(answer, Silent):
            wrong += differences(f"node {node.address}", answer, ours)
    _demand_answers(answers, wrong)


def checked(factory: Callable[[], Any]) -> Callable[[], Any]:
    """Wraps a factory for nodes that may join later: it refuses nodes of other versions.

    The factory that is returned raises ``Unfit``.
    """
    return partial(_checked, factory, reader()())


def _checked(factory: Callable[[], Any], ours: Versions) -> Any:
    wrong = differences("it", reader()(), ours)
    if wrong:
        raise Unfit(f"{'; '.join(wrong)}; install the same versions on every node")
    return factory()


def gpus() -> int:
    """Counts the session's GPUs.

    Raises:
        SessionError: There is none.
    """
    count = int(ray.cluster_resources().get("GPU", 0))
    if not count:
        raise SessionError(
            "There is no GPU to time kernels on; chameleon devices says what is missing, and "
            "--build-only compiles without one."
        )
    return count


def everywhere(question: Callable[[], Any]) -> list[Any]:
    """Calls a function on every node, the driver's first; the calls need no free core.

    Raises:
        SessionError: A node did not answer.
    """
    answers = asked(question, nodes())
    _demand_answers(answers)
    return list(answers.values())


def _demand_answers(answers: Mapping[Node, Any], wrong: Sequence[str] = ()) -> None:
    """Raises a ``SessionError`` where nodes did not answer, or have other versions.

    Args:
        answers: The answers, by node.
        wrong: Phrases on the versions of those that answered.
    """
    silent = [
        f"node {node.address} gave no answer: {answer.reason}"
        for node, answer in answers.items()
        if isinstance(answer, Silent)
    ]
    advice = ["see to what is silent, or take it out of the cluster"] if silent else []
    advice += ["install the same versions on every node"] if wrong else []
    if advice:
        told = "; ".join([*silent, *wrong, *advice])
        raise SessionError(f"{told[0].upper()}{told[1:]}.")


def locked() -> dict[str, str]:
    """Returns variables with a token that only this session's processes know.

    There are none where the user has set ``RAY_AUTH_MODE``.
    """
    if "RAY_AUTH_MODE" in os.environ:
        return {}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
