"""What an ONNX file computes, by ONNX Runtime or else by ONNX's own reference evaluator."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import version_converter

from chameleon_ray.compiler.frontend.draws import Run, worked_out
from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.compiler.frontend.model import reason
from chameleon_ray.measure.example import Arrays, Example

logger = logging.getLogger(__name__)

RANDOM = ("Bernoulli", "Multinomial", "Dropout")
"""Operators that may draw random numbers, beside those whose names begin with Random."""
ONNX_RUNTIME = "ONNX Runtime"
NEWER = 21
"""Operator set of which ``onnx.reference`` has every quantising operator; it lacks older ones."""


def onnx_examples(
    path: Path,
    names: Sequence[str],
    draws: Sequence[Arrays],
    fixed: Mapping[str, np.ndarray],
    given: bool = False,
) -> tuple[tuple[Example, ...], str | None]:
    """Computes the outputs to expect of an ONNX file.

    Args:
        path: The file.
        names: Names of its inputs, in the order of the draws' arrays.
        draws: Inputs.
        fixed: Values of inputs that are part of the model from now on, by name.
        given: Whether some of the draws' values are the user's.

    Returns:
        The examples, and the name of what computed their outputs. Where nothing could, the examples
        have no outputs, the name is None, and a warning says why.

    Raises:
        ModelError: The outputs change from run to run, or ONNX Runtime takes the file and refuses
            values that the user gave.
    """
    failures, refused = dict[str, str](), False
    for name, start in RUNNERS.items():
        try:
            run = start(path, names, fixed)
        except Exception as error:
            failures[name] = reason(error)
            continue
        try:
            return worked_out(str(path), run, draws, lambda: _hint(path)), name
        except ModelError:
            raise
        except Exception as error:
            failures[name] = reason(error)
            refused = refused or name == ONNX_RUNTIME
    _tell(path, failures, refused, given)
    return tuple(Example(inputs) for inputs in draws), None


def _tell(path: Path, failures: Mapping[str, str], refused: bool, given: bool) -> None:
    """Says why nothing could run a file.

    Args:
        path: The file.
        failures: Reasons, by the name of what could not.
        refused: Whether ONNX Runtime takes the file, but not the values of its inputs.
        given: Whether some of these are the user's.

    Raises:
        ModelError: The user's values are refused.
    """
    if refused and given:
        raise ModelError(
            f"The examples do not suit {path}: ONNX Runtime fails on them "
            f"({failures[ONNX_RUNTIME]}); give other values with --example."
        )
    logger.warning(
        "Nothing but TVM can run %s (%s), so its outputs can only be compared with untuned TVM's%s",
        path,
        "; ".join(f"{name}: {why}" for name, why in failures.items()),
        "; give values that suit it with --example." if refused else ".",
    )


def _runtime(path: Path, names: Sequence[str], fixed: Mapping[str, np.ndarray]) -> Run:
    """Starts ONNX Runtime such that it computes node by node what the file says.

    Its optimisations would compute quantised graphs with other roundings and saturations than the
    graph has: pairs of quantising operators become integer kernels, on some CPUs with sums that
    saturate at 16 bits.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: _arrays(session.run(None, _fed(names, inputs, fixed)))


def _evaluator(path: Path, names: Sequence[str], fixed: Mapping[str, np.ndarray]) -> Run:
    """Starts ONNX's reference evaluator, which is slow; old operator sets become newer ones."""
    from onnx.reference import ReferenceEvaluator

    proto = onnx.load(path)
    try:
        evaluator = ReferenceEvaluator(proto)
    except RuntimeError:
        evaluator = ReferenceEvaluator(version_converter.convert_version(proto, NEWER))
    return lambda inputs: _arrays(evaluator.run(None, _fed(names, inputs, fixed)))


RUNNERS: dict[str, Callable[[Path, Sequence[str], Mapping[str, np.ndarray]], Run]] = {
    ONNX_RUNTIME: _runtime,
    "onnx.reference": _evaluator,
}
"""Starters of what can run a file, by name, in the order in which they are tried."""


def _fed(
    names: Sequence[str], inputs: Arrays, fixed: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {**dict(zip(names, inputs, strict=True)), **fixed}


def _arrays(outputs: Sequence[Any]) -> Arrays:
    if not all(isinstance(output, np.ndarray | np.generic) for output in outputs):
        raise TypeError("an output is no tensor")
    return tuple(np.asarray(output) for output in outputs)


def _hint(path: Path) -> str:
    """Names a file's operators that may draw random numbers, in brackets."""
    graph = onnx.load(path, load_external_data=False).graph
    kinds = {node.op_type for node in graph.node}
    found = sorted(kind for kind in kinds if kind.startswith("Random") or kind in RANDOM)
    return f" (it has {', '.join(found)})" if found else ""
