"""Matrix products, convolutions, and the norms that follow them."""

from collections.abc import Sequence
from typing import Any

from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import Converter, Node, Untranslatable

LAYOUTS = {1: ("NCW", "OIW", "IOW"), 2: ("NCHW", "OIHW", "IOHW"), 3: ("NCDHW", "OIDHW", "IODHW")}
"""Layouts of data, of a convolution's weights and of a transposed one's, by spatial axes."""


def product(left: str, right: str) -> Converter:
    """Makes a converter of a matrix product."""
    return lambda node: relax.op.matmul(node.tensor(left), node.tensor(right))


def added_product(left: str, right: str) -> Converter:
    """Makes a converter of a matrix product that is added to a tensor, both scaled."""

    def convert(node: Node) -> relax.Expr:
        dtype = node.output.dtype
        found = relax.op.matmul(node.tensor(left), node.tensor(right))
        alpha, beta = node.get("alpha", 1), node.get("beta", 1)
        if alpha != 1:
            found = relax.op.multiply(found, node.as_tensor(alpha, dtype))
        if beta == 0:
            return found
        bias = node.tensor("self", dtype)
        if beta != 1:
            bias = relax.op.multiply(bias, node.as_tensor(beta, dtype))
        return relax.op.add(bias, found)  # in torch's order: layers are known by their structure

    return convert


def convolution(node: Node) -> relax.Expr:
    """Converts a convolution, transposed or not, of one to three spatial axes."""
    x, weight = node.tensor("input"), node.tensor("weight")
    spatial = weight.ty.ndim - 2
    if spatial not in LAYOUTS:
        raise Untranslatable(f"it has {spatial} spatial axes; convolve over at most three")
    batched = x.ty.ndim == weight.ty.ndim
    x = x if batched else node.emit(relax.op.expand_dims(x, 0))
    convert = _transposed if node["transposed"] else _direct
    found = node.emit(convert(node, x, weight, spatial))
    bias = node.optional("bias")
    if bias is not None:
        shape = (1, -1) + (1,) * spatial
        found = node.emit(relax.op.add(found, node.reshape(bias, shape)))
    return found if batched else relax.op.squeeze(found, [0])


def _direct(node: Node, x: relax.Expr, weight: relax.Expr, spatial: int) -> relax.Expr:
    op = {1: relax.op.nn.conv1d, 2: relax.op.nn.conv2d, 3: relax.op.nn.conv3d}[spatial]
    data, kernel, _ = LAYOUTS[spatial]
    return op(
        x,
        weight,
        strides=_each(node["stride"], spatial),
        padding=_each(node["padding"], spatial),
        dilation=_each(node["dilation"], spatial),
        groups=int(node["groups"]),
        data_layout=data,
        kernel_layout=kernel,
    )


def _transposed(node: Node, x: relax.Expr, weight: relax.Expr, spatial: int) -> relax.Expr:
    ops = {1: relax.op.nn.conv1d_transpose, 2: relax.op.nn.conv2d_transpose}
    op = {**ops, 3: relax.op.nn.conv3d_transpose}[spatial]
    data, _, kernel = LAYOUTS[spatial]
    return op(
        x,
        weight,
        strides=_each(node["stride"], spatial),
        padding=_each(node["padding"], spatial),
        output_padding=_each(node["output_padding"], spatial),
        dilation=_each(node["dilation"], spatial),
        groups=int(node["groups"]),
        data_layout=data,
        kernel_layout=kernel,
    )


def _each(values: Sequence[int], spatial: int) -> tuple[int, ...]:
    """Returns a number for each spatial axis; one alone is for all."""
    numbers = tuple(int(value) for value in values)
    return numbers * spatial if len(numbers) == 1 else numbers


def batch_norm(node: Node) -> Sequence[Any]:
    """Converts a batch norm with statistics of its own, which are left as they are."""
    x, dtype = node.tensor("input"), node.output.dtype
    channels = node.shape("input")[1]
    ones = node.as_tensor(1.0, dtype)
    zeros = node.as_tensor(0.0, dtype)
    fill = [("weight", ones), ("bias", zeros), ("running_mean", zeros), ("running_var", ones)]
    gamma, beta, mean, variance = (
        found if (found := node.optional(name, dtype)) is not None else _filled(node, one, channels)
        for name, one in fill
    )
    normed = node.emit(
        relax.op.nn.batch_norm(
            *(x, gamma, beta, mean, variance), axis=1, epsilon=float(node["eps"]), training=False
        )
    )
    empty = relax.op.zeros((0,), dtype)
    return [relax.TupleGetItem(normed, 0), empty, empty]


def _filled(node: Node, value: relax.Expr, channels: int) -> relax.Expr:
    import torch

    dtype = str(value.ty.dtype)
    number = float(value.value.numpy())
    return node.as_tensor(torch.full((channels,), number), dtype)


def batch_norm_of_batch(node: Node) -> Sequence[Any]:
    """Converts a batch norm by the batch's own statistics; nothing keeps a running mean of them."""
    x, dtype = node.tensor("input"), node.output.dtype
    axes = [axis for axis in range(x.ty.ndim) if axis != 1]
    shape = (1, -1) + (1,) * (x.ty.ndim - 2)
    mean = node.emit(relax.op.mean(x, axes, True))
    centred = node.emit(relax.op.subtract(x, mean))
    variance = relax.op.mean(relax.op.multiply(centred, centred), axes, True)
    inverse = node.emit(
        relax.op.rsqrt(relax.op.add(variance, node.as_tensor(float(node["eps"]), dtype)))
    )
    normed = relax.op.multiply(centred, inverse)
    for name, op in (("weight", relax.op.multiply), ("bias", relax.op.add)):
        given = node.optional(name, dtype)
        normed = normed if given is None else op(normed, node.reshape(given, shape))
    return [normed, node.reshape(mean, (-1,)), node.reshape(inverse, (-1,))]


def layer_norm(node: Node) -> Sequence[Any]:
    """Converts a layer norm; its second and third outputs are for training only."""
    import torch

    x, sizes, dtype = node.tensor("input"), list(node["normalized_shape"]), node.output.dtype
    gamma, beta = node.optional("weight", dtype), node.optional("bias", dtype)
    gamma = node.as_tensor(torch.ones(sizes), dtype) if gamma is None else gamma
    beta = node.as_tensor(torch.zeros(sizes), dtype) if beta is None else beta
    axes = [axis - len(sizes) for axis in range(len(sizes))]
    return [relax.op.nn.layer_norm(x, gamma, beta, axes=axes, epsilon=float(node["eps"]))]


def group_norm(node: Node) -> Sequence[Any]:
    """Converts a group norm; its second and third outputs are for training only."""
    import torch

    x, dtype = node.tensor("input"), node.output.dtype
    channels = node.shape("input")[1]
    gamma, beta = node.optional("weight", dtype), node.optional("bias", dtype)
    gamma = node.as_tensor(torch.ones(channels), dtype) if gamma is None else gamma
    beta = node.as_tensor(torch.zeros(channels), dtype) if beta is None else beta
    axes = list(range(2, x.ty.ndim))
    groups, epsilon = int(node["group"]), float(node["eps"])
    return [relax.op.nn.group_norm(x, gamma, beta, groups, 1, axes, epsilon)]


CONVERTERS: dict[str, Converter] = {
    "aten.mm.default": product("self", "mat2"),
    "aten.bmm.default": product("self", "mat2"),
    "aten.mv.default": product("self", "vec"),
    "aten.dot.default": product("self", "tensor"),
    "aten.addmm.default": added_product("mat1", "mat2"),
    "aten.baddbmm.default": added_product("batch1", "batch2"),
    "aten.convolution.default": convolution,
    "aten._native_batch_norm_legit_no_training.default": batch_norm,
    "aten._native_batch_norm_legit.no_stats": batch_norm_of_batch,
    "aten.native_layer_norm.default": layer_norm,
    "aten.native_group_norm.default": group_norm,
}
