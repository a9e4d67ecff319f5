"""Det: Gauss's elimination with pivots."""

import math
from typing import Any

from tvm import relax, tirx
from tvm.script.ir_builder import tirx as T

from chameleon_ray.compiler.frontend.onnx.converters.sequential import run
from chameleon_ray.compiler.frontend.onnx.extents import extents
from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node


def determinant(node: Node) -> relax.Expr:
    """Converts Det of square matrices ``(..., N, N)``."""
    data = node.input(0)
    *outer, size, _ = extents(data)
    dtype = str(data.ty.dtype)
    count = math.prod(outer)
    matrices = node.emit(relax.op.reshape(data, (count, size, size)))

    def program(matrices: Any, result: Any, rest: Any, pivot: Any, factor: Any) -> None:
        one, zero = (tirx.const(value, dtype) for value in (1, 0))
        with T.serial(0, count) as b:
            with T.serial(0, size) as i, T.serial(0, size) as j:
                rest[i, j] = matrices[b, i, j]
            result[b] = one
            with T.serial(0, size) as k:
                pivot[0] = tirx.Cast("int32", k)
                with T.serial(0, size) as i:
                    larger = tirx.abs(rest[i, k]) > tirx.abs(rest[pivot[0], k])
                    with T.If(tirx.all(i > k, larger)), T.Then():
                        pivot[0] = tirx.Cast("int32", i)
                with T.If(pivot[0] != tirx.Cast("int32", k)), T.Then():
                    result[b] = zero - result[b]
                    with T.serial(0, size) as j:
                        factor[0] = rest[k, j]
                        rest[k, j] = rest[pivot[0], j]
                        rest[pivot[0], j] = factor[0]
                result[b] = result[b] * rest[k, k]
                with (
                    T.serial(0, size) as i,
                    T.If(tirx.all(i > k, rest[k, k] != zero)),
                    T.Then(),
                ):
                    factor[0] = rest[i, k] / rest[k, k]
                    with T.serial(0, size) as j:
                        rest[i, j] = rest[i, j] - factor[0] * rest[k, j]

    outputs = [((count,), dtype), ((size, size), dtype), ((1,), "int32"), ((1,), dtype)]
    result = run(node, "determinant", program, [matrices], outputs)[0]
    return relax.op.reshape(result, tuple(outer))


CONVERTERS: dict[Key, Converter] = {("", "Det"): determinant}
