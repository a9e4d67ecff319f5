"""Small quantised ONNX graphs, what an independent runtime makes of them, and what we do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tvm
from onnx import helper, numpy_helper
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.inputs import InputSpec
from chameleon_ray.compiler.frontend.onnx.importer import expands, translate
from chameleon_ray.compiler.frontend.onnx.normalize import normalize
from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.fold import fold_batch_norm, fold_constants
from chameleon_ray.compiler.passes.integers import in_integers
from chameleon_ray.compiler.passes.lower import lower, lower_plainly
from chameleon_ray.compiler.relax import bindings_of, operator
from tests.tvm import layers

Arrays = Mapping[str, np.ndarray]
PRODUCTS = ("relax.nn.conv1d", "relax.nn.conv2d", "relax.nn.conv3d", "relax.matmul")


class Graph:
    """An ONNX graph under construction; inputs are floats unless given otherwise."""

    def __init__(self, version: int = 17) -> None:
        self.version = version
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Any] = {}
        self._count = 0

    def constant(self, numbers: Any, dtype: str = "float32") -> str:
        name = f"c{len(self.weights)}"
        self.weights[name] = np.asarray(numbers, dtype)
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        self._count += 1
        name = f"v{self._count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def dequantized(self, x: str, scale: Any, zero: Any, dtype: str, axis: int = 1) -> str:
        names = self.constant(scale), self.constant(zero, dtype)
        return self.add("DequantizeLinear", x, *names, axis=axis)

    def both(self, x: str, scale: float, zero: int, dtype: str = "uint8") -> str:
        """Quantises a value and dequantises it."""
        names = self.constant(scale), self.constant(zero, dtype)
        return self.add("DequantizeLinear", self.add("QuantizeLinear", x, *names), *names)

    def model(self, inputs: Arrays, outputs: Sequence[str]) -> onnx.ModelProto:
        typed = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in inputs.items()
        ]
        graph = helper.make_graph(
            self.nodes,
            "graph",
            typed,
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )
        opsets = [helper.make_opsetid("", self.version), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def imported(model: onnx.ModelProto, inputs: Arrays) -> IRModule:
    specs = [InputSpec(name, array.shape, array.dtype.name) for name, array in inputs.items()]
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    return translate(normalize(copy, specs, expands), {}, specs, "graph")


def expected(model: onnx.ModelProto, inputs: Arrays) -> list[np.ndarray]:
    """What ONNX Runtime computes node by node: floats between dequantising and quantising."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(output) for output in session.run(None, dict(inputs))]


def computed(
    module: IRModule, inputs: Arrays, plainly: bool = False, kind: TargetKind = LLVM
) -> list[np.ndarray]:
    target = layers.unoptimised()
    mod = lower_plainly(module, target, kind) if plainly else lower(module, target, kind)
    machine = relax.VirtualMachine(tvm.compile(mod, target), tvm.cpu())
    outputs = machine["main"](*[tvm.runtime.tensor(array) for array in inputs.values()])
    return [out.numpy() for out in ([outputs] if hasattr(outputs, "numpy") else outputs)]


def rewritten(module: IRModule) -> IRModule:
    """The module after the pass, still of operators."""
    mod = relax.transform.CanonicalizeBindings()(relax.transform.ConvertToDataflow()(module))
    return in_integers(fold_batch_norm(fold_constants(mod)))


def products(mod: IRModule) -> Counter[str]:
    """Types of the results of convolutions and matrix products, and how many there are of each."""
    calls = [binding for binding in bindings_of(mod) if operator(binding.value) in PRODUCTS]
    return Counter(str(call.var.ty.dtype) for call in calls)


def operators(mod: IRModule) -> Counter[str]:
    return Counter(operator(binding.value).removeprefix("relax.") for binding in bindings_of(mod))
