"""Makes conversions to float32 and back part of the loops that need them.

TVM's fusion carries a conversion on to the layer before it, which then stores float32; or it leaves
it a kernel of its own, where a reduction or a norm follows. So each conversion that is the operand
of such an operator, or of one of two operands, is joined with it before.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from tvm import relax
from tvm.ir import GenericConst, IRModule
from tvm.relax.dpl import is_op, wildcard

from chameleon_ray.compiler.passes.fused_origins import with_fused_origins
from chameleon_ray.compiler.passes.mixed_precision import BINARY, NORMS, REDUCTIONS

CONVERSION = "relax.astype"
Pattern = tuple[str, Any, dict[str, Any], Any]
"""Name of the joined loops, pattern, the pattern's named parts, and the check of a match."""


def join_norms(mod: IRModule) -> IRModule:
    """Joins norms with conversions around them, before ``to_nhwc`` makes loops of them."""
    return _joined(mod, _around(NORMS))


def join_conversions(mod: IRModule) -> IRModule:
    """Joins reductions with conversions around them, and sums and the like with their operands'."""
    return _joined(mod, [*_around(REDUCTIONS - NORMS.keys()), *_operands()])


def _joined(mod: IRModule, patterns: Iterable[Pattern]) -> IRModule:
    joined = relax.transform.FuseOpsByPattern(list(patterns), bind_constants=False)(mod)
    return with_fused_origins(mod, joined)


def _around(names: Iterable[str]) -> Iterator[Pattern]:
    """Yields a pattern of each operator with its data converted, its result converted or not."""
    for name in sorted(names):
        others = [wildcard() for _ in range(NORMS.get(name, 0))]
        inner = is_op(name)(_converted(), *others)
        yield name.rpartition(".")[2], is_op(CONVERSION)(inner), {}, _anything
        yield name.rpartition(".")[2], is_op(name)(_converted(), *others), {}, _anything


def _operands() -> Iterator[Pattern]:
    """Yields patterns of operators of two operands, one or both of which are converted."""
    for name in sorted(BINARY):
        for left, right in ((1, 1), (1, 0), (0, 1)):
            one, two = (_converted() if side else wildcard() for side in (left, right))
            parts = {"left": one, "right": two}
            yield name.rpartition(".")[2], is_op(name)(one, two), parts, _has_no_constant


def _converted() -> Any:
    return is_op(CONVERSION)(wildcard())


def _anything(_: Any) -> bool:
    return True


def _has_no_constant(match: Any) -> bool:
    """Whether no operand is a constant, which would become a parameter."""
    return not any(isinstance(part, GenericConst) for part in match.annotated_expr.values())
