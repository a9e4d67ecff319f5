"""Lowers a model in the order and the form that take least memory."""

import logging
import time
from collections.abc import Iterator

import tvm
from tvm.ir import IRModule

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.passes.lower import lower, lowerings
from chameleon_ray.compiler.passes.memory.plan import Unplannable, planned_bytes, program, reorder
from chameleon_ray.graph.footprint import MODEL_ORDER, REWRITTEN, SCHEDULED, Footprint, Stage
from chameleon_ray.graph.scheduler import schedule
from chameleon_ray.options import Scheduling

logger = logging.getLogger(__name__)


def compare(
    name: str,
    module: IRModule,
    target: tvm.target.Target,
    kind: TargetKind,
    layout: str,
    options: Scheduling,
    precision: str = "float32",
) -> tuple[Footprint, dict[str, IRModule]]:
    """Measures a model's memory in its own order, scheduled, and rewritten.

    Args:
        name: Name of the model.
        module: A model's module as ``frontend.load`` gives it.
        target: Target of the loops.
        kind: Kind of the target.
        layout: Layout, as for ``lower``.
        options: Options of the search for orders.
        precision: Precision, as for ``lower``.

    Returns:
        The memory, and the three modules by stage.

    Raises:
        Unplannable: It has control flow, or tensors whose size is not known.
    """
    began = time.perf_counter()
    plain = lower(module, target, kind, layout, precision=precision)
    # Fusion may undo what rewriting saved, so the plain form with sums in place competes, too.
    forms = (lower(module, target, kind, layout, options, precision), plain)
    rewritten = [_stage(form, target, options, in_place=True) for form in forms]
    found = {
        MODEL_ORDER: _stage(plain, target, None),
        SCHEDULED: _stage(plain, target, options),
        REWRITTEN: min(rewritten, key=lambda pair: (pair[0].peak, pair[0].planned)),
    }
    stages = {which: stage for which, (stage, _) in found.items()}
    chosen = min(stages, key=lambda which: stages[which].planned)
    footprint = Footprint(name, stages, chosen, time.perf_counter() - began)
    return footprint, {which: made for which, (_, made) in found.items()}


def lower_aware(
    name: str,
    module: IRModule,
    target: tvm.target.Target,
    kind: TargetKind,
    layout: str,
    options: Scheduling,
    precision: str = "float32",
) -> IRModule:
    """Lowers a model to the version, of three, that needs least memory by TVM's planner."""
    try:
        footprint, modules = compare(name, module, target, kind, layout, options, precision)
    except Unplannable as reason:
        logger.warning("The order of operations stays as it is: %s.", reason)
        return lower(module, target, kind, layout, precision=precision)
    best = footprint.stages[footprint.chosen]
    before = footprint.stages[MODEL_ORDER]
    if footprint.chosen == MODEL_ORDER:
        logger.warning("No other order of the operations takes less memory.")
    else:
        logger.warning(
            "Activations take %.0f KB instead of %.0f KB (%s).",
            *(best.planned / 1e3, before.planned / 1e3, footprint.chosen),
        )
    return modules[footprint.chosen]


def lowerings_aware(
    name: str,
    module: IRModule,
    target: tvm.target.Target,
    kind: TargetKind,
    layout: str,
    options: Scheduling | None,
    precision: str = "float32",
) -> Iterator[IRModule]:
    """Yields all lowerings of a model (``lowerings``), or the one that needs least memory.

    That is the only one where there are options of saving memory.
    """
    if options is None:
        return lowerings(module, target, kind, layout, precision=precision)
    return iter([lower_aware(name, module, target, kind, layout, options, precision)])


def _stage(
    module: IRModule,
    target: tvm.target.Target,
    options: Scheduling | None,
    in_place: bool = False,
) -> tuple[Stage, IRModule]:
    """Puts a module in the best order, or leaves its own where ``options`` is None.

    With ``in_place``, sums are made in place.
    """
    found = program(module, in_place)
    graph, order, optimal = found.graph, tuple(range(len(found.graph.nodes))), False
    if options is not None:
        best = schedule(graph, options)
        optimal = best.optimal
        order = best.order if best.peak < graph.peak(order) else order
        module = reorder(module, found, order)
    names = tuple(graph.nodes[number].name for number in order)
    levels = tuple(graph.profile(order))
    return Stage(names, levels, planned_bytes(module, target), optimal), module
