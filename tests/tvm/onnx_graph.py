"""Small ONNX graphs: made, run as a tuned model would be, and compared with ONNX Runtime."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tvm
from onnx import helper, numpy_helper

from chameleon_ray.compiler.frontend.load import load
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.spaces.extract import extract

# Unoptimised code computes the same and is compiled several times faster.
TARGET = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})
Arrays = Sequence[np.ndarray]


def graph(
    nodes: Sequence[onnx.NodeProto],
    feeds: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    weights: Mapping[str, np.ndarray] | None = None,
    opset: int = 21,
    **others: int,
) -> onnx.ModelProto:
    """Makes a model whose inputs have the types of ``feeds``; ``others`` are more domains."""
    dtype = helper.np_dtype_to_tensor_dtype
    made = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, dtype(x.dtype), x.shape) for name, x in feeds.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(x), name) for name, x in (weights or {}).items()],
    )
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(name.replace("_", "."), v) for name, v in others.items()]
    model = helper.make_model(made, opset_imports=imports, ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model)
    for value, known in zip(model.graph.output, inferred.graph.output, strict=True):
        if known.type.tensor_type.HasField("shape"):
            value.CopyFrom(known)
        else:  # an operator, or a shape, that onnx does not know
            value.CopyFrom(helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, ["?"]))
    return model


def computed(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], folder: Path) -> Arrays:
    """Imports, lowers, compiles and runs a model."""
    path = folder / "model.onnx"
    onnx.save(model, path)
    imported = load(str(path))
    lowered = lower(imported.module, TARGET, LLVM)
    extract(lowered, str(TARGET), LLVM)
    machine = tvm.relax.VirtualMachine(LLVM.compile_model(lowered, TARGET), tvm.cpu())
    given = [tvm.runtime.tensor(np.asarray(feeds[x.name], order="C")) for x in imported.inputs]
    result = machine["main"](*given)
    return [one.numpy() for one in ([result] if hasattr(result, "numpy") else result)]


def by_onnxruntime(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Arrays:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(one) for one in session.run(None, dict(feeds))]


def assert_same(found: Arrays, expected: Arrays, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def assert_like_onnxruntime(
    model: onnx.ModelProto,
    feeds: Mapping[str, np.ndarray],
    folder: Path,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    expected = by_onnxruntime(model, feeds)
    assert_same(computed(model, feeds, folder), expected, rtol, atol)
