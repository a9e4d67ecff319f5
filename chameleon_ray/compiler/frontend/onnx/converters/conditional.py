"""If: the branch that a constant chooses, or both behind a choice at run time."""

from collections.abc import Sequence

from tvm import relax, tirx
from tvm_ffi import structural_equal

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable


def conditional(node: Node) -> Sequence[relax.Expr]:
    """Converts If."""
    branches = [node.attributes["then_branch"], node.attributes["else_branch"]]
    choice = node.known(0)
    if choice is not None:
        return node.convert_graph(branches[0 if choice.item() else 1], ())
    # what the branches compute is bound before the choice: Relax would lay no branch out otherwise
    either, other = (node.convert_graph(branch, ()) for branch in branches)
    types = [_unified(*pair) for pair in zip(either, other, strict=True)]
    condition = node.emit(relax.op.reshape(node.input(0), ()))
    result = node.emit(relax.If(condition, _sequence(either), _sequence(other)))
    if len(either) > 1:
        parts = [node.emit(relax.TupleGetItem(result, place)) for place in range(len(either))]
    else:
        parts = [result]
    return [
        part if ty is None else node.builder.match_cast(part, ty)
        for part, ty in zip(parts, types, strict=True)
    ]


def _unified(either: relax.Expr, other: relax.Expr) -> relax.TensorType | None:
    """Returns the type of a value of either branch, whose extents may be learnt at run time.

    Returns:
        None where the branches give the same extents.

    Raises:
        Untranslatable: The branches give other types or numbers of axes.
    """
    if str(either.ty.dtype) != str(other.ty.dtype) or either.ty.ndim != other.ty.ndim:
        raise Untranslatable(
            "its branches give different types or numbers of axes; export the model for one of them"
        )
    shapes = [value.ty.shape for value in (either, other)]
    if all(shape is not None for shape in shapes):
        pairs = list(zip(*shapes, strict=True))
        same = [structural_equal(*pair) for pair in pairs]
        if all(same):
            return None
        extents = [
            pair[0] if alike else tirx.Var("extent", "int64")
            for pair, alike in zip(pairs, same, strict=True)
        ]
    else:
        extents = [tirx.Var("extent", "int64") for _ in range(either.ty.ndim)]
    return relax.TensorType(extents, str(either.ty.dtype))


def _sequence(values: Sequence[relax.Expr]) -> relax.SeqExpr:
    body = values[0] if len(values) == 1 else relax.Tuple(list(values))
    return relax.SeqExpr(blocks=[], body=body)


CONVERTERS: dict[Key, Converter] = {("", "If"): conditional}
