"""A private Ray that loses its control store is noticed at once, also while it starts.

Each test is a process of its own: a process has one Ray at a time.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from chameleon_ray.cluster.reaper import STUCK
from tests.ray.test_ray_session import run
from tests.whole.command import JOINS, threads, until

STARTS = """
from chameleon_ray.api.concurrency import starting
from chameleon_ray.cluster.ray_session import start
from chameleon_ray.cluster.servers import lost
from chameleon_ray.options import Session
with starting(lost), start(cpus=1, options=Session(lost_seconds=5.0)):
    print("started")
"""


def test_the_loss_of_the_control_store_is_noticed_and_survived() -> None:
    done = run("""
        from chameleon_ray.cluster.ray_session import start
        from chameleon_ray.cluster.servers import lost, unseen
        from tests.ray.control_store import killed
        from tests.whole.command import until

        with start(cpus=1):
            assert not lost()
            assert killed()
            assert until(lost, 5)
            assert lost() == "its gcs_server was killed by SIGKILL"
            with unseen():
                assert not lost()
            assert lost()
        assert not lost()

        with start(cpus=1):
            import ray
            assert ray.get(ray.remote(lambda: 1).remote()) == 1
        print("whole")
    """)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["whole"]), done.stderr


def test_a_start_that_loses_the_control_store_ends_and_can_be_repeated() -> None:
    done = run("""
        import threading
        import pytest
        from chameleon_ray.api.concurrency import starting
        from chameleon_ray.cluster.ray_session import start
        from chameleon_ray.cluster.servers import lost
        from chameleon_ray.errors import RayLost
        from tests.ray.control_store import killed
        from tests.whole.command import until

        killing = threading.Thread(target=killed, args=[0.5])  # it has said where it listens
        killing.start()
        with pytest.raises(RayLost, match="gcs_server"), starting(lost), start(cpus=1):
            killing.join()
            until(lambda: False, 30)
        killing.join()
        assert not lost()
        with start(cpus=1):
            print("whole")
    """)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


def test_a_signal_between_two_processes_of_a_fork_stops_the_start() -> None:
    done = run(
        dedent("""
        import os, signal, sys
        import pytest
        from ray._private import services
        from chameleon_ray.cluster.ray_habits import stoppable
        from chameleon_ray.errors import Stopped

        def stop():
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(10))  # so that Python looks for signals

        os.register_at_fork(after_in_parent=stop)
        with pytest.raises(Stopped), stoppable():
            services.start_ray_process([sys.executable, "-c", ""], "sleeper", fate_share=True)
            print("went on")
        print("stopped")
    """)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")


def test_servers_that_are_ended_on_purpose_are_no_loss() -> None:
    done = run(
        dedent("""
        import os, signal, threading, time
        import psutil, pytest
        from chameleon_ray.api.concurrency import starting
        from chameleon_ray.cluster.ray_session import start
        from chameleon_ray.cluster.servers import lost
        from chameleon_ray.errors import Stopped
        from tests.whole.command import until

        def interrupt():
            children = psutil.Process().children
            assert until(lambda: any(one.name() == "gcs_server" for one in children()), 30)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(Stopped), starting(lost), start(cpus=1):
            time.sleep(30)
        with starting(lost), start(cpus=1):
            pass
        print("whole")
    """)
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["whole"]), done.stderr


def test_a_signal_while_the_process_becomes_a_worker_leaves_none_behind() -> None:
    done = run(
        dedent("""
        import os, signal
        import pytest, ray
        from chameleon_ray.cluster.ray_session import start
        from chameleon_ray.errors import Stopped

        own = ray._raylet.CoreWorker

        def interrupted(*arguments):
            worker = own(*arguments)
            os.kill(os.getpid(), signal.SIGINT)
            return worker

        ray._raylet.CoreWorker = interrupted
        with pytest.raises(Stopped), start(cpus=1):
            print("went on")
        ray._raylet.CoreWorker = own
        with start(cpus=1):
            print(ray.get(ray.remote(lambda: "whole").remote()))
    """)
    )
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


def test_sigterm_at_any_moment_in_which_ray_makes_this_process_a_worker_stops_the_start() -> None:
    done = run("""
        import os, signal, subprocess, time
        import pytest, ray
        from chameleon_ray.cluster.ray_session import start
        from chameleon_ray.errors import Stopped

        def killed(*arguments):  # Python's threads may wait meanwhile
            kill = f"sleep {moment}; kill -TERM {os.getpid()}"
            subprocess.Popen(["sh", "-c", kill])
            return own(*arguments)

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        own, ray._raylet.CoreWorker = ray._raylet.CoreWorker, killed
        for moment in (0, 0.02, 0.05, 0.1, 0.2, 0.4):
            with pytest.raises((Stopped, KeyboardInterrupt)), start(cpus=1):
                time.sleep(30)
        ray._raylet.CoreWorker = own
        try:
            with start(cpus=1):
                print(ray.get(ray.remote(lambda: "whole").remote()))
            os.kill(os.getpid(), signal.SIGTERM)  # the end of Ray leaves the handler
            time.sleep(30)
        except KeyboardInterrupt:
            print("stopped")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\nstopped\n", "")


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_waits_inside_ray_for_a_lost_control_store_is_ended(interrupted: bool) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", STARTS], stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            assert until(lambda: JOINS in threads(process.pid), 60, 0.001)
            children = psutil.Process(process.pid).children()
            (store,) = [one for one in children if one.name() == "gcs_server"]
            store.kill()
            killed = time.monotonic()
            if interrupted:
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out) == (-signal.SIGKILL, "")
    assert err == STUCK.format("gcs_server", 5)
    assert time.monotonic() - killed > 4
    gone = [Path("/proc", str(child.pid)) for child in children]
    assert until(lambda: not any(one.exists() for one in gone), 20)
