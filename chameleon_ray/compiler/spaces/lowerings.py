"""Lowerings: several ways to compute the same layer, told apart by their place in the model.

A model that was lowered in several ways (``passes.lower.lowerings``) has the same calls in the same
order each time. So calls at the same place compute the same, whatever loops and weights they have,
and with whatever operators fused to them.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import tvm_ffi
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule
from tvm.s_tir import Schedule

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.relax import bindings_of, operator, rewrite
from chameleon_ray.compiler.spaces.extract import (
    constants_of,
    distance_of,
    extract,
    is_layer,
    layer_digest,
    layer_module,
    task_of,
)
from chameleon_ray.task import Task

logger = logging.getLogger(__name__)
WINOGRAD = "winograd_outputs"
"""Block of loops by Winograd's algorithm that makes the outputs of tiles, and is as large."""


@dataclass(frozen=True)
class Pair:
    """Two calls at the same place of a model that was lowered in two ways.

    Attributes:
        place: Number of the binding in ``main``.
        digest: Digest of the layer that the first model calls.
        other: Digest of the layer that the other one calls; not the same.
        function: The other one's loops.
        call: The other one's call.
    """

    place: int
    digest: str
    other: str
    function: Any
    call: Call


def extract_all(
    first: IRModule, others: Iterable[IRModule], target: str, kind: TargetKind
) -> list[Task]:
    """Returns the tasks of a model's layers (``extract``), and after them their other lowerings.

    Left out are those that do not fit all calls of a layer, or have nothing to tune. Which are
    chosen is not known yet, so the reuse distance of weights is that of the largest model.

    Args:
        first: Relax module as ``lower`` gives it.
        others: The same model, lowered in other ways; one is looked at after the other.
        target: TVM target, as JSON.
        kind: Kind of the target.
    """
    tasks = extract(first, target, kind)
    known = {task.digest: task for task in tasks}
    found: dict[str, Task] = {}
    distance = distance_of(first)
    for other in others:
        distance = max(distance, distance_of(other))
        places = pairs(first, other, target)
        counts = Counter((pair.digest, pair.other) for pair in places)
        for pair in places:
            own, digest = known[pair.digest], pair.other
            if counts[own.digest, digest] < own.weight or digest in known or digest in found:
                continue
            task = _instead(pair, own, kind)
            if task.space.knobs:
                found[digest] = task
    several = {task.instead for task in found.values()}
    functions = {layer_digest(f, target): f for f in first.functions.values() if is_layer(f)}
    named = [
        replace(task, lowering=name_of(functions[task.digest])) if task.digest in several else task
        for task in tasks
    ]
    every = [*named, *found.values()]
    return [replace(task, constants=replace(task.constants, distance=distance)) for task in every]


def _instead(pair: Pair, own: Task, kind: TargetKind) -> Task:
    """Returns the task of the other call of a pair, which may take the place of a model's own."""
    name = pair.call.args[0].name_hint
    task = task_of(pair.function, name, pair.other, own.weight, own.target, kind)
    return replace(
        task,
        nodes=own.nodes,
        what=own.what,
        constants=constants_of(pair.call, own.constants.distance),
        has_default=False,
        lowering=name_of(pair.function),
        instead=own.digest,
    )


def pairs(first: IRModule, other: IRModule, target: str) -> list[Pair]:
    """Returns the places at which two lowerings of a model call other loops, in order.

    There are none where the calls of the two do not correspond, which TVM's fusion could bring
    about.

    Args:
        first: Relax module as ``lower`` gives it.
        other: The same model, lowered in another way.
        target: TVM target, as JSON.
    """
    mine, theirs = bindings_of(first), bindings_of(other)
    if len(mine) != len(theirs):
        logger.info("A lowering is left out: it has %d calls, not %d.", len(theirs), len(mine))
        return []
    known = dict(zip(other["main"].params, first["main"].params, strict=True))
    found: list[Pair] = []
    for place, (one, two) in enumerate(zip(mine, theirs, strict=True)):
        if not _corresponds(one, two, known):
            logger.info("A lowering is left out: its call %d is another one.", place)
            return []
        known[two.var] = one.var
        if operator(one.value) == "relax.call_tir":
            ours, function = first[one.value.args[0]], other[two.value.args[0]]
            digests = layer_digest(ours, target), layer_digest(function, target)
            if digests[0] != digests[1]:
                found.append(Pair(place, *digests, function, two.value))
    return found


def composed(
    first: IRModule, others: Iterable[IRModule], chosen: Collection[str], target: str
) -> IRModule:
    """Returns a model in which layers that were chosen take the place of those that were not.

    Args:
        first: Relax module as ``lower`` gives it.
        others: The same model, lowered in other ways; looked at only where it is needed, one after
            the other.
        chosen: Digests of the lowerings to have.
        target: TVM target, as JSON.
    """
    own = {layer_digest(f, target) for f in first.functions.values() if is_layer(f)}
    if own.issuperset(chosen):
        return first
    taken: dict[int, Pair] = {}
    for other in others:
        for pair in pairs(first, other, target):
            if pair.other in chosen and pair.digest not in chosen:
                taken.setdefault(pair.place, pair)
    if not taken:
        return first
    builder, variables = relax.BlockBuilder(first), dict[str, Any]()
    values = [binding.value for binding in bindings_of(first)]
    calls: dict[relax.Var, Call] = {}
    for place, pair in taken.items():
        if pair.other not in variables:
            name = pair.call.args[0].name_hint
            function = pair.function.without_attr("global_symbol")
            variables[pair.other] = builder.add_func(function, name)
        before = values[place]
        sides = zip(before.args[1].fields, pair.call.args[1].fields, strict=True)
        args = [theirs if isinstance(theirs, GenericConst) else mine for mine, theirs in sides]
        call = relax.call_tir(variables[pair.other], args, before.ty_args[0])
        calls[bindings_of(first)[place].var] = call
    changed = rewrite(builder.get(), lambda binding: calls.get(binding.var, binding.value))
    return relax.transform.DeadCodeElimination(["main"])(changed)


def name_of(function: Any) -> str:
    """Returns the name of the algorithm of a convolution's loops, for people."""
    schedule = Schedule(layer_module(function), debug_mask=0)
    blocks = map(schedule.get, schedule.get_child_blocks(schedule.get_sblock("root")))
    shapes = [block.writes[0].source.shape for block in blocks if block.name_hint == WINOGRAD]
    # (*grid, m, m, F) on CPUs, and (m, m, F, tiles) on GPUs
    tiles = [int(shape[3 if len(shape) > 4 else 0]) for shape in shapes]
    return f"Winograd {tiles[0]}x{tiles[0]}" if tiles else "direct"


def _corresponds(one: Any, two: Any, known: dict[Any, Any]) -> bool:
    """Whether two bindings compute the same from the same, given the variables so far."""
    if operator(one.value) != operator(two.value):
        return False
    if not tvm_ffi.structural_equal(one.var.ty, two.var.ty):
        return False
    if operator(one.value) != "relax.call_tir":
        mine, theirs = (relax.analysis.free_vars(binding.value) for binding in (one, two))
        return len(mine) == len(theirs) and all(map(_is, mine, map(known.get, theirs)))
    fields = [binding.value.args[1].fields for binding in (one, two)]
    return len(fields[0]) == len(fields[1]) and all(
        isinstance(mine, GenericConst)
        if isinstance(theirs, GenericConst)
        else _is(mine, known.get(theirs))
        for mine, theirs in zip(*fields, strict=True)
    )


def _is(mine: Any, theirs: Any) -> bool:
    return theirs is not None and mine.same_as(theirs)
