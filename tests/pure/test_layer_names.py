"""Layers are called after the user's own modules; short names are unique and fit; none can harm."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest

from chameleon_ray.api.asked_layers import left_out
from chameleon_ray.errors import UserError
from chameleon_ray.layer_names import SHORT, of_model, own_name, short_names, shortened, title
from chameleon_ray.merging import merged
from chameleon_ray.printable import printable
from chameleon_ray.report.html import render
from chameleon_ray.report.layer_name import layer_name
from chameleon_ray.report.live_table import lines
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.terminal import Terminal
from chameleon_ray.task import Task
from tests.pure.fake_result import fake_result, task

WHAT = "conv 3x3/1 512→512 @7x7 + add + relu"
HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "an attribute": 'a" onclick="alert(1)',
    "rich's markup": "[bold red]x[/]",
    "control characters": "a\x1b[2J\x1b]0;mine\x07b\r\nc\x9bd",
    "right to left": "a\u202egnp.exe\u2066b\u061cc",
    "nothing to see": "a\u200b\u200d\ufeff",
    "hundreds of characters": "encoder." * 100 + "query",
    "no mark to cut at": "x" * 900,
    "wide characters": "\u6f22\u5b57" * 40,
}


def layer(number: int, *nodes: str, what: str = WHAT, flop: float = 1e6) -> Task:
    """A layer of these occurrences."""
    return replace(task(f"fused_{number}", len(nodes), flop), nodes=nodes, what=what)


@pytest.mark.parametrize(
    ("nodes", "what", "expected"),
    [
        (("layer4.1.conv2",), WHAT, f"layer4.1.conv2 · {WHAT}"),
        (("a", "b", "c"), WHAT, f"a (+2 more) · {WHAT}"),
        (("", "b"), WHAT, f"b (+1 more) · {WHAT}"),
        (("a",), "", "a"),
        ((), WHAT, WHAT),
        ((), "", "fused_1"),
    ],
)
def test_a_title_tells_the_name_and_what_is_done(
    nodes: tuple[str, ...], what: str, expected: str
) -> None:
    assert title(layer(1, *nodes, what=what)) == expected


def test_short_names_are_unique_and_fit() -> None:
    layers = [
        *(layer(n, f"encoder.layer.{n}.attention.output.dense") for n in range(12)),
        *(layer(20 + n, "rnn", flop=n) for n in range(9)),
        layer(30, "x" * 400),
        layer(31, "y" + "x" * 399),
    ]
    for width in (SHORT, 16):
        names = short_names(layers, width)
        assert len(set(names.values())) == len(layers)
        assert max(map(len, names.values())) <= width
    assert short_names(layers)[layers[3].layer] == "e.l.3.a.output.dense", "the number stays"


def test_the_heaviest_layer_of_a_module_has_its_name_alone() -> None:
    move = layer(1, "patch", what="transpose @224x224x3", flop=0)
    conv = layer(2, "patch", "other", what="conv 16x16/16 3→192 @14x14")
    more = layer(3, "patch", what="transpose @14x14", flop=0)
    names = short_names([move, conv, more])
    assert names[conv.layer] == "patch +1"
    assert sorted((names[move.layer], names[more.layer])) == [
        "patch transpose",
        "patch transpose #2",
    ]


def test_a_number_alone_is_no_name() -> None:
    """Modules of ``torch.nn.Sequential`` are called 0, 1, 2."""
    found = short_names([layer(0, "3"), layer(1, "3", what="transpose @8x8"), layer(2, "body.3")])
    assert list(found.values()) == ["3 conv", "3 transpose", "body.3"]


def test_lowerings_have_the_name_of_their_layer() -> None:
    first = layer(1, "conv1")
    other = replace(layer(2, "conv1"), instead=first.digest)
    assert short_names([first, other]) == {first.layer: "conv1"}


@pytest.mark.parametrize(
    ("name", "width", "expected"),
    [
        ("layer4.1.conv2", 14, "layer4.1.conv2"),
        ("encoder.layer.11.attention.self.query", 26, "..11.attention.self.query"),
        ("/layer4/layer4.1/conv2/Conv", 20, "..1/conv2/Conv"),
        ("resnet-18:layer4.1.downsample.0", 26, "resnet-18:..downsample.0"),
        ("x" * 30, 10, ".." + "x" * 8),
    ],
)
def test_names_are_cut_at_their_front(name: str, width: int, expected: str) -> None:
    assert shortened(name, width) == expected


def test_a_zoo_s_layers_name_their_models() -> None:
    first, second = layer(1, "conv1", "conv2"), layer(1, "features.0")
    found = merged([(1, of_model("small", [first])), (1, of_model("large", [second]))])
    assert [one.nodes for one in found.tasks] == [
        ("small:conv1", "small:conv2", "large:features.0")
    ]
    assert title(found.tasks[0]) == f"small:conv1 (+2 more) · {WHAT}"
    assert of_model("", [first]) == (first,)
    assert own_name(of_model("small", [layer(2, "")])[0]) == "small"


class Page(HTMLParser):
    """The tags and the text of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_name_does_harm(kind: str) -> None:
    of = layer(1, HOSTILE[kind], "another")
    for shown in (title(of), short_names([of])[of.layer]):
        assert printable(shown) == shown
        assert len(shown) < 130
        assert "\n" not in shown
        page = Page(layer_name(shown))
        assert page.tags <= {"wbr"}
        assert page.text == shown
    assert len(short_names([of])[of.layer]) <= SHORT
    assert of.nodes[0] == HOSTILE[kind], "programs get it as it is"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_terminal_obeys_no_name(kind: str) -> None:
    progress = Progress()
    progress.began([layer(1, HOSTILE[kind])], 60.0, None)
    out = StringIO()
    console = Terminal(file=out, force_terminal=False, width=80)
    for line in lines(progress, 80, 24):
        console.print(line.text, markup=False)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out.getvalue())


def test_short_names_fit_the_table_of_80_columns() -> None:
    layers = [layer(n, f"encoder.layer.{n}.attention.self.query", "again") for n in range(12)]
    progress = Progress()
    progress.began(layers, 60.0, None)
    shown = "\n".join(line.text for line in lines(progress, 80, 40))
    names = short_names(layers)
    assert all(f"{name} " in shown for name in names.values())
    assert names[layers[11].layer] == "e.l.11.a.self.query +1"


def test_layers_are_asked_for_by_any_of_their_own_names() -> None:
    conv, dense = layer(1, "layer1.0.conv1", "layer1.1.conv1"), layer(2, "fc")
    for asked in ("layer1.1.conv1", "layer1.*", conv.name):
        assert left_out([asked], [conv, dense]).keys() == {dense.digest}
    with pytest.raises(UserError, match=r"no layer 'layer9'.*layer1\.0\.conv1, fc"):
        left_out(["layer9"], [conv, dense])


class Tags(HTMLParser):
    """The tags of a page, with their attributes' names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: Counter[tuple[str, ...]] = Counter()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag != "wbr":
            self.found[tag, *(name for name, _ in attrs)] += 1


def test_no_name_adds_anything_to_a_report(tmp_path: Path) -> None:
    result = fake_result(tmp_path)
    hostile = [*HOSTILE.values(), "</script><script>alert(1)</script>", "<!--<script>", "]]>&lt;"]
    harmless = [f"layer{n}" for n in range(len(hostile))]
    pages = []
    for names in (harmless, hostile):
        tasks = [
            replace(task, nodes=(names[n % len(names)] + (f"{n}" if n >= len(names) else ""),))
            for n, task in enumerate(result.tasks)
        ]
        pages.append(render(replace(result, tasks=tuple(tasks))))
    assert Tags(pages[0]).found == Tags(pages[1]).found
    assert "\x1b" not in pages[1]
    assert "\u202e" not in pages[1]
