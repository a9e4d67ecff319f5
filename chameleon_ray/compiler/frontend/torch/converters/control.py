"""Graphs inside operations, parts of several outputs, and numbers that are computed."""

from collections.abc import Sequence
from typing import Any

from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import Converter, Node, Untranslatable


def conditional(node: Node) -> Sequence[Any]:
    """Converts ``torch.cond``: both branches are computed, and a choice is made between them."""
    operands = node["operands"]
    either, other = (node.convert_graph(node[name], operands) for name in ("true_fn", "false_fn"))
    choice = node["pred"]
    if isinstance(choice, bool):
        return either if choice else other
    truth = node.cast(node.tensor("pred"), "bool")
    return [
        relax.op.where(truth, node.as_tensor(one), node.as_tensor(two))
        for one, two in zip(either, other, strict=True)
    ]


def inlined(node: Node) -> Sequence[Any]:
    """Converts a graph under a setting, such as ``no_grad``, as the operations in it."""
    return node.convert_graph(node["graph"], node["operands"])


def part(node: Node) -> Any:
    """Converts the choice of one of several outputs."""
    whole, place = node["whole"], node["place"]
    if len(whole) <= place or whole[place] is None:
        raise Untranslatable("one of its outputs is for training only; do without it")
    return whole[place]


def number(node: Node) -> relax.Expr:
    """Converts a tensor's only element, which stays a tensor."""
    return node.reshape(node.tensor("self"), ())


CONVERTERS: dict[str, Converter] = {
    "cond": conditional,
    "wrap_with_set_grad_enabled": inlined,
    "wrap_with_autocast": inlined,
    "getitem": part,
    "aten._local_scalar_dense.default": number,
    "aten.item.default": number,
}
ARGUMENTS = {
    "cond": ("pred", "true_fn", "false_fn", "operands"),
    "wrap_with_set_grad_enabled": ("enabled", "graph"),
    "wrap_with_autocast": ("device", "dtype", "enabled", "cache", "graph"),
    "getitem": ("whole", "place"),
}
"""Names of arguments of operations that have no schema; what follows the last is ``operands``."""
