"""The report: whole, self-contained, escaped, with the right numbers in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chameleon_ray.ledger import Account
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.report.charts import convergence, ticks
from chameleon_ray.report.html import commonest, render
from chameleon_ray.report.layer_history import Point
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.loading import snippet
from chameleon_ray.report.result import Latency
from chameleon_ray.reporting import Reporting
from tests.pure.fake_result import fake_result, record, task

VOID = {"meta", "wbr"}
EVIL = "<script>alert(1)</script>&\"'"


class Balance(HTMLParser):
    """Fails where a tag is not closed in its turn; remembers tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(page: str) -> Balance:
    parser = Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_it_is_whole_and_needs_no_network():
    page = render(fake_result(Path("run")))
    parser = parsed(page)
    assert not parser.tags & {"script", "img", "link", "iframe"}
    assert not parser.attributes & {"src", "href", "onload", "onclick"}
    assert "http" not in page
    assert "url(" not in page
    assert page.count("<svg") == 17, "eighteen layers, one of which never ran"
    assert page == render(fake_result(Path("run")))


def test_every_text_is_escaped():
    result = fake_result(Path("run"))
    of = task(EVIL, shape=EVIL)
    evil = replace(
        result,
        model=EVIL,
        device=EVIL,
        target=EVIL,
        preset=EVIL,
        explanation=EVIL,
        folder=Path("a" + EVIL.replace("/", "")),
        inputs=((EVIL, (1,), "float32"),),
        tasks=(of,),
        records=(
            record(of, 2.0, DEFAULT),
            record(of, 1.0, (1, 1), values=EVIL),
            record(of, None, (2, 1), error=EVIL),
        ),
        outcomes=(LayerOutcome(of.digest, (1, 1), 2e-3, 1e-3, EVIL),),
        processes=(Account(EVIL, {EVIL: 1.0}, 1.0),),
        seconds={EVIL: 1.0},
        settings={EVIL: EVIL},
        versions={EVIL: EVIL},
        untuned=Latency(0.02),
        tuned=Latency(0.01),
    )
    parser = parsed(render(evil))
    assert "script" not in parser.tags
    assert "alert(1)" in render(evil)


def test_it_says_the_known_answers():
    of = task("conv", weight=2, flop=4e6, shape="1x3")
    records = (record(of, 4.0, DEFAULT), record(of, 2.0, (1, 1)))
    won = LayerOutcome(of.digest, (1, 1), 4e-3, 2e-3, "patience")
    result = replace(
        fake_result(Path("run")),
        tasks=(of,),
        records=records,
        outcomes=(won,),
        untuned=Latency(0.008),
        tuned=Latency(0.004),
    )
    text = re.sub(r"<[^>]*>", " ", render(result))
    assert re.search(r"8\.00 &rarr; 4\.00 +ms +2\.00x", text)
    row = text[text.index("1x3") :].split()[:8]
    assert row == ["1x3", "2", "4.00", "2.00", "2.00x", "1.00", "2.00", "100.0%"]
    kept = replace(result, outcomes=(replace(won, config=DEFAULT, reason="too close"),))
    assert "kept default: too close" in render(kept)


def test_a_run_without_a_single_success():
    of = task("conv")
    result = replace(
        fake_result(Path("run")),
        tasks=(of,),
        records=(record(of, None, error="boom"),),
        outcomes=(),
        processes=(),
        seconds={},
        device_busy_fraction=None,
        untuned=None,
        tuned=None,
        verified=None,
        versions={},
    )
    page = render(result)
    parsed(page)
    for words in ("Not timed as a whole", "No measurement succeeded", "never ran", "boom"):
        assert words in page
    parsed(render(replace(result, tasks=(), records=())))


def test_errors_that_differ_in_numbers_only_are_one():
    of = task("conv")
    texts = [
        "at 0xfe12 line 3",
        "at 0xab line 44",
        "",
        "Traceback (most recent call last):\n x\nE: y",
    ]
    records = [record(of, None, error=text) for text in texts] + [record(of, 1.0)]
    assert commonest(records, Reporting()) == [
        (Status.CRASH, "at 0xfe12 line 3", 2),
        (Status.CRASH, "(no text)", 1),
        (Status.CRASH, "E: y", 1),
    ]
    assert len(commonest(records, Reporting(errors=1))) == 1
    assert (
        commonest([record(of, None, error="x" * 50)], Reporting(error_width=9))[0][1]
        == "x" * 9 + "..."
    )


def test_the_curve_is_stepped_and_falls():
    svg = convergence([Point(1, 0.0, 4.0), Point(5, 1.0, 2.0), Point(9, 2.0, 2.0)], 4.0)
    path = re.search(r'd="M([\d.]+) ([\d.]+)H([\d.]+)V([\d.]+)H([\d.]+)V([\d.]+)"', svg)
    assert path is not None
    x0, y0, x1, y1, x2, y2 = map(float, path.groups())
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y0 < y1 == y2
    parsed(convergence([Point(1, 0.0, 4.0)], float("inf")))


@pytest.mark.parametrize(("low", "high"), [(0.001, 900.0), (1.01, 1.02), (0.9, 2.2), (3.0, 3.8)])
def test_ticks_are_few_and_inside(low, high):
    found = ticks(low, high)
    assert 1 <= len(found) <= 4
    assert all(low <= tick <= high for tick in found)
    assert found == sorted(found)


def test_the_snippet_is_python_whatever_the_names():
    result = fake_result(Path("it's here"))
    odd = (("data", (1, 3), "float32"), ("class", (2,), "int64"), ("x.1", (), "float16"))
    code = snippet(replace(result, inputs=odd, target="cuda -arch=sm_90"))
    compile(code, "snippet", "exec")
    assert "tvm.cuda()" in code
    assert code.index("load_cudart()") < code.index("import tvm")
    assert "load_cudart" not in snippet(result)
    assert "data = np.zeros((1, 3), 'float32')" in code
    assert "input_1 = np.zeros((2,), 'int64')" in code
    compile(snippet(replace(result, inputs=())), "snippet", "exec")
    assert "TVM_NUM_THREADS" not in code
    code = snippet(replace(result, target='{"kind": "llvm", "num-cores": 3}'))
    assert code.index('os.environ["TVM_NUM_THREADS"] = "3"') < code.index("import tvm")
