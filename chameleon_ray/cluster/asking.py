"""Calls a function on every node of a cluster, and tells answers from silence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from chameleon_ray.cluster import placement
from chameleon_ray.cluster.placement import Node, affinity
from chameleon_ray.cluster.slots import reason
from chameleon_ray.options import Session


@dataclass(frozen=True)
class Silent:
    """Stands for the answer of a node that gave none; says why there is none."""

    reason: str


def asked(
    question: Callable[[], Any], nodes: Sequence[Node], seconds: float = Session.check_seconds
) -> dict[Node, Any]:
    """Calls a function on all nodes at once; returns an answer, or a ``Silent``, for each.

    A node that is lost meanwhile is left out. The calls need no free core.

    Args:
        question: The function.
        nodes: The nodes to ask.
        seconds: The time that all of them have together.
    """
    remote = ray.remote(question)
    futures = {node: remote.options(num_cpus=0, **affinity(node)).remote() for node in nodes}
    if futures:
        every = list(futures.values())
        ray.wait(every, num_returns=len(every), timeout=seconds, fetch_local=False)
    answers = {node: _answer(future, seconds) for node, future in futures.items()}
    if any(isinstance(answer, Silent) for answer in answers.values()):
        there = {node.id for node in placement.nodes()}
        return {
            node: answer
            for node, answer in answers.items()
            if node.id in there or not isinstance(answer, Silent)
        }
    return answers


def _answer(future: Any, seconds: float) -> Any:
    if not ray.wait([future], timeout=0, fetch_local=False)[0]:
        return Silent(f"none came within {seconds:.0f} s")
    try:
        return ray.get(future)
    except RayError as error:
        return Silent(reason(error))
