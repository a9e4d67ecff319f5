"""Lowers an imported model to fused loop nests, ready to be tuned and compiled."""

import logging
from collections.abc import Collection, Iterator

import tvm
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.kind import Rules, TargetKind
from chameleon_ray.compiler.passes import tensor_products
from chameleon_ray.compiler.passes.booleans import without_boolean_equality
from chameleon_ray.compiler.passes.fold import fold_batch_norm, fold_constants
from chameleon_ray.compiler.passes.fused_origins import with_fused_origins
from chameleon_ray.compiler.passes.integers import in_integers
from chameleon_ray.compiler.passes.join_conversions import join_conversions, join_norms
from chameleon_ray.compiler.passes.late_reshapes import with_late_reshapes
from chameleon_ray.compiler.passes.late_transposes import with_late_transposes
from chameleon_ray.compiler.passes.layout import to_nhwc
from chameleon_ray.compiler.passes.memory.partition import group_sums, partition
from chameleon_ray.compiler.passes.mixed_precision import in_half, with_wide_sums
from chameleon_ray.compiler.passes.run_time_shapes import end_blocks_at_casts
from chameleon_ray.compiler.passes.widen import functions_left, keep_narrow, narrow_types, widen
from chameleon_ray.compiler.quiet import quiet
from chameleon_ray.compiler.relax import bindings_of
from chameleon_ray.measure.precision import SHORT
from chameleon_ray.options import Scheduling

logger = logging.getLogger(__name__)


def lower(
    module: IRModule,
    target: tvm.target.Target,
    kind: TargetKind,
    layout: str = "auto",
    rewriting: Scheduling | None = None,
    precision: str = "float32",
) -> IRModule:
    """Folds, lays out, legalises and fuses a model.

    Args:
        module: A model's module as ``frontend.load`` gives it; it is not changed.
        target: Target of the loops.
        kind: Kind of the target; has the rules by which operators are legalised.
        layout: Layout of 2-D convolutions: ``NHWC``, or ``NCHW`` to leave them as imported, and on
            CPUs the order of all weights, too; ``auto`` for what suits the target.
        rewriting: Options of the search for parts to split convolutions of concatenations into.
        precision: Precision asked for of what is float32 in the model; see ``precisions_of``.

    Returns:
        A module for ``tvm.compile`` and for the extraction of tasks. Its ``main`` calls one
        PrimFunc per layer and holds every weight as that PrimFunc wants it.

    Raises:
        ValueError: There is no such layout.
    """
    return next(lowerings(module, target, kind, layout, rewriting, precision))


def lowerings(
    module: IRModule,
    target: tvm.target.Target,
    kind: TargetKind,
    layout: str = "auto",
    rewriting: Scheduling | None = None,
    precision: str = "float32",
) -> Iterator[IRModule]:
    """Yields a model as ``lower`` gives it, and then with each of the kind's alternatives.

    All have the same calls in the same order, but some call other PrimFuncs with other weights.
    Where memory is to be saved there are no alternatives. Arguments are those of ``lower``.
    """
    types, layout = _widened(module, target, kind), layout_of(module, kind, layout, precision)
    precision = _tuned(kind, layout, precision)
    products, kept = _products(module, kind, precision), (types if layout == "NHWC" else ())
    with target, quiet():
        mod = _folded(widen(module, types), kept, _rounded(kind, precision), kind.integers)
        mod = mod if rewriting is None else partition(mod, rewriting)
        mod = _joined(_mixed(mod, products, precision), kind, layout)
    if layout == "NHWC" and not _has_shapes(mod):
        logger.warning("Convolutions stay NCHW: the model computes some shapes at run time.")
        layout = "NCHW"
    with target, quiet():
        mod = _channels_last(mod, products) if layout == "NHWC" else mod
        mod = mod if rewriting is None else group_sums(mod)
        mod = kind.integers(mod, layout, rewriting) if kind.integers else mod
        mod = join_conversions(mod) if products else mod
        first = kind.rules(layout, rewriting)
        others = kind.alternatives(mod, first) if rewriting is None else ()
    for rules in (first, *others):
        with target, quiet():
            lowered = _fused(_legalised(mod, rules, layout, products))
        yield lowered


def lower_plainly(
    module: IRModule,
    target: tvm.target.Target,
    kind: TargetKind,
    precision: str = "float32",
) -> IRModule:
    """Folds, legalises and fuses a model and leaves all else as imported.

    Types that are computed in float32 are so here, too, with weights of float32. Products of 16-bit
    floats have sums of float32 where the kind of target has such units. Elsewhere, and for TF32,
    what is float32 in the model stays so.
    """
    types = narrow_types(module, kind.widened(target))
    products = _products(module, kind, precision)
    with target, quiet():
        mod = _mixed(_folded(widen(module, types)), products, precision)
        mod = join_conversions(mod) if products else mod
        return _fused(_whole(relax.transform.LegalizeOps()(mod), products))


def _products(module: IRModule, kind: TargetKind, precision: str) -> frozenset[str]:
    """Returns the types, 16-bit floats and TF32, of which products are computed as such."""
    if not kind.mixed:
        return frozenset()
    asked = {precision} - {"float32"}
    return narrow_types(module, SHORT) | asked


def precisions_of(kind: TargetKind, layout: str, precision: str) -> tuple[str, str]:
    """Returns what becomes of a precision that was asked for.

    Args:
        kind: Kind of the target.
        layout: ``NHWC`` or ``NCHW``.
        precision: Precision asked for.

    Returns:
        The precision in which ``lower`` has what is float32 in the model, and that in which
        ``lower_plainly`` has it. Both are float32 unless there are units for the precision. TF32,
        and 16-bit weights on CPUs, are ``lower``'s alone, in the layout ``NHWC``.
    """
    plain = precision if kind.mixed and precision in SHORT else "float32"
    return (precision if layout == "NHWC" else plain), plain


def _tuned(kind: TargetKind, layout: str, precision: str) -> str:
    """Returns the precision that a tuned model has; says so to the user where it is another."""
    tuned, _ = precisions_of(kind, layout, precision)
    if tuned != precision:
        logger.warning("The model stays in float32: %s needs the layout NHWC here.", precision)
    return tuned


def _rounded(kind: TargetKind, precision: str) -> Collection[str]:
    """Returns the type of 16 bits that weights of float32 are rounded to, if they are."""
    return (precision,) if precision in SHORT and not kind.mixed else ()


def _mixed(mod: IRModule, products: Collection[str], precision: str) -> IRModule:
    """Computes products in 16-bit floats with sums of float32."""
    mod = with_late_reshapes(mod) if products else mod
    for dtype in sorted(set(products) & set(SHORT)):
        mod = with_wide_sums(mod, dtype)
    if precision in SHORT and precision in products:
        mod = in_half(mod, precision)
    return join_norms(mod) if set(products) & set(SHORT) else mod


def _channels_last(mod: IRModule, products: Collection[str]) -> IRModule:
    """Lays convolutions out in NHWC, and what is around them so that few transposes are left."""
    mod = to_nhwc(mod, "OHWI" if products else "HWIO")
    return with_late_reshapes(with_late_transposes(mod))


def _joined(mod: IRModule, kind: TargetKind, layout: str) -> IRModule:
    """Joins operators that the kind of target has one layer for, where their shapes are known."""
    return kind.joined(mod, layout) if kind.joined and _has_shapes(mod) else mod


def layout_of(module: IRModule, kind: TargetKind, asked: str, precision: str) -> str:
    """Returns the layout that ``lower`` gives a model; see there.

    Raises:
        ValueError: There is no such layout.
    """
    layout = kind.layout_of(asked, bool(_products(module, kind, precision)))
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


def _folded(
    module: IRModule,
    kept: Collection[str] = (),
    rounded: Collection[str] = (),
    integers: object = None,
) -> IRModule:
    """Folds constants and batch norms; weights that are of a type in ``kept`` are stored in it.

    All weights are rounded to the type in ``rounded``, if there is one. Quantised layers are
    computed in integers unless ``integers`` is None.
    """
    mod = relax.transform.ConvertToDataflow()(module)
    mod = without_boolean_equality(relax.transform.CanonicalizeBindings()(mod))
    mod = fold_batch_norm(keep_narrow(fold_constants(mod), kept))
    mod = keep_narrow(mod, rounded, rounding=True)
    return end_blocks_at_casts(fold_constants(in_integers(mod)) if integers else mod)


def _legalised(mod: IRModule, rules: Rules, layout: str, products: Collection[str]) -> IRModule:
    if products and layout == "NHWC":
        rules = {**rules, **tensor_products.rules(products)}
    return _whole(relax.transform.LegalizeOps(rules)(mod), products)


def _whole(mod: IRModule, products: Collection[str]) -> IRModule:
    """Makes loops of operators that were joined with conversions."""
    return relax.transform.FuseTIR()(mod) if products else mod


def _fused(mod: IRModule) -> IRModule:
    mod = fold_constants(relax.transform.AnnotateTIROpPattern()(mod))
    grouped = with_fused_origins(mod, relax.transform.FuseOps()(mod))
    return tensor_products.with_precision(relax.transform.FuseTIR()(grouped), grouped)


def _has_shapes(mod: IRModule) -> bool:
    """Whether every tensor's shape is known, if only in terms of the inputs' shapes."""
    types = [binding.var.ty for binding in bindings_of(mod)]
    return all(ty.shape is not None for ty in types if isinstance(ty, relax.TensorType))
