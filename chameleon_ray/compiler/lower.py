"""An imported Relax module in; one of fused loop nests, ready to be tuned and compiled, out."""

import logging

import tvm
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler import pack, winograd
from chameleon_ray.compiler.fold import fold_batch_norm, fold_constants
from chameleon_ray.compiler.layout import to_nhwc
from chameleon_ray.compiler.quiet import quiet

logger = logging.getLogger(__name__)

LEGALIZE = {"relax.nn.conv2d": winograd.conv2d, "relax.matmul": pack.matmul}
"""Operators that are not turned into loops as TVM does."""


def lower(module: IRModule, target: tvm.target.Target, layout: str = "NHWC") -> IRModule:
    """Folds, lays out, legalises and fuses a model.

    Args:
        module: As ``models.load`` gives it; it is not changed.
        target: What the loops are for.
        layout: Of 2-D convolutions: ``NHWC``, or ``NCHW`` to leave them, and the order of all
            weights, as imported.

    Returns:
        What ``tvm.compile`` and the extraction of tasks take: ``main`` calls one PrimFunc per
        layer and holds every weight as that PrimFunc wants it.

    Raises:
        ValueError: There is no such layout.
    """
    if layout not in ("NHWC", "NCHW"):
        raise ValueError(f"The layout must be NHWC or NCHW, not {layout!r}.")
    with target, quiet():
        mod = relax.transform.ConvertToDataflow()(module)
        mod = relax.transform.CanonicalizeBindings()(mod)
        mod = fold_batch_norm(fold_constants(mod))
    if layout == "NHWC" and not _has_shapes(mod):
        logger.warning("Convolutions stay NCHW: the model computes some shapes at run time.")
        layout = "NCHW"
    with target, quiet():
        mod = to_nhwc(mod) if layout == "NHWC" else mod
        mod = relax.transform.LegalizeOps(LEGALIZE if layout == "NHWC" else None)(mod)
        mod = relax.transform.AnnotateTIROpPattern()(mod)
        mod = fold_constants(mod)
        mod = relax.transform.FuseOps()(mod)
        return relax.transform.FuseTIR()(mod)


def _has_shapes(mod: IRModule) -> bool:
    """Whether every tensor's shape is known, if only in terms of the inputs' shapes."""
    types = [binding.var.ty for block in mod["main"].body.blocks for binding in block.bindings]
    return all(ty.shape is not None for ty in types if isinstance(ty, relax.TensorType))
