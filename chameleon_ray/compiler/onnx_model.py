"""An ONNX file in, an imported model out; torch is not needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from tvm.ir import IRModule
from tvm.relax.frontend.onnx import from_onnx, onnx_frontend

from chameleon_ray.compiler.inputs import Declared, InputSpec, ModelError, close_all
from chameleon_ray.compiler.models import Model, digest, quiet, reason

BUILT_IN = {"Constant", "If"}
"""Operators that TVM's importer handles outside its table of converters."""


def load_onnx(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """An ONNX model; ONNX Runtime, where it is installed, says what it should compute."""
    proto = _read(path)
    specs = close_all(_declared(proto.graph), inputs, str(path))
    rng = np.random.default_rng(seed)
    examples = tuple(spec.example(rng) for spec in specs)
    module = _translate(proto, specs, path)
    reference = _reference(path, specs, examples)
    by = None if reference is None else "onnxruntime"
    return Model(path.stem, module, specs, digest(module), examples, reference, by)


def _read(path: Path) -> onnx.ModelProto:
    """The model, if it is whole and made of operators that TVM can convert."""
    try:
        proto = onnx.load(path)
        if not proto.graph.node:
            raise ValueError("it has no nodes")
        _refuse_unsupported(proto, path)
        onnx.checker.check_model(proto if proto.ByteSize() < onnx.checker.MAXIMUM_PROTOBUF else path)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{path} is not a valid ONNX model ({reason(error)}); it may be cut short or miss its "
            "data files: export or download it again."
        ) from error
    return proto
