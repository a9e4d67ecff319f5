"""Small networks as ONNX files: imported without torch, in a second."""

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
    """A file that only TVM can run: ONNX Runtime has its operator, but not for this type."""
    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, (ROWS, 64)) for name in "xy"]
    nodes = [helper.make_node("BiasGelu", ["x", "bias"], ["y"], domain="com.microsoft")]
    bias = numpy_helper.from_array(np.linspace(-1, 1, 64), "bias")
    graph = helper.make_graph(nodes, "unknown", ends[:1], ends[1:], [bias])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)


def nothing_to_tune(path: Path) -> str:
    """A file that finds the largest of some numbers, which no layer does that has a schedule."""
    value = helper.make_tensor_value_info
    inputs, outputs = [value("x", TensorProto.FLOAT, (4, 9))], ["values", "places"]
    node = helper.make_node("TopK", ["x", "k"], outputs)
    graph = helper.make_graph(
        [node],
        "largest",
        inputs,
        [value("values", TensorProto.FLOAT, (4, 3)), value("places", TensorProto.INT64, (4, 3))],
        [numpy_helper.from_array(np.array([3]), "k")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)


def open_batch(path: Path, centred: bool = False) -> str:
    """A file of one dense layer for any batch; ``centred`` subtracts the mean of the batch."""
    rng, value = np.random.default_rng(0), helper.make_tensor_value_info
    weights = {"w": rng.standard_normal((64, 192)) / 8, "b": rng.standard_normal(192)}
    nodes = [helper.make_node("Gemm", ["y" if centred else "x", "w", "b"], ["out"])]
    if centred:
        nodes.insert(0, helper.make_node("Sub", ["x", "mean"], ["y"]))
        nodes.insert(0, helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0]))
    ends = [value(n, TensorProto.FLOAT, ("n", width)) for n, width in (("x", 64), ("out", 192))]
    tensors = [numpy_helper.from_array(w.astype("float32"), name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "open", ends[:1], ends[1:], tensors)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)


def constants(path: Path) -> str:
    """A file with an input ``file`` and three outputs: a product, a constant, and the input."""
    value, weights = helper.make_tensor_value_info, np.random.default_rng(0).random((8, 16))
    nodes = [
        helper.make_node("MatMul", ["file", "w"], ["y"]),
        helper.make_node("Identity", ["steps"], ["constant"]),
        helper.make_node("Identity", ["file"], ["same"]),
    ]
    shapes = {"y": (4, 16), "constant": (5,), "same": (4, 8)}
    outputs = [value(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    tensors = {"w": weights.astype("float32"), "steps": np.arange(5, dtype="float32")}
    initializers = [numpy_helper.from_array(one, name) for name, one in tensors.items()]
    inputs = [value("file", TensorProto.FLOAT, (4, 8))]
    graph = helper.make_graph(nodes, "constants", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return str(path)
