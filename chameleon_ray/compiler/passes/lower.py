"""Lowers an imported model to fused loop nests, ready to be tuned and compiled."""

import logging
from collections.abc import Callable
from functools import partial

import tvm
from tvm import relax
from tvm.ir import Call, IRModule

from chameleon_ray.compiler.passes import pack_weights, winograd_cpu, winograd_cuda
from chameleon_ray.compiler.passes.booleans import without_boolean_equality
from chameleon_ray.compiler.passes.fold import fold_batch_norm, fold_constants
from chameleon_ray.compiler.passes.layout import to_nhwc
from chameleon_ray.compiler.passes.memory.partition import group_sums, partition
from chameleon_ray.compiler.quiet import quiet
from chameleon_ray.compiler.relax import bindings_of
from chameleon_ray.compiler.target import layout_of
from chameleon_ray.options import Scheduling

logger = logging.getLogger(__name__)

Rule = Callable[[relax.BlockBuilder, Call], relax.Expr]
"""Legalises an operator's call."""


def lower(
    module: IRModule,
    target: tvm.target.Target,
    layout: str = "auto",
    rewriting: Scheduling | None = None,
) -> IRModule:
    """Folds, lays out, legalises and fuses a model.

    Args:
        module: A model's module as ``frontend.load`` gives it; it is not changed.
        target: Target of the loops.
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
    kind = target.kind.name
    layout = layout_of(layout, target)
    if layout not in ("NHWC", "NCHW"):
        raise ValueError(f"The layout must be auto, NHWC or NCHW, not {layout!r}.")
    with target, quiet():
        mod = _folded(module)
        mod = mod if rewriting is None else partition(mod, rewriting)
    if layout == "NHWC" and not _has_shapes(mod):
        logger.warning("Convolutions stay NCHW: the model computes some shapes at run time.")
        layout = "NCHW"
    with target, quiet():
        mod = to_nhwc(mod) if layout == "NHWC" else mod
        mod = mod if rewriting is None else group_sums(mod)
        mod = relax.transform.LegalizeOps(_rules(kind, layout, rewriting))(mod)
        return _fused(mod)


def lower_plainly(module: IRModule, target: tvm.target.Target) -> IRModule:
    """Folds, legalises and fuses a model and leaves all else as imported."""
    with target, quiet():
        return _fused(relax.transform.LegalizeOps()(_folded(module)))


def _folded(module: IRModule) -> IRModule:
    mod = relax.transform.ConvertToDataflow()(module)
    mod = without_boolean_equality(relax.transform.CanonicalizeBindings()(mod))
    return fold_batch_norm(fold_constants(mod))


def _fused(mod: IRModule) -> IRModule:
    mod = relax.transform.AnnotateTIROpPattern()(mod)
    mod = fold_constants(mod)
    mod = relax.transform.FuseOps()(mod)
    return relax.transform.FuseTIR()(mod)


def _rules(kind: str, layout: str, rewriting: Scheduling | None) -> dict[str, Rule]:
    """Returns the rules for operators whose loops are not left to TVM.

    Packed weights are for the vectors of CPUs. Where memory is to be saved, no convolution is by
    Winograd's algorithm and nothing is rounded, as both take workspaces.
    """
    if kind == "llvm" and layout == "NHWC":
        if rewriting is None:
            return {"relax.nn.conv2d": winograd_cpu.conv2d, "relax.matmul": pack_weights.matmul}
        conv2d, matmul = (
            partial(rule, rounding=False) for rule in (pack_weights.conv2d, pack_weights.matmul)
        )
        return {"relax.nn.conv2d": conv2d, "relax.matmul": matmul}
    if kind == "cuda" and layout == "NCHW" and rewriting is None:
        return {"relax.nn.conv2d": winograd_cuda.conv2d}
    return {}


def _has_shapes(mod: IRModule) -> bool:
    """Whether every tensor's shape is known, if only in terms of the inputs' shapes."""
    types = [binding.var.ty for binding in bindings_of(mod)]
    return all(ty.shape is not None for ty in types if isinstance(ty, relax.TensorType))
