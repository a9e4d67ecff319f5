"""The benchmark of search systems: nothing is searched twice, and its figures are right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bench_figures
from tests.pure.recordings import write_t4

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_search.py"


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def asked(folder: Path, out: str) -> tuple[object, ...]:
    small = ("--systems", "autotvm,sa", "--seeds", 2, "--measurements", 30)
    return folder / "toy.json", *small, "--out", folder / out, "--json", folder / f"{out}.json"


def timeless(body: object) -> object:
    """Without what depends on the machine."""
    if not isinstance(body, dict):
        return body
    timed = "search_seconds_per_measurement"
    return {name: timeless(value) for name, value in body.items() if name != timed}


def test_a_comparison_goes_on_and_repeats(tmp_path: Path) -> None:
    write_t4(tmp_path / "toy.json")
    first = bench(*asked(tmp_path, "a"))
    assert first.returncode == 0, first.stderr
    assert "0 of 2 units are there." in first.stderr
    body = json.loads((tmp_path / "a.json").read_text())
    assert set(body) == {"measurements", "marks", "tables", "systems", "given"}
    assert body["tables"] == ["toy"]
    entry = body["systems"]["autotvm"]
    assert set(entry) == {"tables", "all", "steps"}
    assert body["systems"]["sa"]["steps"]["all"]["sa_queries_per_plan_to_this"] == 1.0
    assert entry["all"]["baseline_to_this"] == 1.0
    assert entry["tables"]["toy"]["runs"] == 2
    assert set(entry["tables"]["toy"]["fraction_of_optimum"]) == {"25"}

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").glob("*.json")}
    again = bench(*asked(tmp_path, "a"), "--markdown")
    assert "2 of 2 units are there." in again.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert "| sa |" in again.stdout

    next(iter(kept)).write_text("{")
    assert "1 of 2 units are there." in bench(*asked(tmp_path, "a")).stderr
    assert timeless(json.loads((tmp_path / "a.json").read_text())) == timeless(body)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("missing.json",), "There is no missing.json."),
        (("x", "--systems", "autotvm,x"), "there is no system 'x'"),
        (("x", "--seeds", "0"), "--seeds must be at least 1"),
        (("x", "--json", "no/where"), "no/where cannot be written"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    done = bench(*arguments, "--out", tmp_path)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def seed(curve: list[float | None], queries: list[int], first: float, reached: int) -> dict:
    """What one seed's replay says; two measurements in a plan."""
    shares = {"2": 0.0 if curve[1] is None else 1 / curve[1], "200": None}
    return {
        "optimum": 1.0,
        "fraction_of_optimum": shares,
        "measurements_to": {"0.95": first},
        "reached": {"0.95": reached},
        "failed_share": 0.5,
        "search_seconds_per_measurement": 0.1,
        "recorded_seconds": 1.2,
        "curves": [curve],
        "plans": [0, 0, 1, 1, 2, 2],
        "queries": queries,
    }


def by_hand() -> dict:
    """``sa`` ends at 0.5 and 1 of the optimum's speed, ``autotvm`` at 1 and 0.25."""
    return {
        "sa": {
            "convolution_x": [
                seed([4.0, 2.0, 2.0, 2.0, 2.0, 2.0], [300, 100], 6.0, 0),
                seed([None, 4.0, 4.0, 4.0, 4.0, 1.0], [200, 200], 6.0, 1),
            ]
        },
        "autotvm": {
            "convolution_x": [
                seed([4.0, 4.0, 1.0, 1.0, 1.0, 1.0], [100, 100], 3.0, 1),
                seed([4.0] * 6, [100, 100], 12.0, 0),
            ]
        },
    }


def test_figures_of_known_runs() -> None:
    body = bench_figures.summary(by_hand())
    table = body["sa"]["tables"]["convolution_x"]
    assert table["fraction_of_optimum"] == {"2": 0.375}
    assert table["spread"] == {"2": 0.125}
    assert (table["measurements_to_95"], table["reached_95"]) == (pytest.approx(6.0), 1)
    assert table["seconds_to_95"] == pytest.approx(6.0 * (0.1 + 1.2 / 6))
    assert body["autotvm"]["all"]["measurements_to_95"] == pytest.approx(6.0)
    assert body["sa"]["convolution"]["baseline_to_this"] == pytest.approx(1.0)


def test_queries_are_counted_until_the_goal() -> None:
    """The goal is 0.75, the mean of ``sa`` at its end; ``autotvm``'s mean stays at 0.625."""
    body = bench_figures.summary(by_hand())
    sa, other = (body[name]["steps"]["tables"]["convolution_x"] for name in ("sa", "autotvm"))
    assert (sa["goal"], sa["queries_per_plan"]) == (0.75, 200.0)
    assert (sa["queries_to_goal"], sa["measurements_to_goal"]) == (400.0, 6)
    assert (other["queries_per_plan"], other["queries_to_goal"]) == (100.0, None)
    averaged = body["autotvm"]["steps"]["all"]
    assert averaged["sa_queries_per_plan_to_this"] == pytest.approx(2.0)
    assert (averaged["reached"], averaged["sa_queries_to_goal_to_this"]) == (0, None)


def test_queries_until_a_goal_that_is_reached() -> None:
    """A mean of 0.625 is there in plan 1, after 100 queries."""
    seeds = by_hand()["autotvm"]["convolution_x"]
    assert bench_figures.steps(seeds, 0.6)["queries_to_goal"] == 100.0


def test_queries_of_a_late_start() -> None:
    """Where the second plan is random, too, the only queries are the third's."""
    late = seed([None, None, None, None, 1.0, 1.0], [70], 5.0, 1)
    assert [bench_figures.queries_until(late, m) for m in (0, 3, 4, -1)] == [0, 0, 70, 70]


def test_pictures_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", exc_type=ImportError)
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from bench_plots import draw

    written = draw(by_hand(), tmp_path)
    assert [path.name for path in written] == ["convolution_x.svg", "ablation.svg"]
    assert all(path.stat().st_size < 30_000 for path in written)
    assert draw(by_hand(), tmp_path / "again")[0].read_text() == written[0].read_text()
