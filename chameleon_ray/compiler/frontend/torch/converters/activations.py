"""Activation functions, as the operators that the passes know where there are any."""

from tvm import relax

from chameleon_ray.compiler.frontend.torch.converters.elementwise import unary
from chameleon_ray.compiler.frontend.torch.node import Converter, Node


def gelu(node: Node) -> relax.Expr:
    """Converts GELU, exact or by its approximation with tanh."""
    tanh = node["approximate"] == "tanh"
    return (relax.op.nn.gelu_tanh if tanh else relax.op.nn.gelu)(node.tensor("self"))


def leaky_relu(node: Node) -> relax.Expr:
    """Converts a ReLU with a slope for negative numbers."""
    return relax.op.nn.leakyrelu(node.tensor("self"), float(node["negative_slope"]))


def randomised_relu(node: Node) -> relax.Expr:
    """Converts RReLU in inference mode, where the slope is the mean of its bounds."""
    slope = (float(node["lower"]) + float(node["upper"])) / 2
    return [relax.op.nn.leakyrelu(node.tensor("self"), slope), node.tensor("noise")]


def elu(node: Node) -> relax.Expr:
    """Converts ELU with its scales."""
    x, dtype = node.tensor("self"), node.output.dtype
    alpha, scale, inner = (node.as_tensor(float(node[name]), dtype) for name in _ELU)
    zero, one = node.as_tensor(0, dtype), node.as_tensor(1, dtype)
    low = relax.op.exp(relax.op.multiply(relax.op.minimum(x, zero), inner))
    low = relax.op.multiply(alpha, relax.op.subtract(low, one))
    return relax.op.multiply(scale, relax.op.where(relax.op.greater(x, zero), x, low))


_ELU = ("alpha", "scale", "input_scale")


def hardtanh(node: Node) -> relax.Expr:
    """Converts a clamp between two numbers."""
    dtype = node.output.dtype
    low, high = (node.as_tensor(node[name], dtype) for name in ("min_val", "max_val"))
    return relax.op.minimum(relax.op.maximum(node.tensor("self"), low), high)


def softmax(node: Node) -> relax.Expr:
    """Converts softmax."""
    x = node.tensor("self", node.output.dtype)
    return relax.op.nn.softmax(x, node.axis()) if x.ty.ndim else relax.op.ones_like(x)


def log_softmax(node: Node) -> relax.Expr:
    """Converts the logarithm of softmax."""
    x = node.tensor("self", node.output.dtype)
    return relax.op.nn.log_softmax(x, node.axis()) if x.ty.ndim else relax.op.zeros_like(x)


def expm1(node: Node) -> relax.Expr:
    """Converts ``exp(x) - 1``."""
    dtype = node.output.dtype
    return relax.op.subtract(relax.op.exp(node.tensor("self", dtype)), node.as_tensor(1, dtype))


def log1p(node: Node) -> relax.Expr:
    """Converts ``log(1 + x)``."""
    dtype = node.output.dtype
    return relax.op.log(relax.op.add(node.tensor("self", dtype), node.as_tensor(1, dtype)))


def prelu(node: Node) -> relax.Expr:
    """Converts a ReLU with a slope for each channel, the second axis."""
    x, slope = node.tensor("self"), node.tensor("weight")
    ndim = x.ty.ndim
    if node.shape_of(slope) == (1,) or ndim == 1:
        shape: tuple[int, ...] = (1,) * ndim
    else:
        shape = (1, -1) + (1,) * (ndim - 2)
    slope = node.reshape(slope, shape)
    positive = relax.op.greater(x, node.as_tensor(0, node.output.dtype))
    return relax.op.where(positive, x, relax.op.multiply(x, slope))


CONVERTERS: dict[str, Converter] = {
    "aten.relu.default": unary(relax.op.nn.relu),
    "aten.silu.default": unary(relax.op.nn.silu),
    "aten.gelu.default": gelu,
    "aten.leaky_relu.default": leaky_relu,
    "aten.rrelu_with_noise_functional.default": randomised_relu,
    "aten.elu.default": elu,
    "aten.hardtanh.default": hardtanh,
    "aten._softmax.default": softmax,
    "aten._log_softmax.default": log_softmax,
    "aten.expm1.default": expm1,
    "aten.log1p.default": log1p,
    "aten._prelu_kernel.default": prelu,
    "aten.prelu.default": prelu,
}
