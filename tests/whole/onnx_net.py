"""Dense layers as ONNX files: imported without torch, in a second."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS = 48


def dense_layers(path: Path, *widths: int) -> str:
    """A file of layers one after the other, from each width to the next."""
    rng, nodes, weights = np.random.default_rng(0), [], {}
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        names = [f"v{number}", f"w{number}", f"b{number}"]
        weights[names[1]] = rng.standard_normal((inputs, outputs)) / 8
        weights[names[2]] = rng.standard_normal(outputs)
        nodes.append(helper.make_node("Gemm", names, [f"v{number + 1}"]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (ROWS, width))
        for name, width in (("v0", widths[0]), (f"v{len(nodes)}", widths[-1]))
    ]
    tensors = [numpy_helper.from_array(w.astype("float32"), name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "layers", ends[:1], ends[1:], tensors)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)


def unknown(path: Path) -> str:
    """A file of an operator that nothing but TVM knows, which looks at no domain."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (ROWS, 64)) for name in "xy"]
    nodes = [helper.make_node("Relu", ["x"], ["y"], domain="mine")]
    graph = helper.make_graph(nodes, "unknown", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)
