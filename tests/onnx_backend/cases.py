"""Cases of ONNX's own backend tests, which the ``onnx`` wheel has: those of tensors only."""

import functools
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

AS_THEY_STAND = "as they stand"
WITH_CONSTANTS = "with constants"
FORMS = (AS_THEY_STAND, WITH_CONSTANTS)
"""Forms of a case: all inputs come at run time, or every one but the first is an initialiser."""


@dataclass(frozen=True, eq=False)
class Case:
    """One of ONNX's tests.

    Attributes:
        name: Name of the test, which begins with ``test_``.
        operator: Operator that it is about; a test of an operator's expansion has that operator.
        model: The model.
        inputs: Its inputs.
        outputs: Outputs to expect.
    """

    name: str
    operator: str
    model: onnx.ModelProto
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]

    def in_form(self, form: str) -> tuple[onnx.ModelProto, tuple[np.ndarray, ...]]:
        """Returns the model in a form, and the inputs that are left."""
        if form == AS_THEY_STAND or len(self.inputs) < 2:
            return self.model, self.inputs
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        constants = list(zip(model.graph.input, self.inputs, strict=True))[1:]
        del model.graph.input[1:]
        model.graph.initializer.extend(
            numpy_helper.from_array(array, value.name) for value, array in constants
        )
        return model, self.inputs[:1]


@functools.cache
def cases() -> dict[str, Case]:
    """Returns the cases by name, with the same random inputs every time."""
    from onnx.backend.test.loader import load_model_tests

    np.random.seed(0)  # which the tests draw from, when they are imported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node_tests = load_model_tests(kind="node")
        simple_tests = load_model_tests(kind="simple")
    operators = {one.name: one.model.graph.node[0].op_type for one in node_tests}
    found = []
    for one in node_tests:
        plain = re.sub(r"_expanded.*", "", one.name)
        inputs, outputs = one.data_sets[0]
        if _has_tensors_only(one.model, inputs, outputs):
            operator = operators.get(plain, operators[one.name])
            found.append(Case(one.name, operator, one.model, tuple(inputs), tuple(outputs)))
    found += [case for one in simple_tests if (case := _stored(Path(one.model_dir)))]
    return {case.name: case for case in found}


def chosen(each: int, rng: np.random.Generator) -> list[str]:
    """Chooses ``each`` cases of every operator, or all where there are fewer."""
    by_operator: dict[str, list[str]] = {}
    for case in cases().values():
        by_operator.setdefault(case.operator, []).append(case.name)
    return [
        name
        for names in by_operator.values()
        for name in sorted(rng.choice(names, min(each, len(names)), replace=False).tolist())
    ]


def _stored(folder: Path) -> Case | None:
    """Reads a test that is stored as files; None where it has more than required tensors."""
    model = onnx.load(folder / "model.onnx")
    values = (*model.graph.input, *model.graph.output)
    if not all(value.type.HasField("tensor_type") for value in values):
        return None
    data, weights = folder / "test_data_set_0", {one.name for one in model.graph.initializer}
    if any(value.name in weights for value in model.graph.input):
        return None
    inputs, outputs = (
        [numpy_helper.to_array(onnx.load_tensor(data / f"{what}_{i}.pb")) for i in range(count)]
        for what, count in (("input", len(model.graph.input)), ("output", len(model.graph.output)))
    )
    return Case(folder.name, "whole graphs", model, tuple(inputs), tuple(outputs))


def _has_tensors_only(
    model: onnx.ModelProto, inputs: Sequence[object], outputs: Sequence[object]
) -> bool:
    values = (*model.graph.input, *model.graph.output)
    return all(value.type.HasField("tensor_type") for value in values) and all(
        isinstance(value, np.ndarray | np.generic) for value in (*inputs, *outputs)
    )
