"""A child's answers are its own, and nothing that a job does reaches beyond its child."""

import os
import signal
import socket
import time

import pytest

from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.measure.message import Stamp, answer
from tests.pure.misdeeds import gone

MISDEEDS = "tests.pure.misdeeds"


def test_a_job_that_forks_and_returns_twice_is_answered_once(isolate):
    copy = isolate.call(("fork",), 5).value
    assert copy > 0
    gone(copy)
    for name in "abc":
        assert isolate.call(("greet", name), 5).value[0] == f"hello {name}"


def test_only_the_answer_to_this_job_of_this_process_is_taken():
    child = Isolate(Setting(f"{MISDEEDS}:doer", "hello"))
    for _ in range(2):
        assert child.call(("answer_early", "right"), 5).value == "right"
    child.close()


def test_the_channel_is_out_of_reach_of_programs_and_of_closing(isolate):
    isolate.renew(0)
    assert isolate.call(("close", 256), 5).value == "closed"
    assert isolate.call(("inherited",), 10).value == "[3]\n"  # of the listing


def test_a_child_without_its_channel_is_replaced(isolate):
    outcome = isolate.call(("close", 1 << 14), 20)
    assert outcome.ending is Ending.CRASH
    assert "closed all descriptors" in outcome.error
    assert isolate.call(("greet", "a"), 5).value[0] == "hello a"


@pytest.mark.parametrize("end", ["renew", "close", "kill"])
def test_what_a_job_started_ends_with_its_child(end):
    child = Isolate(Setting(f"{MISDEEDS}:doer", "hello"))
    started = child.call(("start",), 5).value
    os.kill(started, 0)
    if end == "renew":
        child.renew(0)
    elif end == "kill":
        os.kill(child._pid, signal.SIGKILL)
        assert "SIGKILL" in child.call(("greet", "a"), 5).error
    else:
        child.close()
    gone(started)
    child.close()


def test_an_answer_that_drips_is_given_up_in_time():
    mine, theirs = socket.socketpair()
    theirs.sendall(b"chml")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        answer(mine, Stamp(1, 2), 0.2)
    assert time.monotonic() - began < 2
    mine.close()
    theirs.close()
