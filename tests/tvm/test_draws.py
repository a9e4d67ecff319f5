"""Example inputs that are drawn, and the outputs to expect of them."""

import numpy as np
import pytest

from chameleon_ray.compiler.frontend import draws
from chameleon_ray.compiler.frontend.drawing import Use, drawn
from chameleon_ray.compiler.frontend.inputs import InputSpec, ModelError
from chameleon_ray.measure.example import Arrays

SPECS = [InputSpec("x", (3, 4), "float32"), InputSpec("ids", (5,), "int64")]
USES = [Use(), Use()]


def test_given_examples_are_redrawn_from_their_own_values() -> None:
    first = (np.arange(12.0, dtype="float32").reshape(3, 4), np.array([3, 1]), np.array(2.5))
    one, *others = draws.redrawn(first, np.random.default_rng(0))
    assert one is first
    assert len(others) == draws.DRAWS - 1
    for other in others:
        assert not np.array_equal(other[0], first[0])
        np.testing.assert_array_equal(np.sort(other[0].ravel()), first[0].ravel())
        np.testing.assert_array_equal(other[1], [3, 1])
        assert other[2] == 2.5


def test_ones_become_numbers_about_one() -> None:
    _, other, _ = draws.redrawn((np.ones((5, 5), "float32"),), np.random.default_rng(0))
    assert len(np.unique(other[0])) == 25
    assert other[0].dtype == np.float32
    assert 0.5 <= other[0].min() < other[0].max() <= 1.5


def test_outputs_are_those_of_each_draw() -> None:
    drawings = drawn(SPECS, USES, np.random.default_rng(0))
    examples = draws.worked_out("net", lambda inputs: (2 * inputs[0],), drawings)
    assert [example.inputs for example in examples] == drawings
    for example in examples:
        assert example.outputs is not None
        np.testing.assert_array_equal(example.outputs[0], 2 * example.inputs[0])


def test_outputs_that_change_from_run_to_run_are_refused() -> None:
    rng = np.random.default_rng(0)

    def random(inputs: Arrays) -> Arrays:
        return (inputs[0] + rng.standard_normal(inputs[0].shape),)

    drawings = drawn(SPECS, USES, np.random.default_rng(0))
    said = r"The outputs of net change from run to run on the same inputs \(it has Dice\); export"
    with pytest.raises(ModelError, match=said):
        draws.worked_out("net", random, drawings, lambda: " (it has Dice)")


def test_outputs_without_a_finite_value_are_told(caplog: pytest.LogCaptureFixture) -> None:
    drawings = drawn(SPECS, USES, np.random.default_rng(0))
    draws.worked_out("net", lambda inputs: (inputs[0], inputs[0] * np.nan, inputs[1]), drawings)
    assert caplog.messages == [
        "Output 2 of 3 of net has no finite value for any example, so that comparing it proves "
        "nothing; look for NaN in its weights, or give values that suit the model with --example."
    ]


def test_a_finite_value_in_one_example_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    drawings = [(np.array([np.nan, np.inf]),), (np.array([np.nan, 2.0]),)]
    examples = draws.worked_out("net", lambda inputs: inputs, drawings)
    assert len(examples) == 2
    assert not caplog.messages


def test_another_number_of_outputs_is_a_change() -> None:
    answers = iter([(np.ones(2), np.ones(2)), (np.ones(2),)])
    with pytest.raises(ModelError, match="change from run to run"):
        draws.worked_out("net", lambda _: next(answers), [(np.ones(2),)])


def test_sums_in_another_order_are_not_random() -> None:
    rng = np.random.default_rng(0)

    def rounded(inputs: Arrays) -> Arrays:
        return (inputs[0] * np.float32(1 + 1e-6 * rng.standard_normal()), inputs[1])

    assert len(draws.worked_out("net", rounded, drawn(SPECS, USES, rng))) == draws.DRAWS


def test_slow_draws_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "PATIENCE", -1.0)
    drawings = drawn(SPECS, USES, np.random.default_rng(0))
    assert len(draws.worked_out("net", lambda inputs: inputs, drawings)) == 1
