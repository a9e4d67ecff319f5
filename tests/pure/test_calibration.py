"""Devices of one type that are not quite alike: their references, and the factor between them."""

import asyncio
import json
import pickle
import time
from dataclasses import replace
from math import inf

import pytest

from chameleon_ray.measure.bench import Check, Duel, Profile
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.calibration import References, beyond, factor_of, likeliest
from chameleon_ray.measure.isolate import Ending, Outcome
from chameleon_ray.measure.measurer import Artifact, Measurer, Timing
from chameleon_ray.options import Calibrating, Confirming
from chameleon_ray.pool import InProcessPool, Lost
from chameleon_ray.record import DEFAULT, Status
from tests.pure import toys

ONE, OTHER = toys.task("tiny-a"), toys.task("tiny-b")
DEFAULT_BUILD = Artifact(pickle.dumps(DEFAULT))
SECONDS = toys.ToyRunner.latency(ONE, DEFAULT)


class Device(toys.ToyRunner):
    """A toy device that is slower by the factors given, one after the other, then by the last."""

    def __init__(self, *slowness: float) -> None:
        super().__init__()
        self.slowness, self.bests = list(slowness), list[float]()

    def run(self, one, artifact, best):
        timing, self.bests = super().run(one, artifact, best), [*self.bests, best]
        slower = self.slowness.pop(0) if len(self.slowness) > 1 else self.slowness[0]
        return replace(timing, latencies=tuple(slower * own for own in timing.latencies))


@pytest.mark.parametrize(
    ("ratios", "factor"),
    [
        ([], 1.0),
        ([0.9], 0.9),
        ([0.97], 1.0),
        ([1.0, 1.6], 1.0),
        ([0.8, 1.6], 0.8),
        ([0.9, 5.0, 1.0], 1.0),
        ([0.9, 5.0, 1.2], 1.2),
    ],
)
def test_the_factor_is_the_median_of_the_references(ratios, factor):
    assert factor_of(ratios, 0.05) == factor


def test_what_is_beyond_a_share():
    found = [beyond(factor, 0.25) for factor in (0.79, 0.81, 1.24, 1.26)]
    assert found == [True, False, False, True]
    assert likeliest([0.5, 0.8, 1.3, 2.0]) == 0.8


def test_references_are_of_different_layers_and_of_the_first_device():
    references = References(Calibrating(references=3, most_seconds=0.1))
    assert references.wanted
    assert not references.take("a", "east", inf)
    assert references.wanted
    assert references.take("a", "east", 5.0)  # the first may be long
    assert not references.wanted
    assert not references.take("a", "east", 0.01)
    assert not references.take("b", "west", 0.01)
    assert not references.take("b", "east", 0.2)
    assert references.take("b", "east", 0.01)
    references.drop("b")
    assert references.take("c", "east", 0.01)
    assert references.take("d", "east", 0.01)
    assert not references.take("e", "east", 0.01)
    none = References(Calibrating(references=0))
    assert (none.wanted, none.take("a", "east", 1.0)) == (False, False)


def test_latencies_are_the_first_devices_and_the_race_is_the_devices_own():
    device = Device(1.1)
    runner = Calibrated(device, "west")
    before = runner.run(ONE, DEFAULT_BUILD, 1.0)
    assert (before.latencies, before.conditions) == ((1.1 * SECONDS,), "")
    told = runner.calibrate(ONE, DEFAULT_BUILD, SECONDS, "east")
    assert told.startswith("takes about 1.10 times as long as the first one that timed, for which")
    after = runner.run(ONE, DEFAULT_BUILD, 1.0)
    assert after.latencies == pytest.approx((SECONDS,))
    assert json.loads(after.conditions) == {"calibration": pytest.approx(1 / 1.1, abs=1e-6)}
    assert after.place == "west"
    assert device.bests == [1.0, *[inf] * Calibrating.tries, pytest.approx(1.1)]


def test_contests_are_in_the_first_devices_units_too():
    runner, artifacts = Calibrated(Device(1.2), "west"), (DEFAULT_BUILD, DEFAULT_BUILD)
    before = runner.contest(ONE, artifacts, Confirming())
    runner.calibrate(ONE, DEFAULT_BUILD, SECONDS, "east")
    after = runner.contest(ONE, artifacts, Confirming())
    for slow, corrected in zip(before, after, strict=True):
        assert corrected.latencies == pytest.approx([one / 1.2 for one in slow.latencies])


class Models:
    """Whole models of a device; what it was sent is their latency, or how they end."""

    def __init__(self):
        self.closed = False

    def ask(self, question, contents):
        if contents == (b"",):
            return Outcome(Ending.CRASH, None, "killed by SIGKILL")
        if isinstance(question, Profile):
            return Outcome(Ending.OK, [{"conv": float(content)} for content in contents])
        return Outcome(Ending.OK, [(float(content), 2 * float(content)) for content in contents])

    def close(self):
        self.closed = True


def test_whole_models_are_in_the_first_devices_units_too():
    models = Models()
    runner = Calibrated(Device(1.25), "west", models=models)
    duel = Duel(("a.so", "b.so"), (), Confirming())
    assert runner.bench(duel, (b"1", b"2")).value == [(1, 2), (2, 4)]
    runner.calibrate(ONE, DEFAULT_BUILD, SECONDS, "east")
    slow = [one for pair in runner.bench(duel, (b"1", b"2")).value for one in pair]
    assert slow == pytest.approx([0.8, 1.6, 1.6, 3.2])
    inside = runner.bench(Profile(("a.so", "b.so"), (), 1.0), (b"1", b"2")).value
    assert [one["conv"] for one in inside] == pytest.approx([0.8, 1.6])
    assert runner.bench(Check(("a.so",), (), ()), (b"1",)).value == [(1, 2)]
    assert runner.bench(duel, (b"",)).error == "killed by SIGKILL"
    runner.close()
    assert models.closed


def test_conditions_of_the_device_stay():
    class Warm(Device):
        def run(self, one, artifact, best):
            return replace(super().run(one, artifact, best), conditions='{"celsius": 40}')

    runner = Calibrated(Warm(0.9), "west")
    assert runner.calibrate(ONE, DEFAULT_BUILD, SECONDS, "east")
    noted = json.loads(runner.run(ONE, DEFAULT_BUILD, inf).conditions)
    assert noted == {"celsius": 40, "calibration": pytest.approx(1 / 0.9, abs=1e-6)}


def test_the_device_that_timed_a_reference_first_does_not_time_it_again():
    device = Device(1.0)
    runner = Calibrated(device, "east")
    assert runner.calibrate(ONE, DEFAULT_BUILD, SECONDS, "east") == ""
    assert (device.runs, runner.factor) == ([], 1.0)


def test_noise_is_left_alone_and_a_disturbed_timing_is_repeated():
    alike = Calibrated(Device(1.04), "west")
    assert alike.calibrate(ONE, DEFAULT_BUILD, SECONDS, "east") == ""
    assert alike.factor == 1
    device = Device(3.0, 1.02)
    disturbed = Calibrated(device, "west")
    assert disturbed.calibrate(ONE, DEFAULT_BUILD, SECONDS, "east") == ""
    assert (disturbed.factor, len(device.runs)) == (1, 2)


def test_one_disturbed_reference_of_three_does_no_harm():
    """The first device took twice as long for the first one as it should."""
    runner = Calibrated(Device(1.0), "west")
    told = [runner.calibrate(ONE, DEFAULT_BUILD, n * SECONDS, "east") for n in (2.0, 1.0, 1.01)]
    assert [bool(said) for said in told] == [True, False, False]
    assert runner.factor == 1


def test_a_reference_that_fails_says_nothing():
    class Broken(Device):
        def run(self, one, artifact, best):
            return Timing(status=Status.RUN_ERROR, error="no such device")

    runner = Calibrated(Broken(1.0), "west")
    assert runner.calibrate(ONE, DEFAULT_BUILD, SECONDS, "east") == ""
    assert runner.factor == 1


class Noting(InProcessPool):
    """Keeps its broadcasts; the first ones, as many as are lost, fail; knows how busy it was."""

    def __init__(self, runner, lost=0):
        super().__init__("runner", lambda: runner, {}, time.perf_counter())
        self.broadcasts, self.lost, self.busy, self.busiest = [], lost, 0, 0

    async def call(self, method, *args):
        self.busy += 1
        self.busiest = max(self.busy, self.busiest) if not self.broadcasts else self.busiest
        await asyncio.sleep(0.001)
        self.busy -= 1
        return await super().call(method, *args)

    async def broadcast(self, method, *args):
        await asyncio.sleep(0.01)
        self.broadcasts.append(args[0].name)
        if len(self.broadcasts) <= self.lost:
            raise Lost("its node is gone")
        await super().broadcast(method, *args)


def measured(pool, references, tasks):
    builder = InProcessPool("builder", toys.ToyBuilder, {}, time.perf_counter())

    async def body():
        measurer = Measurer(builder, pool, references)
        return await asyncio.gather(*(measurer.measure(t, DEFAULT, lambda: inf) for t in tasks))

    return asyncio.run(body())


def test_a_runner_that_is_alone_times_nothing_else():
    device = Device(1.0)
    pool = Noting(Calibrated(device, "east"))
    done = measured(pool, References(Calibrating()), [ONE, ONE, OTHER])
    assert [name for name, _ in device.runs] == ["tiny-a", "tiny-a", "tiny-b"]
    assert pool.broadcasts == ["tiny-a", "tiny-b"]
    assert all(one.timing.latencies == (SECONDS,) and not one.timing.conditions for one in done)


def test_until_there_is_a_reference_runs_are_made_one_at_a_time():
    class Late(Device):
        def run(self, one, artifact, best):
            timing = super().run(one, artifact, best)
            failed = replace(timing, status=Status.RUN_ERROR, latencies=())
            return failed if len(self.runs) < 3 else timing

    pool = Noting(Calibrated(Late(1.0), "east"))
    done = measured(pool, References(Calibrating()), [ONE] * 6)
    assert [one.status for one in done] == ["run_error"] * 2 + ["ok"] * 4
    assert pool.busiest == 1
    free = Noting(Device(1.0))
    measured(free, None, [ONE] * 6)
    assert free.busiest == 6


class Careful(Device):
    """Times what is not slower than the best twice, all else once."""

    def run(self, one, artifact, best):
        timing = super().run(one, artifact, best)
        often = 2 if timing.latencies[0] <= 1.2 * best else 1
        return replace(timing, latencies=often * timing.latencies)


def taken(pool, *runs):
    """What becomes a reference of runs one after the other, each with the best latency so far."""
    builder = InProcessPool("builder", toys.ToyBuilder, {}, time.perf_counter())

    async def body():
        measurer = Measurer(builder, pool, References(Calibrating()))
        for one, best in runs:
            await measurer.measure(one, DEFAULT, lambda best=best: best)

    asyncio.run(body())
    return pool.broadcasts


def test_the_first_reference_need_not_beat_what_an_earlier_session_found():
    device = Careful(1.0)
    assert taken(Noting(Calibrated(device, "east")), (ONE, SECONDS / 9)) == ["tiny-a"]
    assert device.bests == [inf]


def test_what_is_timed_with_less_care_is_no_further_reference():
    hopeless = toys.ToyRunner.latency(OTHER, DEFAULT) / 9
    pool = Noting(Calibrated(Careful(1.0), "east"))
    assert taken(pool, (ONE, inf), (OTHER, hopeless)) == ["tiny-a"]
    close = toys.ToyRunner.latency(OTHER, DEFAULT) / 1.1
    pool = Noting(Calibrated(Careful(1.0), "east"))
    assert taken(pool, (ONE, inf), (OTHER, close)) == ["tiny-a", "tiny-b"]


def test_a_reference_that_is_lost_is_replaced_by_another_one():
    pool = Noting(Calibrated(Device(1.0), "east"), lost=1)
    done = measured(pool, References(Calibrating()), [ONE, OTHER, ONE])
    assert all(one.status is Status.OK for one in done)
    assert pool.broadcasts == ["tiny-a", "tiny-b", "tiny-a"]
