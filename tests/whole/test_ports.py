"""What listens while commands run, on which addresses."""

import ipaddress
import os
import signal
from pathlib import Path

import psutil

from tests.whole.command import Command, until
from tests.whole.test_faults import RANDOM, reaches


def listening(*commands: Command) -> dict[tuple[str, int], str]:
    """Returns the command lines of the processes of commands that listen, by address and port."""
    found = {}
    for command in commands:
        for pid, line in command.processes().items():
            try:
                ports = psutil.Process(pid).net_connections("inet")
            except psutil.NoSuchProcess:
                continue
            for one in ports:
                if one.status == psutil.CONN_LISTEN:
                    found[one.laddr.ip, one.laddr.port] = line
    return found


def on_loopback(address: str) -> bool:
    known = ipaddress.ip_address(address)
    mapped = getattr(known, "ipv4_mapped", None)
    return (mapped or known).is_loopback


def test_everything_listens_on_loopback_only(dense: str, tmp_path: Path) -> None:
    page = Command("ui", str(tmp_path), "--port", "0")
    run = Command("tune", dense, *RANDOM, "--out", str(tmp_path / "run"))
    try:
        reaches(run, tmp_path / "run", 4)
        assert until(lambda: listening(page), 60), page.wait()
        found = listening(page, run)
        assert any("gcs_server" in line for line in found.values()), found
        assert any("raylet" in line for line in found.values()), found
        assert {one: line for one, line in found.items() if not on_loopback(one[0])} == {}
    finally:
        for command in (page, run):
            os.kill(command.process.pid, signal.SIGINT)
            command.wait()
    assert page.orphans() == run.orphans() == {}
    assert until(lambda: not listening(page, run), 5)
