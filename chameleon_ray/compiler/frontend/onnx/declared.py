"""What an ONNX graph declares of its inputs, read without TVM; inputs that the user fixes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from chameleon_ray.compiler.frontend.inputs import Declared, InputSpec, ModelError, name_all


def inputs_of(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Returns the inputs that are not weights."""
    weights = {weight.name for weight in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def declared(graph: onnx.GraphProto) -> list[Declared]:
    """Returns what the graph says of its inputs.

    Raises:
        ModelError: An input is no tensor of numbers, or has no known rank.
    """
    return [_declared(value, graph) for value in inputs_of(graph)]


def _declared(value: onnx.ValueInfoProto, graph: onnx.GraphProto) -> Declared:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise ModelError(f"The input {value.name!r} is no tensor; export the model without it.")
    if not tensor.HasField("shape"):
        raise ModelError(f"The input {value.name!r} has no known rank; export it with a shape.")
    if tensor.elem_type == onnx.TensorProto.STRING:
        kinds = sorted({node.op_type for node in graph.node if value.name in node.input})
        raise ModelError(
            f"The input {value.name!r} is text (for {', '.join(kinds) or 'nothing'}), which cannot "
            "be computed with; export the model from where the text has become numbers."
        )
    shape = tuple(
        size.dim_value if size.dim_value > 0 else size.dim_param or _written(size)
        for size in tensor.shape.dim
    )
    return Declared(value.name, shape, helper.tensor_dtype_to_np_dtype(tensor.elem_type).name)


def _written(size: onnx.TensorShapeProto.Dimension) -> str:
    """Returns an extent that is no size as it is in the file; some exporters write -1 or 0."""
    return str(size.dim_value) if size.HasField("dim_value") else "?"


def demand_names(path: Path, given: Sequence[InputSpec]) -> None:
    """Checks the names of inputs that the user gave against those in a file.

    A file that cannot be read is left to the import.

    Raises:
        ModelError: The model has no input of a name.
    """
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception:
        return
    names = [value.name for value in inputs_of(graph)]
    name_all([replace(spec, fixed=False) for spec in given], names, str(path))


def fix(
    graph: onnx.GraphProto, given: Sequence[InputSpec], model: str
) -> tuple[list[InputSpec], dict[str, np.ndarray]]:
    """Makes constants of the inputs that the user fixes.

    Args:
        graph: The graph, which is changed.
        given: Inputs that the user gave.
        model: Name of the model in messages.

    Returns:
        The other inputs that the user gave, and the values of the fixed ones by name.

    Raises:
        ModelError: A fixed input is not one of the model's, or its values do not fit it.
    """
    known = {value.name: value for value in inputs_of(graph)}
    asked = [replace(spec, fixed=False) for spec in given if spec.fixed]
    values = {}
    for name, spec in name_all(asked, list(known), model).items():
        values[name] = np.asarray(_declared(known[name], graph).fix(spec, model).values)
        graph.initializer.append(numpy_helper.from_array(values[name], name))
        graph.input.remove(known[name])
    return [spec for spec in given if not spec.fixed], values
