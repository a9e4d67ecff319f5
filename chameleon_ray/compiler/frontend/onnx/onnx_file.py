"""Imports ONNX files, without torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.drawing import drawn, uses_of
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError, close_all
from chameleon_ray.compiler.frontend.model import Model, digest, reason
from chameleon_ray.compiler.frontend.onnx.declared import declared, fix
from chameleon_ray.compiler.frontend.onnx.importer import (
    expands,
    find,
    named,
    translate,
)
from chameleon_ray.compiler.frontend.onnx.node import Untranslatable, draws_numbers, key_of
from chameleon_ray.compiler.frontend.onnx.normalize import has_function, nodes, normalize
from chameleon_ray.compiler.frontend.onnx.reference import onnx_examples
from chameleon_ray.compiler.frontend.onnx.topology import misread
from chameleon_ray.compiler.frontend.onnx.weights import declare, set_aside
from chameleon_ray.compiler.quiet import quiet


def load_onnx(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports an ONNX model, with outputs of ONNX Runtime or of ``onnx.reference`` to expect."""
    graph = import_file(path, inputs)
    draws = drawn(graph.inputs, uses_of(graph.module), np.random.default_rng(seed))
    names = [spec.name for spec in graph.inputs]
    given = any(spec.values is not None for spec in graph.inputs)
    examples, reference = onnx_examples(path, names, draws, graph.fixed, given)
    return Model(
        path.stem,
        graph.module,
        graph.inputs,
        digest(graph.module),
        examples,
        reference,
        graph.outputs,
    )


@dataclass(frozen=True, eq=False)
class Graph:
    """The graph of an ONNX file, translated.

    Attributes:
        module: Relax module whose ``main`` takes the inputs in order; weights are constants.
        inputs: The inputs that are left, with static shapes.
        fixed: Values of the inputs that the user fixed, by name.
        outputs: Names of the outputs.
    """

    module: IRModule
    inputs: tuple[InputSpec, ...]
    fixed: Mapping[str, np.ndarray]
    outputs: tuple[str, ...]


def import_file(path: Path, inputs: Sequence[InputSpec]) -> Graph:
    """Imports the graph of an ONNX file.

    Args:
        path: The file.
        inputs: Inputs that the user gave.

    Raises:
        ModelError: The file cannot be read or translated, or the inputs do not fit it.
    """
    proto, weights = _read(path)
    left, fixed = fix(proto.graph, inputs, str(path))
    specs = close_all(declared(proto.graph), left, str(path))
    outputs = tuple(value.name for value in proto.graph.output)
    return Graph(_translated(proto, weights, specs, path), specs, fixed, outputs)


def _translated(
    proto: onnx.ModelProto,
    weights: Mapping[str, np.ndarray],
    specs: Sequence[InputSpec],
    path: Path,
) -> IRModule:
    functions = {(one.domain, one.name) for one in proto.functions}
    _demand_converters(proto, path, lambda node: key_of(node) in functions or has_function(node))
    try:
        with quiet():
            declare(proto.graph, weights)
            proto = normalize(proto, specs, expands)
            _demand_converters(proto, path)
            return translate(proto, weights, specs, str(path))
    except Exception as error:
        refused = isinstance(error, ModelError)
        if refused and isinstance(error.__cause__, Untranslatable | None):
            raise
        finding = _finding(path)
        if finding:
            raise _invalid(path, finding) from error
        if refused:
            raise
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
    fault = misread(proto.graph, frozenset(weights))
    if fault:
        raise ModelError(
            f"{path} is not a valid ONNX model: {fault}; correct what wrote it and export it again."
        )
    return proto, weights


def _demand_converters(
    proto: onnx.ModelProto, path: Path, spared: Callable[[onnx.NodeProto], bool] = lambda _: False
) -> None:
    """Raises a ModelError where there are operators without a converter, unless they are spared."""
    drawing = sorted({named(node) for node in nodes(proto.graph) if draws_numbers(node)})
    if drawing:
        raise ModelError(
            f"{path} draws random numbers ({', '.join(drawing)}), so that its outputs change from "
            "run to run; export the model without, or take them as inputs."
        )
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
        declare(proto.graph, set_aside(proto, path.parent))
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
