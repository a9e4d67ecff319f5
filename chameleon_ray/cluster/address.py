"""Finds the address, as ``host:port``, of the Ray that a user means."""

import os
import socket

from ray._private import ray_constants, services

from chameleon_ray.errors import UserError


class AddressError(UserError):
    """No Ray can be found at an address, or several are; the message says what to do."""


def resolve(address: str, seconds: float) -> str:
    """Finds the address of a Ray that answers.

    Args:
        address: ``host:port``, or ``auto`` for the one Ray that runs on this machine.
        seconds: Seconds that it has to accept a connection; Ray itself would take minutes.

    Raises:
        AddressError: Nothing listens there, or ``auto`` means none or several.
    """
    if address == "auto":
        address = os.environ.get(ray_constants.RAY_ADDRESS_ENVIRONMENT_VARIABLE) or _only()
    host, port = _parts(address)
    if host and not _open(host, port, seconds):
        raise AddressError(f"no Ray at {address}; is the address right?")
    return address


def on_loopback(address: str, seconds: float) -> bool:
    """Whether the Ray at an address can be reached by the loopback interface only.

    Given ``127.0.0.1``, Ray uses the machine's address in the network instead, where such a Ray
    does not listen.
    """
    host, port = _parts(address)
    if host not in ("127.0.0.1", "localhost", "::1"):
        return False
    return not _open(services.get_node_ip_address(), port, seconds)


def _only() -> str:
    """Finds the address of the only Ray on this machine; of several, some may be other people's.

    Raises:
        AddressError: There is none, or there are several.
    """
    found = sorted(services.find_gcs_addresses())
    if len(found) == 1:
        return str(found[0])
    several = f"{len(found)} Rays run on this machine ({', '.join(found)})"
    raise AddressError(f"{several if found else 'no Ray runs on this machine'}; give --address")


def _parts(address: str) -> tuple[str, int]:
    """Splits an address into host and port; both are empty where its form is left to Ray."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else ("", 0)


def _open(host: str, port: int, seconds: float) -> bool:
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except (OSError, ValueError):  # a ValueError where no host can have that name
        return False
    return True
