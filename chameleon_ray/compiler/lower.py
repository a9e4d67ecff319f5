"""An imported Relax module in; one of fused loop nests, ready to be tuned and compiled, out."""

import tvm
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.fold import fold_batch_norm, fold_constants
from chameleon_ray.compiler.layout import to_nhwc


def lower(module: IRModule, target: tvm.target.Target, layout: str = "NHWC") -> IRModule:
    """Folds, lays out, legalises and fuses a model.

    Args:
        module: As ``models.load`` gives it; it is not changed.
        target: What the loops are for.
        layout: Of 2-D convolutions: ``NHWC``, or ``NCHW`` to leave them as imported.

    Returns:
        What ``tvm.compile`` and the extraction of tasks take: ``main`` calls one PrimFunc per
        layer and holds every weight as that PrimFunc wants it.

    Raises:
        ValueError: There is no such layout.
    """
    if layout not in ("NHWC", "NCHW"):
        raise ValueError(f"The layout must be NHWC or NCHW, not {layout!r}.")
    mod = relax.transform.ConvertToDataflow()(module)
    mod = relax.transform.CanonicalizeBindings()(mod)
    with target:
        mod = fold_batch_norm(fold_constants(mod))
        if layout == "NHWC":
            mod = to_nhwc(mod)
        mod = relax.transform.LegalizeOps()(mod)
        mod = relax.transform.AnnotateTIROpPattern()(mod)
        mod = fold_constants(mod)
        mod = relax.transform.FuseOps()(mod)
        return relax.transform.FuseTIR()(mod)
