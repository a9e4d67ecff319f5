"""Jobs in a child: what they return, and what happens when they hang, crash or leak."""

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chameleon_ray.measure import lifetime
from chameleon_ray.measure.isolate import Ending, Isolate, IsolateError, Setting
from tests.pure.misdeeds import gone
from tests.whole.command import until

MISDEEDS = "tests.pure.misdeeds"


def test_a_job_returns_its_value_and_the_child_stays(isolate):
    first = isolate.call(("greet", "you"), 5)
    second = isolate.call(("greet", "me"), 5)
    assert first.ending is second.ending is Ending.OK
    assert first.value[0] == "hello you"
    assert second.value[1] == first.value[1] + 1
    assert second.value[2] == first.value[2] != os.getpid()


def test_the_child_has_its_cores_and_environment(isolate):
    value, cores = isolate.call(("environment", "CHAMELEON_TEST"), 5).value
    assert value == "yes"
    assert cores == {min(os.sched_getaffinity(0))}


@pytest.mark.parametrize(
    ("job", "ending", "words"),
    [
        ("fail", Ending.ERROR, "ValueError: no such thing"),
        ("hang", Ending.TIMEOUT, "0.5 s"),
        ("crash", Ending.CRASH, "SIGSEGV"),
        ("leave", Ending.CRASH, "status 3"),
        ("exit", Ending.ERROR, "sys.exit(3)"),
        ("interrupt", Ending.ERROR, "KeyboardInterrupt"),
        ("secret", Ending.ERROR, "pickle"),
        ("scribble", Ending.CRASH, "something else wrote"),
        ("hoard", Ending.ERROR, "memory"),
    ],
)
def test_a_bad_job_is_an_outcome_and_the_next_one_works(isolate, job, ending, words):
    outcome = isolate.call((job,), 0.5 if job == "hang" else 10)
    assert outcome.ending is ending
    assert words in outcome.error
    assert outcome.value is None
    began = time.perf_counter()
    assert isolate.call(("greet", "again"), 5).value[0] == "hello again"
    assert time.perf_counter() - began < 1.0


def test_modules_in_the_working_directory_do_not_stand_in_for_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("socket", "numpy", "chameleon_ray"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('it stands in')")
    monkeypatch.chdir(tmp_path)
    with closing(Isolate(Setting(f"{MISDEEDS}:doer", "hello"))) as isolate:
        assert isolate.call(("greet", "you"), 5).value[0] == "hello you"


def test_children_import_the_package_of_their_parent_where_another_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chameleon_ray").mkdir()
    (tmp_path / "chameleon_ray" / "__init__.py").write_text("raise SystemExit('the other one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # before all libraries
    with closing(Isolate(Setting(f"{MISDEEDS}:doer", "hello"))) as isolate:
        assert isolate.call(("greet", "you"), 5).value[0] == "hello you"


def test_a_killed_child_is_replaced(isolate):
    pid = isolate.call(("greet", "a"), 5).value[2]
    os.kill(pid, signal.SIGKILL)
    first = isolate.call(("greet", "b"), 5)
    assert first.ending is Ending.CRASH
    assert isolate.call(("greet", "c"), 5).value[2] != pid


def test_it_is_known_whether_the_child_is_alive(isolate):
    pid = isolate.call(("greet", "you"), 5).value[2]
    assert isolate.alive
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not isolate.alive, 5)
    assert isolate.call(("greet", "me"), 5).ending is Ending.CRASH  # what it held is gone
    assert not isolate.alive
    assert isolate.call(("greet", "me"), 5).ending is Ending.OK
    assert isolate.alive


def test_a_child_is_renewed_after_so_many_jobs(isolate):
    isolate.renew(0)
    pid = isolate.call(("greet", "a"), 5).value[2]
    isolate.renew(2)
    assert isolate.call(("greet", "b"), 5).value[2] == pid
    isolate.renew(2)
    assert isolate.call(("greet", "c"), 5).value[1:] != (3, pid)
    gone(pid)


def test_a_killed_zygote_is_replaced():
    child = Isolate(Setting(f"{MISDEEDS}:doer", "hello"))
    pid = child.call(("greet", "x"), 5).value[2]
    child._zygote.kill()
    child._zygote.wait()
    gone(pid)
    assert child.call(("greet", "a"), 5).ending is Ending.CRASH
    assert child.call(("greet", "b"), 5).value[0] == "hello b"
    child.close()


def test_nothing_outlives_close():
    child = Isolate(Setting(f"{MISDEEDS}:doer", "bye"))
    pid = child.call(("greet", "x"), 5).value[2]
    child.close()
    gone(pid)


def test_nothing_is_started_after_a_close() -> None:
    isolate = Isolate(Setting(f"{MISDEEDS}:handler"))
    isolate.close()
    with pytest.raises(IsolateError, match="was closed"):
        isolate.warm()


@pytest.fixture
def unending() -> Iterator[tuple[Isolate, int]]:
    """A child whose death this process is told of first, and its parent not: it does not end.

    So it is as with a process that waits in a driver, which even SIGKILL does not end.
    """
    child = Isolate(Setting(f"{MISDEEDS}:impatient"))
    pid = child.call(("greet", "x"), 5).value[2]
    seize = 0x4206  # PTRACE_SEIZE, which leaves the process running
    if ctypes.CDLL(None).ptrace(seize, pid, None, None):
        pytest.skip("this machine does not let a process trace another")
    yield child, pid
    os.waitpid(pid, 0)


def test_a_child_that_cannot_be_killed_is_left_behind(unending: tuple[Isolate, int]) -> None:
    child, pid = unending
    began = time.perf_counter()
    assert child.call(("hang",), 0.2).ending is Ending.TIMEOUT
    after = child.call(("greet", "again"), 5)
    assert after.value[0] == "hello again"
    assert after.value[2] != pid
    assert time.perf_counter() - began < 3.0
    child.close()


def test_closing_does_not_wait_for_a_child_that_cannot_be_killed(
    unending: tuple[Isolate, int],
) -> None:
    began = time.perf_counter()
    unending[0].close()
    assert time.perf_counter() - began < 1.0


def test_a_job_that_nobody_takes_is_stopped_in_time() -> None:
    """A child that was stopped reads nothing, and the job does not fit into the socket."""
    child = Isolate(Setting(f"{MISDEEDS}:doer", "hello"))
    pid = child.call(("greet", "x"), 5).value[2]
    os.kill(pid, signal.SIGSTOP)
    outcome = child.call(("greet", "x" * (64 << 20)), 0.5)
    assert outcome.ending is Ending.TIMEOUT
    assert outcome.seconds < 3.0
    child.close()


def test_a_zygote_that_does_not_answer_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "ENDING_SECONDS", 0.2)
    child = Isolate(Setting(f"{MISDEEDS}:doer", "hello"))
    child.warm()
    child._zygote.send_signal(signal.SIGSTOP)
    assert child.call(("hang",), 0.2).ending is Ending.TIMEOUT
    assert child.call(("greet", "again"), 5).value[0] == "hello again"
    child.close()


def test_it_is_known_whether_a_child_has_done_a_job() -> None:
    child = Isolate(Setting(f"{MISDEEDS}:doer", "hello"))
    assert child.fresh
    child.warm()
    assert child.fresh
    child.call(("greet", "x"), 5)
    assert not child.fresh
    child.renew(0)
    assert child.fresh
    child.close()


def test_a_factory_that_fails_says_why():
    child = Isolate(Setting(f"{MISDEEDS}:broken"))
    with pytest.raises(IsolateError, match="nothing works here"):
        child.call(("greet", "x"), 5)
    child.close()


def test_a_signal_without_a_name_is_told_by_its_number(isolate: Isolate) -> None:
    outcome = isolate.call(("raise_signal", 35), 10)
    assert (outcome.ending, outcome.error) == (Ending.CRASH, "killed by signal 35")
