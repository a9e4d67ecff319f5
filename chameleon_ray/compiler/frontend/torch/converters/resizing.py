"""Resizing of pictures, in all of torch's modes, by the weights that torch itself gives.

Each mode is linear in the picture, and treats one axis at a time. So torch resizes an identity
matrix along each axis, and what comes out are the weights of that axis.
"""

import torch
from tvm import relax

from chameleon_ray.compiler.frontend.torch.converters.pooling import spread
from chameleon_ray.compiler.frontend.torch.node import Converter, Node

FEW = 8
"""Most elements of an axis that one output depends on, for which they are gathered one by one."""


def resize(node: Node) -> relax.Expr:
    """Converts a resizing."""
    x, sizes = node.tensor("input"), [int(size) for size in (node.output.shape or ())[2:]]
    spatial = len(sizes)
    for axis in range(spatial):
        if node.shape("input")[axis + 2] != sizes[axis] or not _is_plain(node):
            x = _along(node, x, weights(node, axis, sizes[axis]), axis - spatial)
    return x


def _is_plain(node: Node) -> bool:
    """Whether an axis of the size that is asked for stays as it is."""
    return not any(value for name, value in node.arguments.items() if name.startswith("scale"))


def weights(node: Node, axis: int, count: int) -> torch.Tensor:
    """Returns torch's weights of an axis, of shape (new size, old size).

    The identity matrix lies along the last axis, whichever it stands for: torch's antialiasing is
    wrong where the last axis has an extent of one.
    """
    shape = node.shape("input")
    size, spatial = shape[axis + 2], len(shape) - 2
    ones = [1] * (spatial - 1)
    arguments = dict(node.arguments)
    arguments |= {"input": torch.eye(size).reshape([1, size, *ones, size])}
    arguments["output_size"] = [*ones, count]
    scales = [name for name in arguments if name.startswith("scale")]
    if scales == ["scale_factors"]:
        given = arguments["scale_factors"]
        if given:
            arguments |= {"output_size": None, "scale_factors": [*map(float, ones), given[axis]]}
    else:
        given = [arguments[name] for name in scales]
        arguments |= dict.fromkeys(scales) | {scales[-1]: given[axis]}
    names = [argument.name for argument in node.fx.target._schema.arguments]
    values = [arguments["input" if name == "self" else name] for name in names]
    return node.fx.target(*values).reshape(size, count).t().contiguous()


def _along(node: Node, x: relax.Expr, matrix: torch.Tensor, axis: int) -> relax.Expr:
    """Computes the weighted sums along an axis: of gathered elements, or as a matrix product."""
    most = int((matrix != 0).sum(1).max())
    if most > FEW:
        return spread(node, x, matrix, axis)
    dtype, place = str(x.ty.dtype), x.ty.ndim + axis
    taps = matrix.abs().topk(max(most, 1), 1).indices.sort(1).values
    total: relax.Expr | None = None
    for tap in taps.unbind(1):
        factors = matrix[torch.arange(len(tap)), tap]
        taken = relax.op.take(x, node.as_tensor(tap), place)
        if not bool((factors == 1).all()):
            wide = factors.reshape([-1, *[1] * (-axis - 1)])
            taken = relax.op.multiply(taken, node.as_tensor(wide, dtype))
        total = node.emit(taken if total is None else relax.op.add(total, taken))
    return total


def first_as_input(convert: Converter) -> Converter:
    """Makes a converter that finds the picture under whichever name the schema has for it."""
    from dataclasses import replace

    def converted(node: Node) -> relax.Expr:
        arguments = dict(node.arguments)
        arguments["input"] = arguments.get("input", arguments.get("self"))
        return convert(replace(node, arguments=arguments))

    return converted


_MODES = (
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
    *("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "_upsample_lanczos2d_aa"),
)
CONVERTERS: dict[str, Converter] = {
    f"aten.{mode}.{overload}": first_as_input(resize)
    for mode in _MODES
    for overload in ("default", "vec")
}
