"""Defaults of the Ray that a command starts or joins."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Session:
    """Settings of the Ray runtime."""

    store_bytes: int = 200 << 20
    """Bytes of a local session's object store; boosters and compiled kernels are small."""
    answer_seconds: float = 10.0
    """Most seconds for a local session's control store to answer a question."""
    lost_seconds: float = 60.0
    """Seconds after the end of a local session's server in which the command has to end the others.

    Who has not by then waits inside Ray's library, where it hears nothing, and is killed.
    """
    knock_seconds: float = 5.0
    """Most seconds for a cluster's address to accept a connection."""
    check_seconds: float = 60.0
    """Most seconds for every node to say which versions it has."""
