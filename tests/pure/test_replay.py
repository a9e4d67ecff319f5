"""Replay: the table's answers reach the search, and the same seed finds the same twice."""

import asyncio
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chameleon_ray.api.algorithms import chosen
from chameleon_ray.api.replay import replay
from chameleon_ray.commands.app import app
from chameleon_ray.errors import UserError
from chameleon_ray.measure.measurer import Artifact, Measurer
from chameleon_ray.options import Annealing, Confirming, Search
from chameleon_ray.pool import InProcessPool
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.replay.recorded_devices import ReplayBuilder, ReplayRunner
from chameleon_ray.replay.table import Table, read_table
from chameleon_ray.report.replay import ReplayResult, SeedRun, figures
from chameleon_ray.task import Task
from tests.pure.recordings import BEST, WRITERS, record, write_cache, write_t4
from tests.pure.test_docs import rows
from tests.pure.test_tables import at, config

DOCUMENT = (Path(__file__).parents[2] / "docs" / "reference" / "replay.md").read_text()


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return read_table(write_cache(tmp_path / "toy.json.gz"))


def task(table: Table) -> Task:
    return Task(table.name, "0" * 16, "{}", 1, 0.0, table.space, has_default=False)


def system(explorer: str, sampler: str) -> Search:
    """Small, and made to walk: the table could be scored whole."""
    annealing = Annealing(chains=16, steps=20)
    return replace(chosen("chameleon", explorer, sampler), exhaustive=0, annealing=annealing)


def measured(table: Table, config: tuple[int, ...]) -> tuple:
    """Status, latencies, build and run seconds and error, as a measurer gets them."""
    builder = InProcessPool("builder", lambda: ReplayBuilder(table), {}, 0.0)
    runner = InProcessPool("runner", lambda: ReplayRunner(table), {}, 0.0)
    measuring = Measurer(builder, runner).measure(task(table), config, lambda: np.inf)
    found = asyncio.run(measuring)
    seconds = found.artifact.seconds, found.timing.seconds
    return found.status, found.timing.latencies, *seconds, found.error


def test_what_worked_is_answered_as_recorded(table: Table) -> None:
    status, latencies, build, run, error = measured(table, config(table, BEST))
    assert status is Status.OK
    assert latencies == pytest.approx((1e-3,))
    assert (build, run, error) == (pytest.approx(0.1), pytest.approx(0.05), "")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"block": 256, "tile": 4, "cached": False}, (Status.BUILD_ERROR, (), 0.15, 0.0)),
        ({"block": 16, "tile": 4}, (Status.INVALID, (), 0.15, 0.0)),
        ({"block": 256, "tile": 4, "cached": True}, (Status.RUN_ERROR, (), 0.1, 0.05)),
    ],
)
def test_a_failure_is_answered_where_it_happened(
    values: dict, expected: tuple, table: Table
) -> None:
    *answer, error = measured(table, config(table, BEST | values))
    assert answer[:2] == list(expected[:2])
    assert answer[2:] == pytest.approx(list(expected[2:]))
    assert error == table.error[at(table, BEST | values)] != ""


@pytest.mark.parametrize("stranger", [DEFAULT, (99,) * 5])
def test_what_is_not_in_the_table_is_invalid(stranger: tuple, table: Table) -> None:
    assert measured(table, stranger)[0] is Status.INVALID


def test_pace_is_a_share_of_the_recorded_seconds(table: Table) -> None:
    builder, runner = ReplayBuilder(table, 0.5), ReplayRunner(table, 2.0)
    began = time.perf_counter()
    artifact = builder.build(task(table), config(table, BEST))
    built = time.perf_counter()
    runner.run(task(table), artifact, np.inf)
    assert 0.05 <= built - began < 0.09
    assert 0.1 <= time.perf_counter() - built < 0.19


def test_a_contest_is_won_by_the_recorded_latency(table: Table) -> None:
    builder, other = ReplayBuilder(table), BEST | {"tile": 1}
    artifacts = tuple(builder.build(task(table), config(table, v)) for v in (other, BEST))
    slow, fast = ReplayRunner(table).contest(task(table), artifacts, Confirming())
    assert slow.right
    assert fast.right
    assert slow.latencies == pytest.approx((1.6e-3,))
    assert fast.latencies == pytest.approx((1e-3,))
    assert isinstance(artifacts[0], Artifact)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(("explorer", "sampler"), [("annealing", "greedy"), ("random", "adaptive")])
def test_same_seed_same_curve(kind: str, explorer: str, sampler: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "toy")
    once, again = (
        replay(read_table(path), system(explorer, sampler), 40, seeds=(3, 4)) for _ in range(2)
    )
    for one, other in zip(once.runs, again.runs, strict=True):
        assert [r.config for r in one.records] == [r.config for r in other.records]
        np.testing.assert_array_equal(one.curve, other.curve)
        assert len({r.config for r in one.records}) == len(one.records) == 40
    assert [r.config for r in once.runs[0].records] != [r.config for r in once.runs[1].records]


def test_the_search_learns(table: Table) -> None:
    """Three seeds find the only optimum among 160 in 48 measurements."""
    result = replay(table, system("annealing", "greedy"), 48, seeds=range(3))
    (found,) = {run.curve[-1] for run in result.runs}
    assert found == pytest.approx(table.optimum)


def test_a_table_is_searched_to_its_end(table: Table) -> None:
    result = replay(table, system("random", "greedy"), 500, seeds=(0,))
    assert len(result.runs[0].records) == len(table)
    assert result.exhausted
    body = figures(result, "chameleon")
    assert body["fraction_of_optimum"]["100"] > 0
    assert body["fraction_of_optimum"]["200"] is None
    assert body["failed_share"] == pytest.approx(16 / 160)
    assert body["recorded_seconds"] == pytest.approx(160 * 0.15)


def by_hand() -> ReplayResult:
    """Two runs on a table whose optimum is 1 s; only the first one gets there."""
    latencies = ([None, 4.0, 2.0, 2.0, 1.0], [2.0, 2.0, None, None, None])
    runs = tuple(
        SeedRun(
            seed,
            tuple(
                record(n, BEST, latencies=(s,), status=Status.OK)
                if s
                else record(n, BEST, latencies=(), status=Status.RUN_ERROR)
                for n, s in enumerate(run)
            ),
            search_seconds=0.5,
        )
        for seed, run in enumerate(latencies)
    )
    return ReplayResult("hand", 9, 1.0, Search(), 5, runs)


def test_figures_of_a_known_result() -> None:
    body = figures(by_hand(), "alt", marks=(1, 3, 25), goals=(0.5, 0.99))
    assert body["fraction_of_optimum"] == {"1": 0.25, "3": 0.5, "25": None}
    assert body["spread"] == {"1": 0.25, "3": 0.0, "25": None}
    assert body["measurements_to"] == {"0.50": 2.0, "0.99": 5.0}
    assert body["reached"] == {"0.50": 2, "0.99": 1}
    assert body["failed_share"] == pytest.approx(0.4)
    assert body["search_seconds_per_measurement"] == pytest.approx(0.1)
    assert body["recorded_seconds"] == pytest.approx(0.75)
    assert body["curves"] == [[None, 4.0, 2.0, 2.0, 1.0], [2.0] * 5]
    assert body["preset"] == "alt"


def command(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["replay", *map(str, arguments)])
    return done.exit_code, done.stdout, re.sub(r"\s+", " ", done.stderr)


QUICK = ("--explorer", "annealing", "--sampler", "greedy", "--seeds", 2)


def test_the_command_writes_figures_and_records(tmp_path: Path) -> None:
    path, out, file = write_t4(tmp_path / "toy.json"), tmp_path / "out", tmp_path / "figures"
    asked = (path, *QUICK, "--measurements", 30, "--seed", 7, "--out", out, "--figures", file)
    status, told, _ = command(*asked)
    assert status == 0
    assert "toy: 160 configurations, the fastest takes 1.00 ms" in told
    body = json.loads(file.read_text())
    assert list(body) == rows(DOCUMENT, "key")
    assert body["seeds"] == [7, 8]
    kept = read_table(out / "seed-8")
    assert len(kept) == 30
    assert kept.name == "seed-8"
    assert kept.optimum == body["curves"][1][-1]
    status, _, complaint = command(*asked)
    assert status == 1
    assert "seed-7/records holds records already; choose another --out." in complaint


def test_an_exhausted_table_is_no_error(tmp_path: Path) -> None:
    body = {"results": json.loads(write_t4(tmp_path / "toy").read_text())["results"][:40]}
    (tmp_path / "toy").write_text(json.dumps(body))
    status, told, _ = command(tmp_path / "toy", *QUICK)
    assert status == 0
    assert "The table was exhausted: it has 40 configurations, fewer than 200" in told


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("missing",), "There is no missing."),
        (("toy", "--preset", "x"), "There is no preset 'x'"),
        (("toy", "--explorer", "x"), "There is no explorer 'x'"),
        (("toy", "--task", "x"), "leave out --task"),
        (("toy", "--figures", "no/where"), "no/where cannot be written"),
        (("toy", "--out", "toy/x"), "cannot write there"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: tuple[str, ...],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_t4(tmp_path / "toy")
    status, told, said = command(*arguments)
    assert status == 1
    assert complaint in said
    assert said.startswith("Error: ")
    assert told == ""


def test_a_search_that_fails_says_so(table: Table) -> None:
    broken = replace(system("annealing", "greedy"), annealing=Annealing(temperature=()))
    with pytest.raises(UserError, match="with seed 0 ended early: its search failed"):
        replay(table, broken, 40, seeds=(0,))


def test_another_layers_measurements_give_a_better_start() -> None:
    recorded = Path(__file__).parents[1] / "data"
    table, teacher = (
        read_table(recorded / "resnet-9.parquet"),
        read_table(recorded / "vgg-4.parquet"),
    )
    search = chosen("chameleon", None, None)
    alone, taught = (
        replay(table, search, 16, range(4), teachers=known) for known in ((), (teacher,))
    )
    assert taught.fractions(16).mean() > alone.fractions(16).mean()
    with pytest.raises(UserError, match="learns nothing from others"):
        replay(table, chosen("autotvm", None, None), 16, range(1), teachers=(teacher,))
