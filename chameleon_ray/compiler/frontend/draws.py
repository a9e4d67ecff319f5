"""Draws: the example inputs that a model is verified on, of which the first is timed."""

import logging
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter

import numpy as np

from chameleon_ray.compiler.frontend.drawing import DRAWS
from chameleon_ray.compiler.frontend.inputs import ModelError
from chameleon_ray.measure.example import Arrays, Example, is_float

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds of the source framework after which no further draw is computed."""
Run = Callable[[Arrays], Arrays]
"""Computes a model's outputs from its inputs in the source framework."""


def redrawn(first: Arrays, rng: np.random.Generator, count: int = DRAWS) -> list[Arrays]:
    """Returns example inputs that were given, and more draws like them.

    Floats are put in another order, as their own values surely suit the model. Where all are the
    same, they are drawn between half and one and a half of that. Other types keep their values.
    """
    return [first, *(tuple(_like(array, rng) for array in first) for _ in range(count - 1))]


def _like(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if not is_float(array) or array.size < 2:
        return array
    values = array.ravel()
    if (values == values[0]).all():
        values = (values * rng.uniform(0.5, 1.5, array.size)).astype(array.dtype)
    return rng.permutation(values).reshape(array.shape)


def worked_out(
    model: str, run: Run, draws: Iterable[Arrays], hint: Callable[[], str] = str
) -> tuple[Example, ...]:
    """Computes the outputs to expect of draws, those of the first draw twice.

    A warning names outputs without a finite value, as those of a wrong library are the same.

    Args:
        model: Name of the model in messages.
        run: Computes outputs in the source framework; it must leave the inputs as they are.
        draws: Inputs; those after a slow draw are left out.
        hint: Names in brackets what may draw random numbers; empty where nothing is known.

    Raises:
        ModelError: The outputs of the first draw change from run to run.
    """
    examples: list[Example] = []
    began = perf_counter()
    for inputs in draws:
        if examples and perf_counter() - began > PATIENCE:
            break
        examples.append(Example(inputs, run(inputs)))
        first = examples[0].outputs or ()
        if len(examples) == 1 and not _all_same(first, run(inputs)):
            raise ModelError(
                f"The outputs of {model} change from run to run on the same inputs{hint()}; export "
                "it in inference mode, without random numbers and without state."
            )
    _tell_of_nothing(model, examples)
    return tuple(examples)


def _tell_of_nothing(model: str, examples: Sequence[Example]) -> None:
    """Warns of outputs that have no finite value in any example."""
    columns = list(zip(*(example.outputs or () for example in examples), strict=False))
    for place, arrays in enumerate(columns, 1):
        if any(not is_float(one) or np.isfinite(one.astype("f8")).any() for one in arrays):
            continue
        which = f"Output {place} of {len(columns)}" if len(columns) > 1 else "The output"
        logger.warning(
            "%s of %s has no finite value for any example, so that comparing it proves nothing; "
            "look for NaN in its weights, or give values that suit the model with --example.",
            which,
            model,
        )


def _all_same(outputs: Arrays, again: Arrays) -> bool:
    return len(outputs) == len(again) and all(map(_same, outputs, again))


def _same(output: np.ndarray, again: np.ndarray) -> bool:
    """Whether two outputs differ by no more than sums in another order do."""
    if not is_float(output):
        return np.array_equal(output, again)
    one, other = output.astype("f8"), again.astype("f8")
    finite = one[np.isfinite(one)]
    bound = 1e-3 * np.abs(finite).max() if finite.size else 0.0
    return one.shape == other.shape and np.allclose(one, other, 0, bound, equal_nan=True)
