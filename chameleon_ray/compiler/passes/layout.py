"""Lays 2-D convolutions out in NHWC."""

from collections.abc import Callable

import tvm
from tvm import relax
from tvm.ir import Call, GenericConst, IRModule

from chameleon_ray.compiler.passes.fold import fold_constants
from chameleon_ray.compiler.relax import constant, operator, rewrite

ARITHMETIC = ("add", "subtract", "multiply", "divide", "maximum", "minimum")

MOVABLE = {
    *(f"relax.{name}" for name in ARITHMETIC),
    *("relax.nn.conv2d", "relax.nn.max_pool2d", "relax.nn.avg_pool2d"),
    *("relax.nn.adaptive_avg_pool2d", "relax.image.resize2d"),
    *("relax.nn.relu", "relax.nn.silu", "relax.nn.gelu", "relax.sigmoid", "relax.tanh"),
    *("relax.exp", "relax.log", "relax.sqrt", "relax.rsqrt", "relax.negative", "relax.abs"),
    "relax.round",
    *("relax.mean", "relax.sum", "relax.nn.softmax", "relax.concat", "relax.split"),
    *("relax.strided_slice", "relax.permute_dims"),
}
"""Operators trusted to ``ConvertLayout``; the tests compare each with the source framework."""

UNMOVED = {"relax.matmul", "relax.reshape", "relax.astype", "relax.flatten", "relax.call_tir"}
"""Operators that ``ConvertLayout`` leaves alone, and that are better legalised later."""


def to_nhwc(mod: IRModule, weights: str = "HWIO") -> IRModule:
    """Lays 2-D convolutions and the operators around them out with the channels innermost.

    Output channels then vectorise: on x86 the tuned layers of ResNet-18 are 2 to 4 times faster.

    TVM's ``ConvertLayout`` gets some operators wrong. Layer norms are wrong silently. Squeezed
    negative axes run out of memory. Transposed convolutions cannot be legalised afterwards. Batch
    norms that were not folded end the process. So all operators but ``MOVABLE`` are turned into
    loops first, which ``ConvertLayout`` never touches. They keep their own layout, behind a
    transpose.

    Args:
        mod: Constants and batch norms folded, in dataflow form.
        weights: Layout of the weights.
    """
    mod = _insulate(rewrite(mod, _spell_out))
    layouts = {"relax.nn.conv2d": ["NHWC", weights]}
    mod = relax.transform.ConvertLayout(layouts)(_pinned(mod))
    return fold_constants(relax.transform.Normalize()(mod))


def _insulate(mod: IRModule) -> IRModule:
    kept = [name for name in tvm.ir.Op.list_op_names() if name in MOVABLE | UNMOVED]
    return relax.transform.LegalizeOps(skip_ops=kept)(mod)


def _pinned(mod: IRModule) -> IRModule:
    """Gives all that is learnt about shapes at run time a variable outside of the dataflow.

    ``ConvertLayout`` fails on other casts, as shapes have no layout.
    """
    main = mod["main"]
    blocks = []
    for block in main.body.blocks:
        bindings: list[relax.Binding] = []
        for old in block.bindings:
            if isinstance(old, relax.MatchCast):
                outside = relax.Var(old.var.name, old.ty)
                bindings.append(relax.MatchCast(outside, old.value, old.ty))
                bindings.append(relax.VarBinding(old.var, outside))
            else:
                bindings.append(old)
        blocks.append(type(block)(bindings))
    changed = IRModule(mod.functions, attrs=mod.attrs, global_infos=mod.global_infos)
    body = relax.SeqExpr(blocks, main.body.body)
    changed["main"] = relax.Function(main.params, body, main.ret_ty, main.is_pure, main.attrs)
    return changed


def _spell_out(binding: relax.Binding) -> relax.Expr:
    """Rewrites operators that ``ConvertLayout`` does not know in terms of those that it does."""
    rule = PLAINLY.get(operator(binding.value))
    return binding.value if rule is None else rule(binding.value)


def _clip(call: Call) -> relax.Expr:
    """Rewrites a clip as ``min(high, max(low, x))``; either bound may be infinite.

    The data come last, since of two numbers that do not compare TVM takes the second: NaN stays.
    """
    data, low, high = call.args
    dtype = str(call.ty.dtype)
    bounded = relax.op.maximum(relax.const(low.value, dtype), data)
    return relax.op.minimum(relax.const(high.value, dtype), bounded)


def _leaky_relu(call: Call) -> relax.Expr:
    """Rewrites a leaky ReLU as ``max(x, slope x)``, which needs a slope of at most one."""
    data, slope = call.args[0], float(call.attrs.alpha)
    if slope > 1:
        return call
    scaled = relax.op.multiply(data, relax.const(slope, str(call.ty.dtype)))
    return relax.op.maximum(data, scaled)


def _parametric_relu(call: Call) -> relax.Expr:
    """Rewrites a parametric ReLU as ``max(x, 0) + slope min(x, 0)``."""
    data, slope = call.args
    rank = call.ty.ndim
    if not isinstance(slope, GenericConst) or slope.ty.ndim != 1 or rank < 1:
        return call
    shape = [1] * rank
    shape[int(call.attrs.axis)] = -1
    slopes = constant(slope.value.numpy().reshape(shape), str(call.ty.dtype))
    zero = relax.const(0, str(call.ty.dtype))
    negative = relax.op.multiply(relax.op.minimum(zero, data), slopes)  # keeps NaN
    return relax.op.add(relax.op.maximum(data, zero), negative)


def _aligned(call: Call) -> relax.Expr:
    """Gives a constant operand, such as one number per channel, as many axes as the result."""
    rank = call.ty.ndim
    args = []
    for arg in call.args:
        shape = [int(size) for size in arg.ty.shape] if isinstance(arg, GenericConst) else []
        if shape and len(shape) < rank:
            shape = [1] * (rank - len(shape)) + shape
            arg = constant(arg.value.numpy().reshape(shape), str(arg.ty.dtype))
        args.append(arg)
    return call if args == list(call.args) else Call(call.op, args, call.attrs)


PLAINLY: dict[str, Callable[[Call], relax.Expr]] = {
    "relax.clip": _clip,
    "relax.nn.leakyrelu": _leaky_relu,
    "relax.nn.prelu": _parametric_relu,
    **{f"relax.{name}": _aligned for name in ARITHMETIC},
}
