"""Imports ONNX files, without torch."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from tvm import relax
from tvm.ir import IRModule
from tvm.relax.frontend.onnx import from_onnx, onnx_frontend

from chameleon_ray.compiler.frontend.draws import drawn
from chameleon_ray.compiler.frontend.inputs import Declared, InputSpec, ModelError, close_all
from chameleon_ray.compiler.frontend.model import Model, digest, reason
from chameleon_ray.compiler.frontend.onnx.reference import onnx_examples
from chameleon_ray.compiler.frontend.onnx_shapes import fix_shapes
from chameleon_ray.compiler.quiet import quiet

BUILT_IN = {"Constant", "If"}
"""Operators that TVM's importer handles outside its table of converters."""


def load_onnx(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports an ONNX model, with outputs of ONNX Runtime or of ``onnx.reference`` to expect."""
    proto = _read(path)
    specs = close_all(_declared(proto.graph), inputs, str(path))
    module = _translate(proto, specs, path)
    draws = drawn(specs, np.random.default_rng(seed))
    examples, reference = onnx_examples(path, [spec.name for spec in specs], draws)
    outputs = tuple(value.name for value in proto.graph.output)
    return Model(path.stem, module, specs, digest(module), examples, reference, outputs)


def _read(path: Path) -> onnx.ModelProto:
    """Reads the model, if it is whole and made of operators that TVM can convert."""
    try:
        proto = onnx.load(path)
    except Exception as error:
        raise _invalid(path, reason(error)) from error
    if not (proto.graph.node and proto.graph.output and proto.opset_import):
        raise _invalid(path, "its graph or operator set is missing")
    known = BUILT_IN | set(onnx_frontend._get_convert_map())
    unknown = sorted({node.op_type for node in _nodes(proto.graph)} - known)
    if unknown:
        raise ModelError(
            f"{path} uses ONNX operators that TVM cannot convert: {', '.join(unknown)}; export the "
            "model without them."
        )
    return proto


def _invalid(path: Path, why: str) -> ModelError:
    return ModelError(
        f"{path} is not a valid ONNX model ({why}); it may be cut short or miss its data files: "
        "export or download it again."
    )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yields the nodes of a graph and of the graphs in their attributes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _declared(graph: onnx.GraphProto) -> list[Declared]:
    """Returns the inputs that are not weights."""
    weights = {weight.name for weight in graph.initializer}
    declared = []
    for value in graph.input:
        if value.name in weights:
            continue
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type"):
            raise ModelError(f"The input {value.name!r} is no tensor; export the model without it.")
        if not tensor.HasField("shape"):
            raise ModelError(f"The input {value.name!r} has no known rank; export it with a shape.")
        shape = tuple(
            size.dim_value if size.dim_value > 0 else size.dim_param or "?"
            for size in tensor.shape.dim
        )
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        declared.append(Declared(value.name, shape, dtype))
    return declared


class Clip(onnx_frontend.OnnxOpConverter):
    """Converts ONNX's Clip to Relax operators; TVM makes loops of it, which stop layout passes."""

    @classmethod
    def _impl_v1(cls, bb: Any, inputs: Any, attr: dict[str, Any], params: Any) -> relax.Expr:
        dtype = str(inputs[0].ty.dtype)
        low, high = (
            relax.const(attr[name], dtype) if name in attr else None for name in ("min", "max")
        )
        return cls._between(inputs[0], low, high)

    @classmethod
    def _impl_v11(cls, bb: Any, inputs: Any, attr: dict[str, Any], params: Any) -> relax.Expr:
        return cls._between(inputs[0], inputs[1], inputs[2])

    @staticmethod
    def _between(data: relax.Expr, low: Any, high: Any) -> relax.Expr:
        bounded = data if low is None else relax.op.maximum(data, low)
        return bounded if high is None else relax.op.minimum(bounded, high)


@contextlib.contextmanager
def _own_converters() -> Iterator[None]:
    """Replaces TVM's converters by those of this file while a model is imported.

    TVM looks its converters up by name, in their module, at each import.
    """
    before = onnx_frontend.Clip
    onnx_frontend.Clip = Clip
    try:
        yield
    finally:
        onnx_frontend.Clip = before


def _translate(proto: onnx.ModelProto, specs: Sequence[InputSpec], path: Path) -> IRModule:
    shapes = {spec.name: list(spec.shape) for spec in specs}
    try:
        with quiet(), _own_converters():
            return from_onnx(fix_shapes(proto, specs), shape_dict=shapes)
    except Exception as error:
        try:
            onnx.checker.check_model(str(path))  # too strict to be asked where all goes well
        except Exception as finding:
            raise _invalid(path, reason(finding)) from error
        raise ModelError(
            f"TVM cannot translate {path} ({reason(error)}); simplify the model, or export it from "
            "torch as a .pt2 file instead."
        ) from error
