"""A model format: ``.toy`` files, which hold a multilayer perceptron in JSON.

A file is ``{"rows": 48, "weights": [[[0.5, ...], ...], ...]}``. It gives the number of rows of the
input, and the weights of every layer: a list for each input of the layer, with a number for every
output. Between layers there is a ReLU.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.drawing import drawn, uses_of
from chameleon_ray.compiler.frontend.inputs import Declared, InputSpec, ModelError, close_all
from chameleon_ray.compiler.frontend.model import Model, digest
from chameleon_ray.measure.example import Example


def load_toy(path: Path, inputs: Sequence[InputSpec], seed: int) -> Model:
    """Imports a file; the entry point names this function.

    Raises:
        ModelError: The file has no layers.
    """
    body = json.loads(path.read_text())
    weights = [np.array(layer, dtype=np.float32) for layer in body["weights"]]
    if not weights:
        raise ModelError(f"{path} has no layers; give it one at least.")
    declared = Declared("x", (body["rows"], len(weights[0])), "float32")
    specs = close_all([declared], inputs, str(path))
    module = translated(specs[0], weights)
    draws = drawn(specs, uses_of(module), np.random.default_rng(seed))
    examples = tuple(Example((x,), (expected(x, weights),)) for (x,) in draws)
    return Model(path.stem, module, specs, digest(module), examples, "NumPy")


def translated(spec: InputSpec, weights: Sequence[np.ndarray]) -> IRModule:
    """Translates the perceptron to Relax."""
    builder = relax.BlockBuilder()
    x = relax.Var(spec.name, relax.TensorType(spec.shape, spec.dtype))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = x
            for number, layer in enumerate(weights):
                value = builder.emit(relax.op.nn.relu(value)) if number else value
                value = builder.emit(relax.op.matmul(value, relax.const(layer)))
            output = builder.emit_output(value)
        builder.emit_func_output(output)
    return builder.get()


def expected(example: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Computes the perceptron's output, which the tuned model's is compared with."""
    value = example @ weights[0]
    for layer in weights[1:]:
        value = np.maximum(value, 0) @ layer
    return value
