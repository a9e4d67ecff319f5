"""Imports ONNX files, without torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.drawing import drawn, uses_of
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError, close_all
from chameleon_ray.compiler.frontend.model import Model, digest, reason
from chameleon_ray.compiler.frontend.onnx.declared import declared, fix
from chameleon_ray.compiler.frontend.onnx.importer import find, named, nodes, translate
from chameleon_ray.compiler.frontend.onnx.reference import onnx_examples
from chameleon_ray.compiler.frontend.onnx.shapes import fix_shapes
from chameleon_ray.compiler.quiet import quiet


def load_onnx(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports an ONNX model, with outputs of ONNX Runtime or of ``onnx.reference`` to expect."""
    proto = _read(path)
    left, fixed = fix(proto.graph, inputs, str(path))
    specs = close_all(declared(proto.graph), left, str(path))
    module = _translate(proto, specs, path)
    draws = drawn(specs, uses_of(module), np.random.default_rng(seed))
    names = [spec.name for spec in specs]
    examples, reference = onnx_examples(path, names, draws, fixed)
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
    unknown = sorted({named(node) for node in nodes(proto.graph) if find(node) is None})
    if unknown:
        raise ModelError(
            f"{path} uses ONNX operators that cannot be converted: {', '.join(unknown)}; export "
            "the model without them."
        )
    return proto


def _invalid(path: Path, why: str) -> ModelError:
    return ModelError(
        f"{path} is not a valid ONNX model ({why}); it may be cut short or miss its data files: "
        "export or download it again."
    )


def _translate(proto: onnx.ModelProto, specs: Sequence[InputSpec], path: Path) -> IRModule:
    try:
        with quiet():
            return translate(fix_shapes(proto, specs), specs, str(path))
    except Exception as error:
        try:
            onnx.checker.check_model(str(path))  # too strict to be asked where all goes well
        except Exception as finding:
            raise _invalid(path, reason(finding)) from error
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{path} cannot be translated ({reason(error)}); simplify the model, or export it from "
            "torch as a .pt2 file instead."
        ) from error
