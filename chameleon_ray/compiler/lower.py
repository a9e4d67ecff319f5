"""An imported Relax module in, one of fused loop nests, ready to tune and to compile, out."""

import tvm
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.fold import fold_batch_norm, fold_constants, rewrite


def lower(module: IRModule, target: tvm.target.Target, layout: str = "NHWC") -> IRModule:
    mod = relax.transform.CanonicalizeBindings()(module)
    mod = fold_batch_norm(fold_constants(mod))
    mod = spell_out(mod)
    if layout=="NHWC":
        mod = relax.transform.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]})(mod)
        mod = fold_constants(relax.transform.Normalize()(mod))
    with target:
        mod = relax.transform.LegalizeOps()(mod)
        mod = relax.transform.AnnotateTIROpPattern()(mod)
        mod = fold_constants(mod)
        mod = relax.transform.FuseOps()(mod)
        return relax.transform.FuseTIR()(mod)

def spell_out(mod):
    def replace(b):
        v=b.value
        if isinstance(v, tvm.ir.Call) and v.op==tvm.ir.Op.get("relax.clip"):
            x,lo,hi=v.args
            dt=str(v.ty.dtype)
            return relax.op.minimum(relax.op.maximum(x, relax.const(float(lo.value),dt)),relax.const(float(hi.value),dt))
        return v
    return rewrite(mod,replace)
