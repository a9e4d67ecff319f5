"""Lowers an imported model to fused loop nests, ready to be tuned and compiled."""

import logging
from collections.abc import Collection

import tvm
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.passes.booleans import without_boolean_equality
from chameleon_ray.compiler.passes.fold import fold_batch_norm, fold_constants
from chameleon_ray.compiler.passes.integers import in_integers
from chameleon_ray.compiler.passes.layout import to_nhwc
from chameleon_ray.compiler.passes.memory.partition import group_sums, partition
from chameleon_ray.compiler.passes.run_time_shapes import end_blocks_at_casts
from chameleon_ray.compiler.passes.widen import functions_left, keep_narrow, narrow_types, widen
from chameleon_ray.compiler.quiet import quiet
from chameleon_ray.compiler.relax import bindings_of
from chameleon_ray.options import Scheduling

logger = logging.getLogger(__name__)


def lower(
    module: IRModule,
    target: tvm.target.Target,
    kind: TargetKind,
    layout: str = "auto",
    rewriting: Scheduling | None = None,
) -> IRModule:
    """Folds, lays out, legalises and fuses a model.

    Args:
        module: A model's module as ``frontend.load`` gives it; it is not changed.
        target: Target of the loops.
        kind: Kind of the target; has the rules by which operators are legalised.
        layout: Layout of 2-D convolutions: ``NHWC``, or ``NCHW`` to leave them as imported, and on
            CPUs the order of all weights, too; ``auto`` for what suits the target.
        rewriting: Options of the search for parts that convolutions of concatenations are better
            split into; they are left whole where None.

    Returns:
        A module for ``tvm.compile`` and for the extraction of tasks. Its ``main`` calls one
        PrimFunc per layer and holds every weight as that PrimFunc wants it.

    Raises:
        ValueError: There is no such layout.
    """
    layout = _layout(kind.layout_of(layout))
    types = _widened(module, target, kind)
    with target, quiet():
        kept = types if layout == "NHWC" else ()
        mod = _folded(widen(module, types), kept, kind.integers is not None)
        mod = mod if rewriting is None else partition(mod, rewriting)
    if layout == "NHWC" and not _has_shapes(mod):
        logger.warning("Convolutions stay NCHW: the model computes some shapes at run time.")
        layout = "NCHW"
    with target, quiet():
        mod = to_nhwc(mod) if layout == "NHWC" else mod
        mod = mod if rewriting is None else group_sums(mod)
        return _fused(_legalised(mod, kind, layout, rewriting))


def lower_plainly(module: IRModule, target: tvm.target.Target, kind: TargetKind) -> IRModule:
    """Folds, legalises and fuses a model and leaves all else as imported.

    Types that are computed in float32 are so here, too, with weights of float32.
    """
    types = narrow_types(module, kind.widened(target))
    with target, quiet():
        return _fused(relax.transform.LegalizeOps()(_folded(widen(module, types))))


def _layout(layout: str) -> str:
    if layout not in ("NHWC", "NCHW"):
        raise ValueError(f"The layout must be auto, NHWC or NCHW, not {layout!r}.")
    return layout


def _widened(module: IRModule, target: tvm.target.Target, kind: TargetKind) -> frozenset[str]:
    """Returns a model's types that are computed in float32; says so to the user."""
    reasons = kind.widened(target)
    types = narrow_types(module, reasons)
    for dtype in sorted(types):
        logger.warning(
            "What the model computes in %s is computed in float32 with %s weights, as %s.",
            *(dtype, dtype, reasons[dtype]),
        )
    if left := functions_left(module, types):
        logger.warning(
            "The importer's %s of %s stays slow; give the model in float32 to have it faster.",
            *(", ".join(left), " and ".join(sorted(types))),
        )
    return types


def _folded(module: IRModule, kept: Collection[str] = (), integers: bool = False) -> IRModule:
    """Folds constants and batch norms; weights that are of a type in ``kept`` are stored in it.

    Quantised layers are computed in integers if ``integers``.
    """
    mod = relax.transform.ConvertToDataflow()(module)
    mod = without_boolean_equality(relax.transform.CanonicalizeBindings()(mod))
    mod = fold_batch_norm(keep_narrow(fold_constants(mod), kept))
    return end_blocks_at_casts(fold_constants(in_integers(mod)) if integers else mod)


def _legalised(
    mod: IRModule, kind: TargetKind, layout: str, rewriting: Scheduling | None
) -> IRModule:
    mod = kind.integers(mod, layout, rewriting) if kind.integers else mod
    return relax.transform.LegalizeOps(dict(kind.rules(layout, rewriting)))(mod)


def _fused(mod: IRModule) -> IRModule:
    mod = relax.transform.AnnotateTIROpPattern()(mod)
    mod = fold_constants(mod)
    mod = relax.transform.FuseOps()(mod)
    return relax.transform.FuseTIR()(mod)


def _has_shapes(mod: IRModule) -> bool:
    """Whether every tensor's shape is known, if only in terms of the inputs' shapes."""
    types = [binding.var.ty for binding in bindings_of(mod)]
    return all(ty.shape is not None for ty in types if isinstance(ty, relax.TensorType))
