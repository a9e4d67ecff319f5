"""Operators on quantised tensors (QLinearConv and its like), as ONNX graphs of simpler operators.

Each becomes DequantizeLinear, the operator on floats, QuantizeLinear, which is what other
quantised models consist of, and what the passes compute in integers.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tvm import relax

from chameleon_ray.compiler.frontend.onnx.node import Converter, Key, Node, Untranslatable

MICROSOFT = "com.microsoft"


class _Graph:
    """A graph of ONNX nodes in place of one node, whose inputs it reads."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def has(self, place: int) -> bool:
        """Whether the node has an input."""
        return self._node.optional(place) is not None

    def input(self, place: int) -> str:
        """Names an input of the node; empty where it is left out."""
        return f"in{place}" if self.has(place) else ""

    def constant(self, numbers: np.ndarray) -> str:
        """Adds a constant; returns its name."""
        name = f"constant{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(numbers, name))
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Adds a node; returns the name of its first output, before which DynamicQuantizeLinear's
        others are numbered."""
        name = f"value{len(self._nodes)}"
        names = [name, f"{name}scale", f"{name}zero"] if kind == "DynamicQuantizeLinear" else [name]
        self._nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return name

    def floats(self, place: int, axis: int = 0) -> str:
        """Dequantises the input at a place, whose scale and zero point are the two after it."""
        scale, zero = (self._parameter(place + more) for more in (1, 2))
        return self.add("DequantizeLinear", self.input(place), scale, zero, axis=axis)

    def quantized(self, value: str, place: int, axis: int = 0) -> str:
        """Quantises a value, given the place of its scale, which the zero point is after."""
        scale, zero = (self._parameter(place + more) for more in (0, 1))
        return self.add("QuantizeLinear", value, scale, zero, axis=axis)

    def _parameter(self, place: int) -> str:
        """Names a scale or zero point, with one axis at most, and scales in float32."""
        value, numbers = self._node.optional(place), self._node.known(place)
        if numbers is not None:
            numbers = numbers.reshape(-1) if numbers.size > 1 else numbers.reshape(())
            is_short = numbers.dtype in ("float16", "bfloat16")
            return self.constant(numbers.astype("float32") if is_short else numbers)
        if value is not None and str(value.ty.dtype) in ("float16", "bfloat16"):
            return self.add("Cast", self.input(place), to=TensorProto.FLOAT)
        return self.input(place)

    def result(self, *names: str) -> relax.Expr | Sequence[relax.Expr]:
        """Translates the graph."""
        places = [place for place in range(len(self._node.inputs)) if self.has(place)]
        graph = helper.make_graph(
            self._nodes,
            "in_place",
            [onnx.ValueInfoProto(name=self.input(place)) for place in places],
            [onnx.ValueInfoProto(name=name) for name in names],
            self._weights,
        )
        return self._node.convert_graph(graph, [self._node.inputs[place] for place in places])


def _with_attributes(node: Node, *dropped: str) -> dict[str, Any]:
    return {name: value for name, value in node.attributes.items() if name not in dropped}


def q_linear_conv(node: Node) -> Any:
    """Converts QLinearConv; its bias is of 32 bits, with the product of the others' scales."""
    graph = _Graph(node)
    inputs = [graph.floats(0), graph.floats(3)]
    if graph.has(8):
        scale = node.constant(1, "scales").reshape(-1) * node.constant(4, "scales").reshape(-1)
        scale = graph.constant(np.asarray(scale if scale.size > 1 else scale[0], "float32"))
        inputs.append(graph.add("DequantizeLinear", graph.input(8), scale, axis=0))
    value = graph.add("Conv", *inputs, **_with_attributes(node))
    return graph.result(graph.quantized(value, 6))


def q_linear_matmul(node: Node) -> Any:
    """Converts QLinearMatMul, of one scale for all, or one for each row and each column."""
    graph = _Graph(node)
    value = graph.add("MatMul", graph.floats(0, axis=-2), graph.floats(3, axis=-1))
    return graph.result(graph.quantized(value, 6, axis=-2))


def q_gemm(node: Node) -> Any:
    """Converts QGemm; its bias is of 32 bits, with the product of all scales. Floats, too."""
    graph = _Graph(node)
    attributes = _with_attributes(node)
    alpha = attributes.get("alpha", 1.0)
    turned = attributes.get("transB", 0)
    inputs = [graph.floats(0), graph.floats(3, axis=0 if turned else 1)]
    if graph.has(6):
        scale = (
            alpha * node.constant(1, "scales").reshape(-1) * node.constant(4, "scales").reshape(-1)
        )
        scale = graph.constant(np.asarray(scale if scale.size > 1 else scale[0], "float32"))
        inputs.append(graph.add("DequantizeLinear", graph.input(6), scale, axis=-1))
    value = graph.add("Gemm", *inputs, **attributes)
    return graph.result(graph.quantized(value, 7) if graph.has(7) else value)


def _pointwise(node: Node, kind: str, places: Sequence[int], result: int) -> Any:
    """Converts an operator that has a namesake on floats.

    Args:
        node: The node.
        kind: Type of the operator on floats.
        places: Of the tensors, which their scales and zero points follow.
        result: Place of the scale of the result.
    """
    if node.attributes.get("channels_last"):
        raise Untranslatable("its channels are last; export the model with channels_last=0")
    graph = _Graph(node)
    value = graph.add(
        kind, *(graph.floats(place) for place in places), **_with_attributes(node, "channels_last")
    )
    return graph.result(graph.quantized(value, result))


def q_linear_concat(node: Node) -> Any:
    """Converts QLinearConcat, whose result's scale and zero point come first."""
    graph = _Graph(node)
    parts = [graph.floats(place) for place in range(2, len(node.inputs), 3)]
    value = graph.add("Concat", *parts, axis=int(node.attributes["axis"]))
    return graph.result(graph.quantized(value, 0))


def q_linear_where(node: Node) -> Any:
    """Converts QLinearWhere."""
    graph = _Graph(node)
    value = graph.add("Where", graph.input(0), graph.floats(1), graph.floats(4))
    return graph.result(graph.quantized(value, 7))


def q_linear_softmax(node: Node) -> Any:
    """Converts QLinearSoftmax over one axis, which older operator sets had for the last ones."""
    axis, rank = int(node.attributes.get("axis", -1)), node.input(0).ty.ndim
    if int(node.attributes.get("opset", 13)) < 13 and axis % rank != rank - 1:
        raise Untranslatable("it is over several axes; export the model with opset 13 or later")
    graph = _Graph(node)
    value = graph.add("Softmax", graph.floats(0), axis=axis)
    return graph.result(graph.quantized(value, 3))


def matmul_integer_to_float(node: Node) -> Any:
    """Converts MatMulIntegerToFloat: a product of integers, scaled, and a bias."""
    graph = _Graph(node)
    product = graph.add("MatMulInteger", *(graph.input(place) for place in (0, 1, 4, 5)))
    return _to_floats(graph, product, graph.input(2), graph.input(3), 6)


def dynamic_quantize_matmul(node: Node) -> Any:
    """Converts DynamicQuantizeMatMul: data quantised at run time times constant weights."""
    graph = _Graph(node)
    data = graph.add("DynamicQuantizeLinear", graph.input(0))
    product = graph.add("MatMulInteger", data, graph.input(1), f"{data}zero", graph.input(3))
    return _to_floats(graph, product, f"{data}scale", graph.input(2), 4)


def _to_floats(graph: _Graph, product: str, one: str, other: str, bias: int) -> Any:
    floats = graph.add("Cast", product, to=TensorProto.FLOAT)
    value = graph.add("Mul", floats, graph.add("Mul", one, other))
    return graph.result(graph.add("Add", value, graph.input(bias)) if graph.has(bias) else value)


POINTWISE: Mapping[str, tuple[str, tuple[int, ...], int]] = {
    "QLinearAdd": ("Add", (0, 3), 6),
    "QLinearMul": ("Mul", (0, 3), 6),
    "QLinearSigmoid": ("Sigmoid", (0,), 3),
    "QLinearLeakyRelu": ("LeakyRelu", (0,), 3),
    "QLinearAveragePool": ("AveragePool", (0,), 3),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,), 3),
}
"""ONNX Runtime's operators with a namesake: that, and the places of their tensors and scale."""

CONVERTERS: dict[Key, Converter] = {
    ("", "QLinearConv"): q_linear_conv,
    ("", "QLinearMatMul"): q_linear_matmul,
    (MICROSOFT, "QLinearConv"): q_linear_conv,
    (MICROSOFT, "QGemm"): q_gemm,
    (MICROSOFT, "QLinearConcat"): q_linear_concat,
    (MICROSOFT, "QLinearWhere"): q_linear_where,
    (MICROSOFT, "QLinearSoftmax"): q_linear_softmax,
    (MICROSOFT, "MatMulIntegerToFloat"): matmul_integer_to_float,
    (MICROSOFT, "DynamicQuantizeMatMul"): dynamic_quantize_matmul,
    **{
        (MICROSOFT, name): partial(_pointwise, kind=kind, places=places, result=result)
        for name, (kind, places, result) in POINTWISE.items()
    },
}
