"""Complex numbers, as pairs of real ones, and Fourier transforms, as products of matrices."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from tvm import relax

from chameleon_ray.compiler.frontend.torch.node import Complex, Converter, Node, Untranslatable

LONGEST = 4096
"""Most elements of an axis that is transformed: its matrix has as many rows and columns."""


def parts(node: Node, value: Any) -> Complex:
    """Returns a value as a complex one."""
    if isinstance(value, Complex):
        return value
    if isinstance(value, torch.Tensor) and value.is_complex():
        return Complex(*(node.as_constant(one.contiguous()) for one in (value.real, value.imag)))
    if isinstance(value, complex):
        return Complex(*(node.as_tensor(one, _real_type(node)) for one in (value.real, value.imag)))
    real = node.as_tensor(value, _real_type(node))
    return Complex(real, node.emit(relax.op.zeros_like(real)))


def _real_type(node: Node) -> str:
    return {"complex64": "float32", "complex128": "float64"}.get(
        node.output.dtype, node.output.dtype
    )


def view_as_real(node: Node) -> relax.Expr:
    """Converts complex numbers to pairs, along a new last axis."""
    value = parts(node, node["self"])
    halves = [relax.op.expand_dims(part, -1) for part in (value.real, value.imaginary)]
    return relax.op.concat(halves, -1)


def view_as_complex(node: Node) -> Complex:
    """Converts pairs along the last axis to complex numbers."""
    x = node.tensor("self")
    halves = (relax.op.strided_slice(x, [-1], [i], [i + 1], [1]) for i in (0, 1))
    return Complex(*(node.emit(relax.op.squeeze(half, [-1])) for half in halves))


def polar(node: Node) -> Complex:
    """Converts magnitudes and angles to complex numbers."""
    size, angle = node.tensor("abs"), node.tensor("angle")
    return _emitted(
        node,
        relax.op.multiply(size, relax.op.cos(angle)),
        relax.op.multiply(size, relax.op.sin(angle)),
    )


def joined(node: Node) -> Complex:
    """Converts a real and an imaginary part to complex numbers."""
    return Complex(node.tensor("real"), node.tensor("imag"))


def _emitted(node: Node, real: relax.Expr, imaginary: relax.Expr) -> Complex:
    return Complex(node.emit(real), node.emit(imaginary))


def multiply(node: Node) -> Complex:
    """Converts a product."""
    x, y = parts(node, node["self"]), parts(node, node["other"])
    return _product(node, x, y)


def _product(node: Node, x: Complex, y: Complex) -> Complex:
    m = relax.op.multiply
    return _emitted(
        node,
        relax.op.subtract(m(x.real, y.real), m(x.imaginary, y.imaginary)),
        relax.op.add(m(x.real, y.imaginary), m(x.imaginary, y.real)),
    )


def divide(node: Node) -> Complex:
    """Converts a quotient."""
    x, y = parts(node, node["self"]), parts(node, node["other"])
    square = relax.op.add(
        relax.op.multiply(y.real, y.real), relax.op.multiply(y.imaginary, y.imaginary)
    )
    square = node.emit(square)
    whole = _product(node, x, Complex(y.real, node.emit(relax.op.negative(y.imaginary))))
    return _emitted(
        node, relax.op.divide(whole.real, square), relax.op.divide(whole.imaginary, square)
    )


def added(op: Any) -> Converter:
    """Makes a converter of a sum or difference."""

    def convert(node: Node) -> Complex:
        x, y = parts(node, node["self"]), parts(node, node["other"])
        if node.get("alpha", 1) != 1:
            raise Untranslatable("it scales complex numbers; multiply them first")
        return _emitted(node, op(x.real, y.real), op(x.imaginary, y.imaginary))

    return convert


def each(op: Any) -> Converter:
    """Makes a converter that treats both parts alike."""

    def convert(node: Node) -> Complex:
        value = parts(node, node["self"])
        return _emitted(node, op(value.real), op(value.imaginary))

    return convert


def conjugate(node: Node) -> Any:
    """Converts to the complex conjugate."""
    if not isinstance(node["self"], Complex):
        return node["self"]
    value = node["self"]
    return Complex(value.real, node.emit(relax.op.negative(value.imaginary)))


def angle(node: Node) -> relax.Expr:
    """Converts to the angle."""
    value = parts(node, node["self"])
    return relax.op.atan2(value.imaginary, value.real)


def half(name: str) -> Converter:
    """Makes a converter of one of the two parts."""
    return lambda node: getattr(parts(node, node["self"]), name)


def transform(node: Node) -> Any:
    """Converts a Fourier transform of real or complex numbers, over one or several axes."""
    kind = str(node.fx.target)
    x = node["self"] if isinstance(node["self"], Complex) else node.tensor("self")
    ndim = (x.real if isinstance(x, Complex) else x).ty.ndim
    dims = [int(dim) % ndim for dim in node["dim"]]
    forward = bool(node.get("forward", True)) and "c2r" not in kind
    scale = int(node["normalization"])
    if "r2c" in kind:
        value = Complex(x, None)
        last = dims[-1]
        value = _along(node, value, last, _matrix(_size(node, x, last), True, scale))
        if node["onesided"]:
            kept = _size(node, x, last) // 2 + 1
            value = _cut(node, value, last, kept)
        for dim in dims[:-1]:
            value = _along(node, value, dim, _matrix(_size(node, value.real, dim), True, scale))
        return value
    value = parts(node, x)
    rest = dims if "c2c" in kind else dims[:-1]
    for dim in rest:
        value = _along(node, value, dim, _matrix(_size(node, value.real, dim), forward, scale))
    return value if "c2c" in kind else _real_inverse(node, value, dims[-1], scale)


def _size(node: Node, x: relax.Expr, dim: int) -> int:
    size = node.shape_of(x)[dim]
    if size > LONGEST:
        raise Untranslatable(
            f"it transforms {size} numbers, at most {LONGEST} can be; transform outside the model"
        )
    return size


def _matrix(size: int, forward: bool, scale: int) -> torch.Tensor:
    """Returns the matrix of a transform (complex128); ``scale`` is 0 for none, 1 and 2 as torch."""
    places = torch.arange(size, dtype=torch.float64)
    turns = torch.outer(places, places) % size * (2 * math.pi / size)
    matrix = torch.complex(turns.cos(), (-turns if forward else turns).sin())
    return matrix / {0: 1.0, 1: math.sqrt(size), 2: float(size)}[scale]


def _along(node: Node, x: Complex, dim: int, matrix: torch.Tensor) -> Complex:
    """Multiplies a symmetric complex matrix into an axis."""
    dtype = str(x.real.ty.dtype)
    cos, sin = (node.as_tensor(part.contiguous(), dtype) for part in (matrix.real, matrix.imag))
    real, imaginary = _into(node, x.real, cos, dim), _into(node, x.real, sin, dim)
    if x.imaginary is None:
        return Complex(real, imaginary)
    real = relax.op.subtract(real, _into(node, x.imaginary, sin, dim))
    imaginary = relax.op.add(imaginary, _into(node, x.imaginary, cos, dim))
    return _emitted(node, real, imaginary)


def _into(node: Node, x: relax.Expr, matrix: relax.Expr, dim: int) -> relax.Expr:
    """Multiplies a matrix (old, new) into an axis."""
    order = [*(axis for axis in range(x.ty.ndim) if axis != dim), dim]
    moved = relax.op.permute_dims(x, order)
    if x.ty.ndim == 1:
        moved = node.reshape(moved, (1, -1))
    product = node.emit(relax.op.matmul(moved, matrix))
    if x.ty.ndim == 1:
        return node.emit(node.reshape(product, (-1,)))
    back: Sequence[int] = [order.index(axis) for axis in range(x.ty.ndim)]
    return node.emit(relax.op.permute_dims(product, list(back)))


def _cut(node: Node, x: Complex, dim: int, kept: int) -> Complex:
    halves = (
        relax.op.strided_slice(part, [dim], [0], [kept], [1]) for part in (x.real, x.imaginary)
    )
    return Complex(*(node.emit(part) for part in halves))


def _real_inverse(node: Node, x: Complex, dim: int, scale: int) -> relax.Expr:
    """Transforms half a spectrum back to real numbers; the other half is its mirror image."""
    size, given = int(node["last_dim_size"]), _size(node, x.real, dim)
    matrix = _matrix(size, False, scale)[: size // 2 + 1]
    twice = torch.full((len(matrix), 1), 2.0, dtype=torch.float64)
    twice[0] = 1
    if size % 2 == 0:
        twice[-1] = 1
    dtype = str(x.real.ty.dtype)
    if given > len(matrix):
        x = _cut(node, x, dim, len(matrix))
    cos, sin = (node.as_tensor(one, dtype) for one in (matrix.real * twice, matrix.imag * twice))
    return relax.op.subtract(_into(node, x.real, cos, dim), _into(node, x.imaginary, sin, dim))


CONVERTERS: dict[str, Converter] = {
    "aten._fft_r2c.default": transform,
    "aten._fft_c2c.default": transform,
    "aten._fft_c2r.default": transform,
    "aten.view_as_real.default": view_as_real,
    "aten.view_as_complex.default": view_as_complex,
    "aten.polar.default": polar,
    "aten.complex.default": joined,
    "aten.real.default": half("real"),
    "aten.imag.default": half("imaginary"),
    "aten.angle.default": angle,
    **{
        f"aten.{name}.default": conjugate
        for name in (
            "_conj",
            "conj",
            "_conj_physical",
            "conj_physical",
            "resolve_conj",
            "resolve_neg",
        )
    },
}
ON_COMPLEX: dict[str, Converter] = {
    "aten.mul.Tensor": multiply,
    "aten.div.Tensor": divide,
    "aten.add.Tensor": added(relax.op.add),
    "aten.sub.Tensor": added(relax.op.subtract),
    "aten.neg.default": each(relax.op.negative),
}
"""Converters that take the place of others where an argument is complex."""
