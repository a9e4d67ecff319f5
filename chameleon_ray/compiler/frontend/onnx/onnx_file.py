"""Imports ONNX files, without torch."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.drawing import draw_all
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError, close_all
from chameleon_ray.compiler.frontend.model import Model, digest, reason
from chameleon_ray.compiler.frontend.onnx.declared import declared, fix
from chameleon_ray.compiler.frontend.onnx.importer import find, named, nodes, translate
from chameleon_ray.compiler.frontend.onnx.shapes import fix_shapes
from chameleon_ray.compiler.quiet import quiet

logger = logging.getLogger(__name__)


def load_onnx(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports an ONNX model, with ONNX Runtime's outputs as a reference where it is installed."""
    proto = _read(path)
    left, fixed = fix(proto.graph, inputs, str(path))
    specs = close_all(declared(proto.graph), left, str(path))
    module = _translate(proto, specs, path)
    examples = draw_all(specs, module, np.random.default_rng(seed))
    fed = {spec.name: array for spec, array in zip(specs, examples, strict=True)}
    reference = _reference(path, fed | fixed)
    by = None if reference is None else "onnxruntime"
    return Model(path.stem, module, specs, digest(module), examples, reference, by)


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


def _reference(path: Path, feeds: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...] | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        return tuple(np.asarray(output) for output in session.run(None, dict(feeds)))
    except Exception as error:
        logger.warning("ONNX Runtime cannot run %s (%s).", path, reason(error))
        return None
