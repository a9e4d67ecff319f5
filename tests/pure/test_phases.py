"""The phases of a command on a terminal: a bar of the right length, the time left, what follows."""

import pytest

from chameleon_ray.report.phases import DONE, REST, bar, passage, place
from chameleon_ray.report.progress import Progress
from tests.pure.fake_result import record, task


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bar_is_as_long_as_the_share_of_time(clock: Clock) -> None:
    progress = Progress(clock)
    progress.whole_limit = 180.0
    progress.phase("searching")
    clock.now = 60.0
    drawn = bar(progress, 80)
    assert len(drawn) == 80
    assert drawn.startswith("searching ")
    assert drawn.endswith(" 1:00, 2:00 left")
    assert drawn.count(DONE) == (drawn.count(DONE) + drawn.count(REST)) // 3


def test_what_is_over_its_time_says_so(clock: Clock) -> None:
    progress = Progress(clock)
    progress.whole_limit = 60.0
    clock.now = 75.0
    drawn = bar(progress, 80)
    assert drawn.endswith("1:15, 0:15 over")
    assert REST not in drawn


def test_without_a_limit_there_is_no_bar_until_the_end_is_known(clock: Clock) -> None:
    progress = Progress(clock)
    progress.phase("importing the model")
    clock.now = 5.0
    assert bar(progress, 80) == "importing the model: 0:05"
    of = task("dense")
    progress.began([of], None, 11)
    for _ in range(2):
        clock.now += 1.0
        progress.measured(record(of, 1.0))
    progress.closing = 20.0
    assert bar(progress, 80).endswith("0:07, 0:29 left"), "9 measurements and 20 seconds are left"


def test_a_narrow_terminal_has_no_bar(clock: Clock) -> None:
    progress = Progress(clock)
    progress.whole_limit = 60.0
    assert bar(progress, 30) == "starting: 0:00, 1:00 left"


def test_what_is_done_and_what_follows(clock: Clock) -> None:
    progress = Progress(clock)
    progress.compares = True
    for name, seconds in (("importing the model", 16.0), ("compiling the model untuned", 5.0)):
        progress.phase(name)
        clock.now += seconds
    progress.phase("searching")
    assert passage(progress, 200) == (
        "done: importing 0:16, compiling untuned 0:05; then: choosing winners, compiling, "
        "verifying, comparing, reporting"
    )
    assert passage(progress, 80) == (
        "then: choosing winners, compiling, verifying, comparing, reporting"
    )
    assert passage(progress, 50) == "then: choosing winners, compiling, verifying, ..."
    progress.compares = False
    assert "comparing" not in passage(progress, 200)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("importing resnet-18", 0),
        ("compiling the model untuned", 1),
        ("verifying the model untuned", 2),
        ("searching", 3),
        ("choosing winners", 4),
        ("compiling the model", 5),
        ("verifying the model", 6),
        ("timing the model in turns with other frameworks", 7),
        ("writing the report", 8),
    ],
)
def test_phases_are_known_by_their_names(name: str, number: int) -> None:
    assert place(name) == number
