"""If: the branch that a constant chooses, or both behind a choice at run time."""

from collections.abc import Sequence

from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node


def conditional(node: Node) -> Sequence[relax.Expr]:
    """Converts If."""
    branches = [node.attributes["then_branch"], node.attributes["else_branch"]]
    choice = node.known(0)
    if choice is not None:
        return node.convert_graph(branches[0 if choice.item() else 1], ())
    # what the branches compute is bound before the choice: Relax would lay no branch out otherwise
    either, other = (node.convert_graph(branch, ()) for branch in branches)
    chosen = relax.If(node.input(0), _sequence(either), _sequence(other))
    result = node.emit(chosen)
    if len(either) == 1:
        return [result]
    return [node.emit(relax.TupleGetItem(result, place)) for place in range(len(either))]


def _sequence(values: Sequence[relax.Expr]) -> relax.SeqExpr:
    body = values[0] if len(values) == 1 else relax.Tuple(list(values))
    return relax.SeqExpr(blocks=[], body=body)


CONVERTERS: dict[Key, Converter] = {("", "If"): conditional}
