"""Imports ONNX files, without torch."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.inputs import Declared, InputSpec, ModelError, close_all
from chameleon_ray.compiler.frontend.model import Model, digest, reason
from chameleon_ray.compiler.frontend.onnx.importer import expands, find, named, translate
from chameleon_ray.compiler.frontend.onnx.node import key_of
from chameleon_ray.compiler.frontend.onnx.normalize import has_function, nodes, normalize
from chameleon_ray.compiler.frontend.onnx.weights import set_aside
from chameleon_ray.compiler.quiet import quiet

logger = logging.getLogger(__name__)


def load_onnx(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports an ONNX model, with ONNX Runtime's outputs as a reference where it is installed."""
    specs, module = import_file(path, inputs)
    rng = np.random.default_rng(seed)
    examples = tuple(spec.example(rng) for spec in specs)
    reference = _reference(path, specs, examples)
    by = None if reference is None else "onnxruntime"
    return Model(path.stem, module, specs, digest(module), examples, reference, by)


def import_file(path: Path, inputs: Sequence[InputSpec]) -> tuple[tuple[InputSpec, ...], IRModule]:
    """Imports an ONNX file; returns its inputs, and a Relax module whose ``main`` takes them.

    Args:
        path: The file.
        inputs: Shapes that the user gave.

    Raises:
        ModelError: The file cannot be read or translated, or the inputs do not fit it.
    """
    proto, weights = _read(path)
    specs = close_all(_declared(proto.graph, weights), inputs, str(path))
    functions = {(one.domain, one.name) for one in proto.functions}
    _demand_converters(proto, path, lambda node: key_of(node) in functions or has_function(node))
    try:
        with quiet():
            proto = normalize(proto, specs, expands)
            _demand_converters(proto, path)
            return specs, translate(proto, weights, specs, str(path))
    except ModelError:
        raise
    except Exception as error:
        finding = _finding(path)
        if finding:
            raise _invalid(path, finding) from error
        raise ModelError(
            f"{path} cannot be translated ({reason(error)}); simplify the model, or export it from "
            "torch as a .pt2 file instead."
        ) from error


def _read(path: Path) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Reads the model without its large weights, and these."""
    try:
        proto = onnx.load(path, load_external_data=False)
        weights = set_aside(proto, path.parent)
    except Exception as error:
        raise _invalid(path, reason(error)) from error
    if not (proto.graph.node and proto.graph.output and proto.opset_import):
        raise _invalid(path, "its graph or operator set is missing")
    return proto, weights


def _demand_converters(
    proto: onnx.ModelProto, path: Path, spared: Callable[[onnx.NodeProto], bool] = lambda _: False
) -> None:
    """Raises a ModelError where there are operators without a converter, unless they are spared."""
    missing = [node for node in nodes(proto.graph) if find(node) is None and not spared(node)]
    unknown = sorted({named(node) for node in missing})
    if unknown:
        raise ModelError(
            f"{path} uses ONNX operators that cannot be converted: {', '.join(unknown)}; export "
            "the model without them."
        )


def _finding(path: Path) -> str:
    """Returns what ONNX's checker finds wrong; empty where the file is valid.

    It is too strict to be asked where all goes well, as runtimes take outputs without a shape.
    """
    try:
        proto = onnx.load(path, load_external_data=False)
        set_aside(proto, path.parent)
        for output in proto.graph.output:
            output.type.tensor_type.shape.SetInParent()
        onnx.checker.check_model(proto)
    except Exception as finding:
        return reason(finding)
    return ""


def _invalid(path: Path, why: str) -> ModelError:
    return ModelError(
        f"{path} is not a valid ONNX model ({why}); it may be cut short or miss its data files: "
        "export or download it again."
    )


def _declared(graph: onnx.GraphProto, weights: Iterable[str]) -> list[Declared]:
    """Returns the inputs that are not weights."""
    given = {*weights, *(weight.name for weight in graph.initializer)}
    declared = []
    for value in graph.input:
        if value.name in given:
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


def _reference(
    path: Path, specs: Sequence[InputSpec], examples: Sequence[np.ndarray]
) -> tuple[np.ndarray, ...] | None:
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
        feeds = {spec.name: array for spec, array in zip(specs, examples, strict=True)}
        return tuple(np.asarray(output) for output in session.run(None, feeds))
    except Exception as error:
        logger.warning("ONNX Runtime cannot run %s (%s).", path, reason(error))
        return None
