"""Pretended hosts: several machines made of this one, each with its own network, files and sshd.

They are network namespaces on a bridge that leads nowhere, so nothing is reachable from outside.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

INIT = Path(__file__).with_name("host_init.sh")
NETWORK = "10.77.0"
BRIDGE = "chbr"
TOOLS = ("ip", "unshare", "ssh", "ssh-keygen", "rsync", "sshd")


def lacking() -> str:
    """Why there can be no pretended hosts here; empty where there can."""
    if os.geteuid() != 0:
        return "pretended hosts need root"
    missing = [tool for tool in TOOLS if find(tool) is None]
    if missing:
        return f"pretended hosts need {', '.join(missing)}"
    made = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True)
    return "namespaces cannot be made here" if made.returncode else ""


def find(tool: str) -> str | None:
    """Where a program is; servers are not on every PATH."""
    return shutil.which(tool, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))


def address(number: int) -> str:
    """Of host ``number``, from 0."""
    return f"{NETWORK}.{11 + number}"


@contextmanager
def hosts(count: int, folder: Path, shared: Sequence[Path]) -> Iterator[Path]:
    """So many hosts, up and listening; gives the private key to log in as root with.

    Args:
        count: Hosts.
        folder: For the key and the logs.
        shared: Paths that are the same on every host, read-only.
    """
    key = folder / "key"
    _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    with ExitStack() as stack:
        _do("ip", "link", "add", BRIDGE, "type", "bridge")
        stack.callback(_do, "ip", "link", "del", BRIDGE)
        _do("ip", "addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        _do("ip", "link", "set", BRIDGE, "up")
        for number in range(count):
            _host(number, folder, key, shared, stack)
        for number in range(count):
            _reachable(number, key, folder)
        yield key


def _host(number: int, folder: Path, key: Path, shared: Sequence[Path], stack: ExitStack) -> None:
    name, inner = f"chh{number}", f"chv{number}"
    _do("ip", "netns", "add", name)
    stack.callback(_do, "ip", "netns", "del", name)
    _do("ip", "link", "add", inner, "type", "veth", "peer", "name", "eth0", "netns", name)
    stack.callback(_do, "ip", "link", "del", inner)  # sockets may keep the namespace for a while
    _do("ip", "link", "set", inner, "master", BRIDGE, "up")
    _do("ip", "-n", name, "addr", "add", f"{address(number)}/24", "dev", "eth0")
    _do("ip", "-n", name, "link", "set", "eth0", "up")
    _do("ip", "-n", name, "route", "add", "default", "via", f"{NETWORK}.1")
    spaces = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child"]
    init = ["sh", str(INIT), name, f"{key}.pub", str(find("sshd")), *map(str, shared)]
    log = (folder / f"{name}.log").open("w")
    process = subprocess.Popen(
        ["ip", "netns", "exec", name, "unshare", *spaces, *init],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    stack.callback(_end, process)


def _end(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1)  # what was inside goes with it


def _reachable(number: int, key: Path, folder: Path) -> None:
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "ConnectTimeout=10", "-i", str(key)]
    for _ in range(30):
        there = ["ssh", *options, f"root@{address(number)}", "true"]
        if subprocess.run(there, capture_output=True).returncode == 0:
            return
        time.sleep(1)
    raise RuntimeError((folder / f"chh{number}.log").read_text())


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def software() -> list[Path]:
    """What a host needs to run this Python: the interpreter and the packages installed for it."""
    packages = [Path(path) for path in sys.path if path.endswith("site-packages")]
    wanted = {path.resolve() for path in (Path(sys.base_prefix), Path(sys.prefix), *packages)}
    return sorted(path for path in wanted if not wanted & set(path.parents))
