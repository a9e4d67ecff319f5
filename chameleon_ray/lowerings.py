"""Lowerings: several ways to compute one layer, of which measurement chooses one.

A lowering is an algorithm with its loops, so it is a task of its own. The first one of a layer is
that of the compiler's rules. The others are raced against it: they get measurements as long as they
are not too far behind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from chameleon_ray.options import Budgeting, Confirming
from chameleon_ray.task import Task

Member = TypeVar("Member")


def by_layer(
    members: Iterable[Member], task_of: Callable[[Member], Task]
) -> dict[str, list[Member]]:
    """Groups what belongs to tasks by layer, in order; the first lowering's comes first."""
    groups: dict[str, list[Member]] = {}
    for member in sorted(members, key=lambda one: bool(task_of(one).instead)):
        groups.setdefault(task_of(member).layer, []).append(member)
    return groups


def is_behind(own: Sequence[float], leader: Sequence[float], options: Budgeting) -> bool:
    """Whether a lowering is too slow to be searched on, after as many plans as its rival.

    What it may still gain is estimated by what the leader has gained since it had as many plans.

    Args:
        own: Best latency in seconds after each plan of the lowering.
        leader: The same of the layer's fastest lowering.
        options: Settings; the margin shrinks from plan to plan.
    """
    plans = len(own)
    if plans < options.opening or not leader:
        return False
    return own[-1] > (1 + options.slack / plans) * leader[min(plans, len(leader)) - 1]


def contenders(best: Mapping[str, float], options: Confirming) -> list[str]:
    """Returns the lowerings of a layer that are worth a last comparison, fastest first.

    Args:
        best: Best latency in seconds of each lowering that was not compared yet; infinite where
            unknown.
        options: Settings of the choice.
    """
    order = sorted(best, key=lambda digest: best[digest])
    return [one for one in order if best[one] <= options.near * best[order[0]]]


def preferred(
    latencies: Mapping[str, float], first: str, options: Confirming, kept: str = ""
) -> str:
    """Returns the lowering that a layer is compiled with.

    Args:
        latencies: Confirmed latency in seconds of each lowering that was compared; at least one.
        first: The lowering of the compiler's rules, which another one must beat clearly.
        options: Settings of the choice.
        kept: The lowering that won in an earlier run, which is favoured in place of the first.
    """

    favoured = kept if kept in latencies else first

    def handicapped(digest: str) -> float:
        return latencies[digest] * (1.0 if digest == favoured else 1 + options.clearly)

    return min(latencies, key=handicapped)
