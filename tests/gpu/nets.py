"""A small network as an ONNX file, with a part whose shapes the data say."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def positive(path: Path) -> str:
    """Three products and ReLUs, one after the other, and where the result is positive."""
    rng, value = np.random.default_rng(0), helper.make_tensor_value_info
    weights = [
        numpy_helper.from_array(rng.standard_normal((16, 16)).astype("f4"), f"w{n}")
        for n in range(3)
    ]
    nodes = []
    for n in range(3):
        nodes += [
            helper.make_node("MatMul", [f"x{n}", f"w{n}"], [f"y{n}"]),
            helper.make_node("Relu", [f"y{n}"], [f"x{n + 1}"]),
        ]
    nodes.append(helper.make_node("NonZero", ["x3"], ["places"]))
    inputs = [value("x0", TensorProto.FLOAT, (8, 16))]
    outputs = [value("places", TensorProto.INT64, (2, None))]
    graph = helper.make_graph(nodes, "positive", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)
