"""The headline: latencies side by side, what was left out, and how far timings vary."""

from pathlib import Path

import pytest

from chameleon_ray.report.headline import Headline
from chameleon_ray.report.result import Compared, Latency

TUNED, UNTUNED = Latency(0.0341, 0.0002), Latency(2.26, 0.0)
BOTH = (
    Compared("ONNX Runtime", "1.32.0", Latency(0.0427, 0.0003), 1),
    Compared("PyTorch", "2.13.0", Latency(0.078, 0.0), 1),
)


def headline(comparison=BOTH, tuned=TUNED, untuned=UNTUNED) -> Headline:
    return Headline("resnet-18", "AMD EPYC, 1 core", tuned, untuned, comparison, Path("runs/r"))


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (headline(), "34.1 ms; ONNX Runtime 42.7, PyTorch 78.0; untuned TVM 2260"),
        (headline(BOTH[:1]), "34.1 ms; ONNX Runtime 42.7; untuned TVM 2260"),
        (headline(()), "34.1 ms; untuned TVM 2260"),
        (headline((), untuned=None), "34.1 ms"),
        (headline(tuned=None), "the whole model was not timed"),
    ],
)
def test_what_it_says(head: Headline, text: str) -> None:
    assert head.text == f"resnet-18: {text}"


def test_how_it_was_timed() -> None:
    assert headline().notes == ["Timed in turns on AMD EPYC, 1 core, with 1 thread each."]
    assert headline(()).notes == ["On AMD EPYC, 1 core."]


def test_a_fault_is_a_clause() -> None:
    fault = Compared("PyTorch", fault="the model is .onnx, not torch's")
    notes = headline((BOTH[0], fault)).notes
    assert notes[1:] == ["Not compared with PyTorch: the model is .onnx, not torch's."]


def test_a_wide_spread_is_said_and_what_to_do() -> None:
    wide = Compared("PyTorch", "2", Latency(0.078, 0.0117), 1)
    assert headline((BOTH[0], wide), Latency(0.0341, 0.004)).notes[1:] == [
        "Timings vary, the tuned model's by 12% and PyTorch's by 15%: end what else runs on these "
        "cores, and repeat with chameleon bench runs/r."
    ]


def test_of_one_timing_it_is_not_said_that_it_does_not_vary() -> None:
    once = headline(tuned=Latency.of([0.03]), untuned=Latency.of([2.0, 4.0]))
    assert once.notes[1:] == [
        "How far timings vary is not known: there is one only of the tuned model."
    ]
    assert once.plain["spread_ms"] == {"tuned": None, "untuned": 1000.0}
    slow = Compared("PyTorch", "2", Latency.of([2.0]), 1)
    assert headline((slow,)).plain["comparison"][0]["spread"] is None


@pytest.mark.parametrize(
    ("tuned", "fastest"),
    [(Latency(0.0341), True), (Latency(0.05), False), (Latency(0.1), False), (None, False)],
)
def test_whether_it_is_the_fastest(tuned: Latency | None, fastest: bool) -> None:
    assert headline(tuned=tuned).fastest is fastest
