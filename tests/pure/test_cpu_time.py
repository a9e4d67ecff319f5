"""Time limits of processes whose cores others have."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chameleon_ray.measure import run_delay
from chameleon_ray.measure.cpu_time import answers

LIMIT = 0.4


@contextmanager
def waiting(folder: Path, share: float) -> Iterator[None]:
    """Has the system say that this process waits for its core for a share of its time."""
    file = folder / str(os.getpid()) / "task" / "1" / "schedstat"
    file.parent.mkdir(parents=True)
    began, over = time.monotonic(), threading.Event()

    def tell() -> None:
        while not over.wait(0.01):
            new = file.with_name("new")
            new.write_text(f"0 {int(1e9 * share * (time.monotonic() - began))} 0")
            new.replace(file)

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(("share", "in_time"), [(0.9, True), (0.0, False)])
def test_waiting_for_a_core_does_not_count(
    share: float, in_time: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_delay, "PROCESSES", tmp_path)
    ours, theirs = socket.socketpair()
    answer = threading.Timer(2 * LIMIT, theirs.send, [b"x"])
    with waiting(tmp_path, share), ours, theirs:
        answer.start()
        assert answers(ours, os.getpid(), LIMIT, frozen=False) is in_time
        answer.join()


def test_who_only_waits_for_a_core_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_delay, "PROCESSES", tmp_path)
    ours, theirs = socket.socketpair()
    with waiting(tmp_path, 1.0), ours, theirs:
        assert not answers(ours, os.getpid(), LIMIT, frozen=False)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_stop_does_not_count_however_long_it_is(stopped: bool) -> None:
    ours, theirs = socket.socketpair()
    begins = f"import os, time; end = time.monotonic() + {(3 if stopped else 99) * LIMIT}"
    late = f"time.sleep(max(end - time.monotonic(), 0)); os.write({theirs.fileno()}, b'x')"
    code = ["-S", "-c", f"{begins}; print(flush=True); {late}"]
    files = {"pass_fds": [theirs.fileno()], "stdout": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, *code], **files)  # type: ignore[call-overload]
    goes_on = threading.Timer(4 * LIMIT, child.send_signal, [signal.SIGCONT])
    with child, ours, theirs:
        child.stdout.readline()
        if stopped:
            child.send_signal(signal.SIGSTOP)
        goes_on.start()
        assert answers(ours, child.pid, LIMIT, frozen=True, most=2 * LIMIT) is stopped
        goes_on.join()
        child.kill()
