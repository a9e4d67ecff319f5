"""What is known of a program before it runs: torch computes it during the import."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx
from tvm import relax, runtime

from chameleon_ray.compiler.frontend.torch.node import Complex, is_several
from chameleon_ray.compiler.relax import constant

LARGEST = 1 << 22
"""Most elements of a tensor that is computed from smaller ones."""


class Constants:
    """Makes Relax constants of tensors; of the same tensor the same one."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[torch.Tensor, relax.Expr]] = {}

    def __call__(self, value: torch.Tensor) -> relax.Expr:
        """Returns a constant with a tensor's elements, in memory that the two may share."""
        key = id(value)
        if key not in self._made:
            self._made[key] = (value, _constant(value))
        return self._made[key][1]


def _constant(value: torch.Tensor) -> relax.Expr:
    plain = value.detach().cpu().contiguous()
    plain = plain.clone() if plain.is_conj() or plain.is_neg() else plain
    if plain.dtype.is_floating_point and plain.numel() > LARGEST:
        return relax.const(runtime.from_dlpack(plain))
    if plain.dtype == torch.bfloat16:
        import ml_dtypes

        return constant(plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16), "bfloat16")
    return constant(plain.numpy(), plain.numpy().dtype)  # type: ignore[arg-type]


QUANTIZED = "quantized_decomposed"
"""Namespace of quantisers, which stay, so that layers can be computed in integers."""


def evaluated(node: fx.Node, arguments: Mapping[str, Any]) -> Any:
    """Returns what an operation computes where that does not depend on the inputs; else None.

    Some operators read no more of a tensor than its type.
    """
    if not isinstance(node.target, torch._ops.OpOverload):
        return _plain(node, arguments)
    if torch.Tag.nondeterministic_seeded in node.target.tags or node.target.namespace == QUANTIZED:
        return None
    name = node.target._schema.name.removeprefix("aten::")
    given = dict(arguments)
    value = node.meta.get("val")
    if name in OF_TYPE and _is_static(value):
        first = next(iter(given))
        meta = node.args[0].meta["val"] if isinstance(node.args[0], fx.Node) else given[first]
        if not _is_static(meta):
            return None
        given[first] = torch.empty((), dtype=meta.dtype).expand(meta.shape)
    if not _is_known(given) or not _is_small(value, given):
        return None
    return _run(node.target, given)


def _run(operator: torch._ops.OpOverload, given: Mapping[str, Any]) -> Any:
    schema = operator._schema.arguments
    args = [given[one.name] for one in schema if not one.kwarg_only]
    kwargs = {one.name: given[one.name] for one in schema if one.kwarg_only}
    with torch.no_grad():
        return operator(*args, **kwargs)


OF_TYPE = {
    *("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full"),
    *("new_empty", "sym_size", "sym_numel", "new_empty_strided", "empty_strided", "fill"),
}
"""Operators whose outputs do not depend on the elements of their first argument."""


def _plain(node: fx.Node, arguments: Mapping[str, Any]) -> Any:
    """Computes a function of Python's on numbers."""
    values = [one for name, one in arguments.items() if name != "operands"]
    if not values or not callable(node.target) or hasattr(node.target, "_schema"):
        return None
    numbers = all(isinstance(one, bool | int | float) for one in values)
    return node.target(*values) if numbers else None


def _is_static(value: Any) -> bool:
    if isinstance(value, int):
        return True
    return isinstance(value, torch.Tensor) and all(isinstance(size, int) for size in value.shape)


def _is_known(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_known, value.values()))
    if is_several(value):
        return all(map(_is_known, value))
    return not isinstance(
        value, relax.Expr | Complex | torch.SymInt | torch.SymFloat | torch.SymBool
    )


def _is_small(value: Any, given: Mapping[str, Any]) -> bool:
    """Whether a result is small, or no larger than what it is computed from."""
    count = sum(one.numel() for one in _tensors(value) if _is_static(one))
    return count <= LARGEST or count <= sum(one.numel() for one in _tensors(given))


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [one for part in value for one in _tensors(part)] if is_several(value) else []
