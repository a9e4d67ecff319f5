"""BitCast, which reads the bits of elements as another type of the same size."""

from typing import Any

import numpy as np
from onnx import helper
from tvm import relax, te, tirx

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node


def bit_cast(node: Node) -> relax.Expr:
    """Converts BitCast."""
    wanted = np.dtype(helper.tensor_dtype_to_np_dtype(node.attributes["to"])).name

    data = node.input(0)
    if str(data.ty.dtype) == "bool":  # a bit in LLVM, and a byte in memory
        data = node.emit(relax.op.astype(data, "uint8"))
    if wanted == "bool":
        return relax.op.astype(data, "bool")

    def cast(data: Any) -> Any:
        return te.compute(data.shape, lambda *place: tirx.reinterpret(wanted, data(*place)), "cast")

    return node.builder.call_te(cast, data)


CONVERTERS: dict[Key, Converter] = {("", "BitCast"): bit_cast}
