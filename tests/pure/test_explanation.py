"""The explanation of a model that takes another time than its layers, word for word."""

from dataclasses import replace

import pytest

from chameleon_ray.layer_names import short_names
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.explanation import explain
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.result import Latency
from chameleon_ray.report.summary import summary
from tests.pure.fake_result import record
from tests.pure.test_summary import A, B, result


def test_explanation_only_beyond_a_twentieth():
    records = (record(A, 4.0, DEFAULT), record(A, 2.0, (1,)))
    near = result(*records, tasks=(A,), tuned=Latency(0.00415))
    assert explain(near) is None
    far = replace(near, tuned=Latency(0.009), untuned=Latency(0.0131))
    said = explain(far)
    assert said is not None
    assert "9.00 ms" in said
    assert "4.00 ms" in said
    assert "before tuning" in said
    applied = explain(replace(far, untuned=Latency(0.0081)))
    assert applied is not None
    assert "not applied" in applied
    assert "tea" in (explain(replace(far, explanation="It was tea.")) or "")


def test_layers_that_take_longer_inside_the_model_are_named():
    records = (record(A, 4.0, DEFAULT), record(A, 2.0, (1,)))
    inside = LayerOutcome(A.digest, (1,), 0.004, 0.002, inside=0.0036)
    far = result(
        *records, tasks=(replace(A, weight=2.0),), tuned=Latency(0.009), outcomes=(inside,)
    )
    assert explain(far) == (
        "The tuned model takes 9.00 ms, its layers 4.00 ms. These take another time inside the "
        f"model than alone: {short_names([A])[A.layer]} 3.60 ms (2 times), alone 2.00. The work "
        "between layers takes 1.80 ms."
    )
    assert summary(far)["tasks"][0]["inside_ms"] == pytest.approx(3.6)


def test_layers_that_were_not_measured_explain_first():
    timed = (record(A, 4.0, DEFAULT), record(A, 2.0, (1,)))
    far = result(*timed, tuned=Latency(0.009), untuned=Latency(0.0131))
    unreached = explain(far) or ""
    assert "The sum lacks 1 layer that the search never reached;" in unreached
    assert "before tuning" not in unreached
    failing = record(B, None, DEFAULT)
    failed = explain(replace(far, records=(*timed, failing))) or ""
    assert "1 layer without" in failed
    assert "never reached" not in failed
