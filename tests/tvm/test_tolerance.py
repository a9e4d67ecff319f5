"""How equal outputs have to be: for each case those of a wrong library, and of a right one."""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from chameleon_ray.compiler.runtime.model_bench import magnitude, verdict
from chameleon_ray.compiler.runtime.tolerance import difference, differences
from chameleon_ray.measure.precision import PLAIN, Precision

RNG = np.random.default_rng(0)
NORMAL = RNG.standard_normal(1000).astype("float32")
NAN, INF = float("nan"), float("inf")
QUANTIZED = Precision("float32", quantizers=1)


def right(output: np.ndarray, reference: np.ndarray, precision: Precision = PLAIN) -> bool:
    """Whether a whole model's only output is right."""
    found = verdict((output,), (reference,), precision)
    assert found.ok == (not found.fault)
    return found.ok


def test_the_type_is_the_same() -> None:
    exact = NORMAL.astype("float64")
    assert right(exact, exact.copy())
    assert not right(NORMAL, exact)
    found = verdict((NORMAL,), (exact,), names=("y",))
    assert found.fault == "output 'y' has the type float32, not float64"
    assert not right(np.arange(3, dtype="int32"), np.arange(3, dtype="int64"))
    assert not right(np.ones(3, "uint8"), np.ones(3, "bool"))


def test_the_shape_is_the_same() -> None:
    assert not right(NORMAL.reshape(10, 100), NORMAL)
    assert not right(NORMAL[:1], NORMAL[0].reshape(()))
    assert verdict((NORMAL, NORMAL), (NORMAL,)).fault == "there are 2 outputs, not 1"
    assert not verdict((), ()).ok


def test_infinities_and_nan_are_in_the_same_places() -> None:
    reference = np.array([NAN, INF, -INF, 1.0], "float32")
    assert right(np.array([NAN, INF, -INF, 1.00001], "float32"), reference)
    for other in ([1.0, INF, -INF, 1.0], [NAN, -INF, -INF, 1.0], [NAN, INF, -INF, NAN]):
        assert not right(np.array(other, "float32"), reference)


def test_integers_and_booleans_are_equal() -> None:
    numbers = RNG.integers(0, 100, 1000)
    assert right(numbers.copy(), numbers)
    off = numbers.copy()
    off[3] += 1
    assert not right(off, numbers)
    assert not right(off.astype("uint8"), numbers.astype("uint8"))
    assert not right(off > 50, numbers < 50)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_outputs_that_are_rounded_otherwise_are_right(dtype: str) -> None:
    kind = np.dtype(dtype) if dtype != "bfloat16" else np.dtype(ml_dtypes.bfloat16)
    exact = NORMAL.astype(kind)
    again = np.nextafter(exact, np.array(9, kind))
    assert right(again, exact)
    assert not right((exact.astype("f4") * 1.3).astype(kind), exact)


def test_one_value_may_be_off_by_more_than_all_together() -> None:
    one = NORMAL.copy()
    one[7] += 5e-4 * np.abs(NORMAL).max()
    assert right(one, NORMAL)
    assert not right(NORMAL + np.float32(5e-4 * np.abs(NORMAL).max()), NORMAL)
    one[7] += 1e-3 * np.abs(NORMAL).max()
    assert not right(one, NORMAL)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_coarser_type_inside_counts(dtype: str) -> None:
    rounded = NORMAL + 5 * (NORMAL.astype(dtype).astype("float32") - NORMAL)
    assert right(rounded, NORMAL, Precision(dtype))
    assert not right(rounded, NORMAL, Precision("float32"))
    assert not right(1.3 * NORMAL, NORMAL, Precision(dtype))


def test_a_finer_type_inside_does_not() -> None:
    off = NORMAL + np.float32(1e-5)
    assert right(off, NORMAL, Precision("float64"))


@pytest.mark.parametrize("reference", [0.0, 1e-8])
def test_there_is_a_floor(reference: float) -> None:
    expected = np.full(64, reference, "float32")
    assert right(expected + np.float32(1e-7), expected)
    assert not right(expected + np.float32(1e-5), expected)


def test_the_floor_is_that_of_what_goes_in() -> None:
    tiny, zeros = NORMAL * np.float32(1e-8), np.zeros(1000, "float32")
    inputs = (NORMAL * np.float32(1e-8), np.arange(3))
    assert verdict((zeros,), (tiny,), scale=1.0).ok
    assert not verdict((zeros,), (tiny,), scale=magnitude(inputs)).ok
    assert verdict((tiny * np.float32(1.00001),), (tiny,), scale=magnitude(inputs)).ok
    assert magnitude((np.arange(3),)) == 1


@pytest.mark.parametrize("dtype", ["tf32", "float16", "bfloat16"])
def test_small_probabilities_count_in_coarse_models_of_float32(dtype: str) -> None:
    words = np.exp(np.random.default_rng(0).standard_normal(50_000)).astype("float32")
    words *= np.float32(5e-5) / words.max()
    assert not right(np.zeros_like(words), words, Precision(dtype))
    assert right(words * np.float32(1.005), words, Precision(dtype))
    cancelled = np.full(64, 1e-7, "float32")
    assert right(cancelled + np.float32(5e-5), cancelled, Precision(dtype))


def rounded(share: float, most: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """Makes a change of integers: a share of them is off by a number of steps."""

    def change(values: np.ndarray) -> np.ndarray:
        places = np.random.default_rng(1).permutation(values.size)[: round(share * values.size)]
        changed = values.astype("int64").copy()
        changed[places] += most
        return changed.astype(values.dtype)

    return change


@pytest.mark.parametrize(
    ("change", "quantizers", "ok"),
    [
        (rounded(0.02), 1, True),
        (rounded(0.5), 1, False),  # truncated instead of rounded
        (rounded(1.0), 1, False),  # a zero point that is off by one
        (rounded(0.001, 3), 1, False),
        (rounded(0.02), 0, False),  # nothing rounds to integers
        (rounded(0.4), 65, True),
        (rounded(0.05, 3), 65, True),
        (rounded(0.05, 12), 65, False),
        (rounded(1.0, 3), 65, False),
    ],
)
@pytest.mark.parametrize("scale", [0.0, 0.05])
def test_quantised_outputs_are_off_by_whole_steps(
    change: Callable, quantizers: int, ok: bool, scale: float
) -> None:
    steps = np.random.default_rng(0).integers(20, 200, 1000).astype("uint8")
    precision = Precision("float32", quantizers, (scale,))
    if scale:
        pair = (change(steps), steps)
        output, reference = (np.float32(scale) * array.astype("float32") for array in pair)
    else:
        output, reference = change(steps), steps
    assert right(output, reference, precision) is ok


def test_one_value_of_few_may_be_off_by_a_step() -> None:
    reference = np.array([1, 2, 3], "int8")
    assert right(np.array([1, 2, 4], "int8"), reference, QUANTIZED)
    assert not right(np.array([1, 3, 4], "int8"), reference, QUANTIZED)
    assert not right(np.array([1, 2, 4], "int64"), reference.astype("int64"), QUANTIZED)


def test_floats_after_a_quantised_model_have_the_steps_of_their_range() -> None:
    reference = (NORMAL / np.abs(NORMAL).max()).astype("float32")
    one = reference.copy()
    one[3] += 1 / 130
    assert right(one, reference, QUANTIZED)
    assert not right(reference + np.float32(1 / 130), reference, QUANTIZED)


def test_a_layer_has_less_to_accumulate() -> None:
    off = NORMAL.copy()
    off[7] += 5e-4 * np.abs(NORMAL).max()
    assert right(off, NORMAL)
    assert not difference(off, NORMAL).right
    assert not differences([NORMAL, off], [NORMAL, NORMAL])[2]
    assert differences([NORMAL, NORMAL], [NORMAL, NORMAL]) == (0.0, 0.0, True)


def test_faults_say_what_differs_and_how_far() -> None:
    wrong = verdict((NORMAL, NORMAL + np.float32(1)), (NORMAL, NORMAL), names=("a", "b"))
    assert wrong.fault.startswith("output 'b' differs by 1, where its largest value is 3.")
    assert "output 2 of 2 " in verdict((NORMAL, -NORMAL), (NORMAL, NORMAL)).fault
