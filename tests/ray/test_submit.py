"""``ray up``, ``ray submit`` and ``ray down`` of the on-premises file, on pretended hosts.

Each host installs the package from the sources that the launcher brings it, in an environment of
its own; what it depends on is this machine's, as the hosts have no network.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.ray.hosts import address, find, hosts, lacking, software

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())
ROOT = Path(__file__).parents[2]
PATIENCE = 1800.0
TUNE = ("tests.whole.net:dense", "--nodes", "2", "--explorer", "random", "--trials", "16")
SITE = "lib/python3.11/site-packages"


def installing() -> list[str]:
    """Set-up commands that make an environment of its own without a network."""
    rsync = Path(str(find("rsync"))).parent
    packages = "\\n".join(path for path in sys.path if path.endswith("site-packages"))
    return [
        f"echo 'export PATH=$PATH:{rsync}' >> ~/.bashrc",  # a login shell begins with its own
        f"test -d ~/venv || {sys.executable} -m venv --without-pip ~/venv",
        f"printf '{packages}\\n' > ~/venv/{SITE}/shared.pth",
        "cp -r ~/chameleon_ray /tmp/source && cd /tmp/source && ~/venv/bin/python -m pip install "
        "-q --no-index --no-deps --no-build-isolation .",
        "printf '#!/bin/sh\\nexec ~/venv/bin/python -m ray.scripts.scripts \"$@\"\\n'"
        " > ~/venv/bin/ray && chmod +x ~/venv/bin/ray",
    ]


def configured(key: Path, out: Path) -> Path:
    """The file that is shipped, with these hosts and this way to install."""
    cluster = yaml.safe_load((ROOT / "cluster.onprem.yaml").read_text())
    cluster["provider"] |= {"head_ip": address(0), "worker_ips": [address(1)]}
    cluster["auth"] = {"ssh_user": "root", "ssh_private_key": str(key)}
    cluster |= {"min_workers": 1, "max_workers": 1}
    cluster["file_mounts"] |= {"~/chameleon_ray": str(ROOT), "~/tests": str(ROOT / "tests")}
    made = [line for line in cluster["setup_commands"] if "bashrc" in line]
    assert len(made) == 2
    cluster["setup_commands"] = [*installing(), *made]
    file = out / "cluster.yaml"
    file.write_text(yaml.safe_dump(cluster))
    return file


@contextmanager
def client(home: Path) -> Iterator:
    """Somebody at another machine, with a home of their own."""
    environment = {**os.environ, "HOME": str(home), "RAY_UP_enable_autoscaler_v2": "0"}
    environment["PATH"] += f"{os.pathsep}/usr/sbin"

    def ray(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", *arguments],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    yield ray


def test_a_network_is_tuned_on_two_hosts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with hosts(2, tmp_path, software()) as key, client(home) as ray:
        cluster = str(configured(key, tmp_path))
        ray("get-auth-token", "--generate")
        ray("up", "-y", cluster)
        try:
            said = ray("submit", cluster, "scripts/tune_net.py", "--", *TUNE, "--out", "run")
            print(said)
            assert "The cluster: nodes: 2, cores: " in said
            assert "Verified" in said
            ray("rsync-down", cluster, "run/summary.json", str(tmp_path / "summary.json"))
        finally:
            ray("down", "-y", cluster)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["measurements"]["total"] == 16
    assert summary["measurements"]["crash"] == 0
    runners = [p for p in summary["processes"] if p["name"].startswith("runner")]
    assert {p["name"].rpartition(" ")[2] for p in runners} == {address(0), address(1)}
    assert all(p["busy_seconds"] > 0 for p in runners)
