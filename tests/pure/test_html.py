"""The report: whole, self-contained, escaped, with the right numbers in it."""

import base64
import json
import re
from dataclasses import asdict, replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

from chameleon_ray.ledger import Account
from chameleon_ray.options import Measuring, Request
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.report.failures import commonest
from chameleon_ray.report.html import render
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


def data(page: str) -> dict:
    """What the page's script draws from."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def test_it_is_whole_and_needs_no_network():
    page = render(fake_result(Path("run")))
    parser = parsed(page)
    assert not parser.tags & {"img", "link", "iframe"}
    assert not parser.attributes & {"src", "onload", "onclick"}
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', page))
    assert page == render(fake_result(Path("run")))
    curves = [one for one in data(page)["figures"] if one["name"].startswith("curve-")]
    assert len(curves) == 17, "eighteen layers, one of which never ran"


def test_only_the_library_s_scripts_may_run():
    page = render(fake_result(Path("run")))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(sha256(one.encode()).digest()).decode() for one in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy[1]) == digests
    assert all("Permission to use, copy, modify" in script for script in scripts[:-1])


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
    page = render(evil)
    parsed(page)
    assert page.count("<script") == render(result).count("<script")
    assert "alert(1)" in page
    assert EVIL in json.dumps(data(page)["figures"]).replace('\\"', '"')


def test_marks_that_turn_text_around_are_spelt_out():
    of = task("\u202econv\x1b[2J")
    result = replace(
        fake_result(Path("run")), model="\u202enet", tasks=(of,), records=(record(of, 4.0),)
    )
    page = render(result)
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "\\u202enet" in page


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
    assert re.search(r"\b4\.00 +ms, tuned", text)
    assert re.search(r"untuned TVM +8\.00 +2\.00x", text)
    row = text[text.index("1x3") :].split()[:8]
    assert row == ["1x3", "2", "2.00", "100.0%", "-", "2.00", "4.00", "2.00x"]
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
    for words in ("Not timed as a whole", "No measurement succeeded", "never timed", "boom"):
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
    for line in ('os.environ["TVM_NUM_THREADS"] = "3"', 'os.environ["TVM_BIND_THREADS"] = "0"'):
        assert code.index(line) < code.index("import tvm")
    assert "BIND" not in snippet(replace(result, target='{"kind": "llvm", "num-cores": 1}'))


def test_options_are_shown_where_they_are_not_the_defaults(tmp_path: Path) -> None:
    asked = Request("net", minutes=4.0, compare=(), measuring=Measuring(repeats=9))
    page = render(replace(fake_result(tmp_path), settings=asdict(asked)))
    shown = page[page.index("all others have their defaults") :]
    for name, value in {"minutes": "4.0", "compare": "none", "measuring.repeats": "9"}.items():
        assert f'{name}</th><td class=""><code>{value}</code>' in shown
    assert "build_timeout" not in shown
