"""Sessions: quiet, on the loopback interface only, and with the same versions everywhere.

Each test is a process of its own: a process has one Ray at a time.
"""

import importlib.metadata
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ray._private import services

from chameleon_ray.cluster import ray_session
from chameleon_ray.cluster.address import on_loopback
from chameleon_ray.cluster.asking import Silent
from chameleon_ray.cluster.placement import Node
from chameleon_ray.cluster.ray_session import SessionError, found
from chameleon_ray.cluster.versions import PINNED, differences
from chameleon_ray.options import Session
from chameleon_ray.pool import Unfit

ROOT = Path(__file__).parents[2]


def run(program: str) -> subprocess.CompletedProcess[str]:
    script = textwrap.dedent(program)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )


def test_local_session_is_quiet_private_and_light() -> None:
    done = run("""
        import os, subprocess, sys, psutil
        from chameleon_ray.cluster.ray_session import start
        assert not {"torch", "tvm", "xgboost", "ray.rllib"} & set(sys.modules)
        before = dict(os.environ)
        def look():
            import sys
            return os.nice(0), {"torch", "tvm", "xgboost"} & set(sys.modules)
        def addresses():
            me = psutil.Process()
            family = [me, *me.children(recursive=True)]
            return {c.laddr.ip for p in family for c in p.net_connections() if c.status == "LISTEN"}
        def programs():
            family = psutil.Process().children(recursive=True)
            return {os.path.basename(word) for p in family for word in p.cmdline()}
        import ray
        for _ in range(2):
            with start(cpus=1):
                assert ray.cluster_resources()["CPU"] == 1
                assert ray.get(ray.remote(look).remote()) == (0, set())
                assert addresses() <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, addresses()
                assert not {"monitor.py", "log_monitor.py", "dashboard.py"} & programs()
                with start():
                    pass
                assert ray.is_initialized()
                own = subprocess.Popen(["sleep", "600"])
            assert not ray.is_initialized()
            assert own.poll() is None
            own.kill()
            own.wait()
        kept = {name: os.environ.get(name) for name in before}
        assert kept == before
        assert not {"RAY_AUTH_TOKEN", "RAY_AUTH_MODE"} & set(os.environ) - set(before)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_workers_import_this_package_and_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This rests on private names of Ray's."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "stand_in.py").touch()
    (tmp_path / "chameleon_ray").mkdir()
    (tmp_path / "chameleon_ray" / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # where another copy is installed
    done = run(f"""
        import os, sys
        sys.path.insert(0, {str(ROOT)!r})
        os.chdir({str(tmp_path / "here")!r})
        import ray
        from chameleon_ray.cluster.ray_session import start
        def look():
            import importlib.util
            import chameleon_ray
            return importlib.util.find_spec("stand_in"), chameleon_ray.__file__
        import stand_in
        with start(cpus=1):
            print(*ray.get(ray.remote(look).remote()))
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"None {ROOT / 'chameleon_ray' / '__init__.py'}\n"


def test_other_versions_on_a_node_are_named() -> None:
    done = run("""
        import os
        os.environ["RAY_AUTH_MODE"] = "disabled"
        from ray.cluster_utils import Cluster
        from chameleon_ray.cluster import ray_session
        small = {"num_cpus": 1, "object_store_memory": 80 << 20}
        cluster = Cluster(head_node_args=small | {"include_dashboard": False}, initialize_head=True)
        cluster.add_node(**small)
        with ray_session.start(cluster.address):
            pass
        here = ray_session.reader()()
        ray_session.check_pins = lambda: None
        ray_session.reader = lambda: (lambda: {n: v + str(os.getpid()) for n, v in here.items()})
        try:
            with ray_session.start(cluster.address):
                pass
        except ray_session.SessionError as error:
            print(error)
        cluster.shutdown()
    """)
    assert done.returncode == 0, done.stderr
    for said in ("node ", "apache-tvm-ffi 0", "chameleon_ray 0", "install the same versions"):
        assert said in done.stdout


def test_wrong_pin_is_named() -> None:
    done = run("""
        from chameleon_ray.cluster import ray_session
        found = ray_session.reader()() | {"apache-tvm-ffi": "0.2.0"}
        ray_session.reader = lambda: (lambda: found)
        with ray_session.start():
            pass
    """)
    assert done.returncode == 1
    assert "SessionError: apache-tvm-ffi is 0.2.0 on this machine" in done.stderr


@pytest.mark.parametrize("version", ["2.59.0", "2.61.0", "none"])
def test_versions_outside_the_range_are_named(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    asked = ["ray[rllib]<2.61,>=2.60.0", 'ray[default]==2.60.0; extra == "cluster"', "numpy>=2.0"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: asked)
    for good in ("2.60.0", "2.60.9"):  # of which the extra's pin would have none but the first
        monkeypatch.setattr(ray_session, "reader", lambda good=good: lambda: {"ray": good})
        ray_session.check_pins()
    monkeypatch.setattr(ray_session, "reader", lambda: lambda: {"ray": version})
    said = f"ray is {version} on this machine, but has to be <2.61,>=2.60.0"
    with pytest.raises(SessionError, match=re.escape(said)):
        ray_session.check_pins()


def test_no_cluster_at_the_address() -> None:
    with pytest.raises(SessionError, match=r"no Ray at 127\.0\.0\.1:1; is the address right"):
        found("127.0.0.1:1", Session())


def test_which_ray_is_meant_has_to_be_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    rays: set[str] = set()
    monkeypatch.setattr(services, "find_gcs_addresses", lambda: rays)
    with pytest.raises(SessionError, match="no Ray runs on this machine; give --address"):
        found("auto", Session())
    rays |= {"127.0.0.1:1", "127.0.0.1:2"}
    with pytest.raises(SessionError, match=r"2 Rays run on this machine .*; give --address"):
        found("auto", Session())
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert found("auto", Session()) == address
        # a session of this process has made 127.0.0.1 its address in the network
        monkeypatch.setattr(services, "get_node_ip_address", lambda: "127.0.0.2")
        assert on_loopback(address, 1.0)
    assert not on_loopback("192.0.2.1:6379", 1.0)


def test_a_node_that_joins_with_other_versions_is_turned_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factory = ray_session.checked(dict)
    assert factory() == {}
    monkeypatch.setattr(ray_session, "reader", lambda: lambda: dict.fromkeys(PINNED, "0"))
    with pytest.raises(Unfit, match=r"it has chameleon_ray 0, this one .*install the same"):
        factory()


def test_differences_name_node_and_versions() -> None:
    ours, theirs = {"ray": "2.60.0", "apache-tvm": "1"}, {"ray": "2.60.0", "apache-tvm": "none"}
    assert differences("node 10.0.0.2", ours, ours) == []
    said = "node 10.0.0.2 has apache-tvm none, this one 1"
    assert differences("node 10.0.0.2", theirs, ours) == [said]


def test_all_silent_nodes_and_other_versions_are_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two, three, four = (Node(f"{n:02x}", f"10.0.0.{n}", 1, here=n == 1) for n in range(1, 5))
    found = {two: Silent("it died"), three: Silent("none came within 5 s"), four: {"ray": "2.61.0"}}
    monkeypatch.setattr(ray_session, "nodes", lambda: [one, *found])
    monkeypatch.setattr(ray_session, "reader", lambda: lambda: {"ray": "2.60.0"})
    monkeypatch.setattr(ray_session, "asked", lambda question, nodes, seconds: found)
    with pytest.raises(SessionError) as caught:
        ray_session.check_nodes(Session())
    assert str(caught.value) == (
        "Node 10.0.0.2 gave no answer: it died; node 10.0.0.3 gave no answer: none came within 5 "
        "s; node 10.0.0.4 has ray 2.61.0, this one 2.60.0; see to what is silent, or take it out "
        "of the cluster; install the same versions on every node."
    )
