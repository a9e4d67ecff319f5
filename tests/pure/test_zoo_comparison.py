"""A zoo beside frameworks: geometric means over the models that each framework ran."""

from dataclasses import replace
from pathlib import Path

from chameleon_ray.report.result import Compared, Latency, RunResult
from chameleon_ray.report.zoo_comparison import (
    faults_of,
    frameworks,
    latency,
    left_out,
    means,
    told,
)
from tests.pure.fake_result import fake_result


def result(tuned: float, untuned: float, **others: float | None) -> RunResult:
    found = [
        Compared(name, fault="why") if seconds is None else Compared(name, "1", Latency(seconds), 1)
        for name, seconds in others.items()
    ]
    timed = {"tuned": Latency(tuned), "untuned": Latency(untuned)}
    return replace(fake_result(Path()), **timed, comparison=tuple(found))


RESULTS = [result(1.0, 8.0, ort=2.0, torch=None), result(2.0, 4.0, ort=1.0, torch=6.0), None]


def test_means_are_of_the_models_that_a_framework_ran() -> None:
    assert told(means(RESULTS)) == (
        "Geometric means: 1.00x as fast as ort (2 models); 3.00x as fast as torch (1 model); "
        "4.00x as fast as untuned TVM (2 models)."
    )
    assert told(means([None])) == "No model was timed."


def test_a_comparison_that_was_not_made_has_its_reason() -> None:
    found = [one for pair in zip("abc", RESULTS, strict=True) for one in faults_of(*pair)]
    assert left_out(found) == ["Not compared with torch: a (why)."]
    more = faults_of("d", RESULTS[0])
    assert left_out([*more, *found]) == ["Not compared with torch: d, a (why)."]
    both = [("d", "ort", "why"), ("a", "ort", "why")]
    assert left_out([*more, *found, *both]) == ["Not compared with torch and ort: d, a (why)."]
    assert faults_of("c", None) == []


def test_a_model_that_a_framework_did_not_run_has_a_dash() -> None:
    assert frameworks(RESULTS) == ["ort", "torch"]
    assert [latency(one, "torch") for one in RESULTS] == ["-", "6000", "-"]
