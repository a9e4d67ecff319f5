"""Choosing winners: the fastest right candidate, or the default schedule with the reason."""

import asyncio
import pickle
from functools import partial
from math import inf
from pathlib import Path

from chameleon_ray.folder import RunFolder
from chameleon_ray.measure.kept_builds import KeptBuilds
from chameleon_ray.measure.measurer import Artifact, Measurer, Timing
from chameleon_ray.options import Confirming
from chameleon_ray.pool import PoolError
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.winners import Earlier, choose, saving, unconfirmed
from tests.pure import toys
from tests.pure.engine_checks import local
from tests.pure.test_database import record

TASK = toys.task("tiny-a")
LATENCY = {c: toys.ToyRunner.latency(TASK, c) for c in [(0, 0), (0, 1), (0, 2)]}
RECORDS = [
    record(n, config=config, latencies=(seconds,))
    for n, (config, seconds) in enumerate({**LATENCY, DEFAULT: 0.1}.items())
]


def chosen(records=RECORDS, runner=toys.ToyRunner, finalists=2, builder=toys.ToyBuilder):
    measurer = Measurer(local("builder", builder), local("runner", runner))
    return asyncio.run(choose(TASK, records, measurer, Confirming(finalists=finalists)))


def test_the_fastest_wins():
    winner = chosen()
    assert winner.config == (0, 2)
    assert winner.latency == LATENCY[0, 2]
    assert winner.default_latency == 0.1
    assert not winner.reason


def test_a_wrong_candidate_is_named_and_the_next_best_taken():
    runner = partial(toys.ToyRunner, ((0, 2),))
    assert chosen(runner=runner).config == (0, 1)
    alone = chosen(runner=runner, finalists=1)
    assert (alone.config, alone.wrong) == ((0, 1), ((0, 2),))


def test_the_default_is_kept_where_every_candidate_is_wrong():
    winner = chosen(runner=partial(toys.ToyRunner, tuple(LATENCY)))
    assert winner.config == DEFAULT
    assert winner.reason == "no candidate passed the final"
    assert set(winner.wrong) == set(LATENCY)


def test_a_wrong_default_loses_to_a_slower_candidate_that_is_right():
    class Slow(toys.ToyRunner):
        @staticmethod
        def latency(one, config):
            return 0.1 if config == DEFAULT else 0.2

    winner = chosen(runner=partial(Slow, (DEFAULT,)))
    assert (winner.config != DEFAULT, winner.latency, winner.wrong) == (True, 0.2, ())
    assert winner.default_latency == inf
    assert chosen(runner=partial(Slow, (DEFAULT, *LATENCY))).config == DEFAULT


def test_the_default_is_kept_where_no_candidate_is_faster():
    class Slow(toys.ToyRunner):
        @staticmethod
        def latency(one, config):
            return 0.1 if config == DEFAULT else 0.2

    winner = chosen(runner=Slow)
    assert winner.config == DEFAULT
    assert winner.latency == 0.1
    assert "faster" in winner.reason


def test_the_default_is_kept_where_nothing_could_be_timed():
    failed = [record(0, status=Status.CRASH, latencies=(), config=(0, 1)), RECORDS[-1]]
    winner = chosen(failed)
    assert winner.config == DEFAULT
    assert winner.default_latency == 0.1
    assert winner.reason == "no candidate could be timed"


class Brittle(toys.ToyRunner):
    """A contest that the fastest candidate takes part in comes to nothing."""

    def contest(self, one, artifacts, options):
        if any(artifact.code == pickle.dumps((0, 2)) for artifact in artifacts):
            return Timing(status=Status.CRASH, error="killed by SIGSEGV")
        return super().contest(one, artifacts, options)


def test_a_candidate_that_breaks_the_contest_is_left_out():
    winner = chosen(runner=Brittle)
    assert winner.config == (0, 1)
    assert winner.wrong == ()


def test_a_candidate_that_cannot_be_built_again_is_not_wrong():
    class Forgetful(toys.ToyBuilder):
        def build(self, one, config):
            if config == (0, 2):
                return Artifact(status=Status.BUILD_TIMEOUT, error="stopped after 3 s")
            return super().build(one, config)

    winner = chosen(builder=Forgetful)
    assert winner.config == (0, 1)
    assert winner.wrong == ()


class Deadly(toys.ToyRunner):
    """A contest that the fastest candidate takes part in is several workers' death."""

    def contest(self, one, artifacts, options):
        if any(artifact.code == pickle.dumps((0, 2)) for artifact in artifacts):
            raise PoolError("3 runner workers died one after the other")
        return super().contest(one, artifacts, options)


def test_a_candidate_that_workers_die_of_is_left_out():
    class Mortal(toys.ToyBuilder):
        def build(self, one, config):
            if config == (0, 2):
                raise PoolError("3 builder workers died one after the other")
            return super().build(one, config)

    assert chosen(runner=Deadly).config == (0, 1)
    assert chosen(builder=Mortal).config == (0, 1)


def test_the_default_is_kept_where_workers_die_of_every_contest():
    class Fatal(toys.ToyRunner):
        def contest(self, one, artifacts, options):
            raise PoolError("3 runner workers died one after the other")

    winner = chosen(runner=Fatal)
    assert (winner.config, winner.reason) == (DEFAULT, "no candidate passed the final")


def test_a_latency_that_is_not_known_is_kept_as_null(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", existing=False)
    winners = {"a": ((1, 2), 0.5), "b": (DEFAULT, inf)}
    run.save_winners(winners)
    assert "Infinity" not in (run.path / "winners.json").read_text()
    assert run.load_winners() == winners
    run.close()


def test_what_the_search_timed_stands_where_there_is_no_time():
    winner = unconfirmed(TASK, RECORDS, Confirming())
    assert (winner.config, winner.latency, winner.default_latency) == ((0, 2), LATENCY[0, 2], 0.1)
    assert not winner.confirmed
    slow = [record(0, config=DEFAULT, latencies=(1e-9,)), *RECORDS[:3]]
    assert unconfirmed(TASK, slow, Confirming()).config == DEFAULT
    assert unconfirmed(TASK, [], Confirming()).config == DEFAULT
    near = [*RECORDS, record(9, config=(1, 0), latencies=(1.01 * LATENCY[0, 2],))]
    for kept, config in [((1, 0), (1, 0)), ((0, 0), (0, 2)), (DEFAULT, (0, 2))]:
        assert unconfirmed(TASK, near, Confirming(), Earlier(kept)).config == config
    known = {TASK.digest: RECORDS}
    assert saving([TASK], known, Confirming()) == TASK.weight * (0.1 - LATENCY[0, 2])


def test_builds_of_the_fastest_are_not_made_again():
    class Never(toys.ToyBuilder):
        def build(self, task, config):
            raise AssertionError(config)

    measurer = Measurer(local("builder", Never), local("runner", toys.ToyRunner))
    for config in (DEFAULT, *LATENCY):
        artifact = toys.ToyBuilder().build(TASK, config)
        measurer.kept.keep(TASK.digest, config, artifact, LATENCY.get(config, 0.1))
    winner = asyncio.run(choose(TASK, RECORDS, measurer, Confirming(finalists=2)))
    assert winner.config == (0, 2)


def test_only_likely_finalists_are_kept():
    kept = KeptBuilds[Artifact](count=2, most_bytes=10)
    for config, seconds in {**LATENCY, DEFAULT: 9.0}.items():
        kept.keep("task", config, Artifact(b"code"), seconds)
    slowest = max(LATENCY, key=LATENCY.get)
    assert [c for c in (*LATENCY, DEFAULT) if not kept.has("task", c)] == [slowest]
    kept.keep("task", (9,), Artifact(b"much too long"), 1e-9)
    kept.keep("task", (8,), object(), 1e-9)
    kept.keep("task", (7,), Artifact(b"code"), inf)
    assert not any(kept.has("task", (n,)) for n in (7, 8, 9))


def test_the_winner_of_an_earlier_run_stays_unless_another_is_notably_faster() -> None:
    class Close(toys.ToyRunner):
        @staticmethod
        def latency(one, config):
            return {(0, 2): 1e-3, (0, 1): 1.01e-3, (0, 0): 1.5e-3, DEFAULT: 2e-3}[config]

    class Draw(toys.ToyRunner):
        @staticmethod
        def latency(one, config):
            return 1e-3 if config == DEFAULT else 0.99e-3

    def winner(earlier: Earlier | None, runner: type = Close) -> tuple[int, ...]:
        measurer = Measurer(local("builder", toys.ToyBuilder), local("runner", runner))
        return asyncio.run(choose(TASK, RECORDS, measurer, Confirming(), earlier)).config

    assert winner(None) == (0, 2)
    assert winner(Earlier((0, 1))) == (0, 1)
    assert winner(Earlier((0, 0))) == (0, 2)
    assert winner(Earlier((0, 0), settled=True)) == (0, 0)
    assert winner(Earlier(DEFAULT), Draw) == DEFAULT
    assert winner(None, Draw) != DEFAULT
    assert winner(Earlier(DEFAULT, settled=True)) == DEFAULT
    wrong = partial(toys.ToyRunner, ((0, 0),))
    assert winner(Earlier((0, 0), settled=True), wrong) == (0, 2)  # type: ignore[arg-type]
