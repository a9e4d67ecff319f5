"""What ``chameleon memory`` prints and writes."""

import json

from rich.console import Console

from chameleon_ray.graph.footprint import MODEL_ORDER, REWRITTEN, SCHEDULED, Footprint, Stage
from chameleon_ray.report.memory import HEIGHT, figures, picture, shown
from tests.pure.test_docs import ROOT, rows

FOOTPRINT = Footprint(
    "net",
    {
        MODEL_ORDER: Stage(("a", "b", "c"), (1000, 8000, 2000), 9000, False),
        SCHEDULED: Stage(("a", "c", "b"), (1000, 4000, 2000), 9500, True),
        REWRITTEN: Stage(("a", "c", "b.0", "b.1"), (1000, 2000, 2000, 1500), 3000, False),
    },
    REWRITTEN,
    0.75,
)


def test_a_model_that_allocates_nothing_is_shown() -> None:
    stages = {name: Stage((), (), 0, True) for name in FOOTPRINT.stages}
    *tables, last = shown(Footprint("nothing", stages, MODEL_ORDER, 0.5))
    assert tables
    assert "0.5" in str(last)


def test_figures_are_strict_json() -> None:
    body = json.loads(json.dumps(figures(FOOTPRINT), allow_nan=False))
    assert body == {
        "model": "net",
        "peak_bytes": {"model_order": 8000, "scheduled": 4000, "rewritten": 2000},
        "planned_bytes": {"model_order": 9000, "scheduled": 9500, "rewritten": 3000},
        "chosen": "rewritten",
        "nodes": 4,
        "seconds": 0.75,
        "optimal": False,
        "order": ["a", "c", "b.0", "b.1"],
        "levels": {
            "model_order": [1000, 8000, 2000],
            "scheduled": [1000, 4000, 2000],
            "rewritten": [1000, 2000, 2000, 1500],
        },
    }


def test_every_figure_is_documented() -> None:
    text = (ROOT / "docs" / "how" / "memory.md").read_text()
    assert rows(text, "key") == list(figures(FOOTPRINT))


def test_what_is_printed() -> None:
    console = Console(width=100, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    for part in shown(FOOTPRINT):
        console.print(part)
    text = console.export_text()
    assert "4.00x less" in text
    assert "3.00x less" in text
    assert "0.95x less" not in text
    assert "which may not be the best ones" in text


def test_a_picture_is_to_scale() -> None:
    lines = picture([1, 2, 4], 4, width=3).split("\n")
    assert len(lines) == HEIGHT == 6
    assert [sum(line[column : column + 1] == "█" for line in lines) for column in range(3)] == [
        *(1, 3, 6)
    ]
    assert picture([4] * 1000, 4, width=10).split("\n")[0] == "█" * 10
    assert picture([0, 0, 8, 0], 8, width=2).split("\n")[0] == " █"
    assert set(picture([], 0)) <= {"\n"}
