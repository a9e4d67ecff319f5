"""A choice of ONNX's own backend tests, which covers every operator; the script runs all."""

import numpy as np
import pytest

from chameleon_ray.measure.isolate import Ending, Outcome
from scripts.onnx_conformance import table, totals
from tests.onnx_backend.cases import AS_THEY_STAND, FORMS, WITH_CONSTANTS, cases, chosen
from tests.onnx_backend.expected import expected
from tests.onnx_backend.verdicts import Job, Result, Verdict, compared, judged, passed, results

EACH = 2
"""Number of tests of each operator."""
RELU = Job("test_relu", AS_THEY_STAND)


def test_onnx_backend_tests_are_right_or_expected_not_to_be() -> None:
    names = chosen(EACH, np.random.default_rng(0))
    right, known = passed(names), expected()
    assert len(right) > len(names) / 2
    surprises = [
        f"{job.name} | {job.form} | {result.verdict}, not {known.get(job, Verdict.RIGHT)}: "
        f"{result.detail}"
        for job, result in results([Job(name, form) for name in right for form in FORMS])
        if result.verdict is not known.get(job, Verdict.RIGHT)
    ]
    assert not surprises, "\n".join(surprises)


def test_expected_failures_are_refusals_of_tests_that_there_are() -> None:
    known = expected()
    assert {job.name for job in known} <= set(cases())
    assert {job.form for job in known} <= set(FORMS)


def test_constants_take_the_place_of_all_inputs_but_the_first() -> None:
    add = cases()["test_add"]
    model, inputs = add.in_form(WITH_CONSTANTS)
    assert [value.name for value in model.graph.input] == ["x"]
    assert [weight.name for weight in model.graph.initializer] == ["y"]
    assert len(inputs) == 1
    assert len(add.in_form(AS_THEY_STAND)[1]) == 2


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome(Ending.OK, ""), Verdict.RIGHT),
        (Outcome(Ending.OK, "output 0 differs"), Verdict.WRONG),
        (Outcome(Ending.ERROR, None, "Relu is refused.", for_user=True), Verdict.REFUSED),
        (Outcome(Ending.ERROR, None, "It is refused.", for_user=True), Verdict.UNCLEAR),
        (Outcome(Ending.ERROR, None, "KeyError: Relu"), Verdict.UNCLEAR),
        (Outcome(Ending.CRASH, None, "killed by SIGSEGV"), Verdict.CRASH),
        (Outcome(Ending.TIMEOUT, None, "stopped after 60 s"), Verdict.CRASH),
    ],
)
def test_verdicts(outcome: Outcome, verdict: Verdict) -> None:
    assert judged(RELU, outcome).verdict is verdict


def test_outputs_are_compared_by_number_type_shape_and_value() -> None:
    one = np.ones((2, 3), "float32")
    assert compared([one], [one]) == ""
    assert compared([one + 1e-3], [one])
    assert compared([one.astype("float64")], [one])
    assert compared([one[:1]], [one])
    assert compared([one, one], [one])


def test_the_table_names_what_is_right_and_counts_the_rest() -> None:
    found = {Job("test_relu", form): Result(Verdict.RIGHT) for form in FORMS} | {
        Job("test_add", AS_THEY_STAND): Result(Verdict.REFUSED),
        Job("test_add", WITH_CONSTANTS): Result(Verdict.RIGHT),
    }
    text = table(found)
    assert "All tests are right of: Relu (1)." in text
    assert "| Add | 1 | 0 | 1 | 1 refused |" in text
    assert totals(found)[0].startswith("as they stand: 1 of 2 right (50.0%)")
