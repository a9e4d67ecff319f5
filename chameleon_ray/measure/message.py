"""Messages between a process and its children: any picklable value, over a socket.

Each message carries a number and its sender's process id, so that an answer is matched with its
request, and what another process sends is told apart.
"""

import pickle
import socket
import struct
import time
from dataclasses import dataclass
from math import inf
from typing import Any

MAGIC = b"chmln\x00\x01\n"
"""First bytes of each message; anything else is not from this program."""
HEADER = struct.Struct("<8sQqQ")
"""Magic bytes, number, sender's process id, and count of bytes that follow."""
PIECE = 1 << 20
"""Most bytes that are received at once."""


@dataclass(frozen=True)
class Stamp:
    """The number of a message, and the id of the process that sent it."""

    number: int
    sender: int


class NoMessage(OSError):
    """What came over a channel is no message: something else wrote to its descriptor."""


def packed(value: Any) -> bytes:
    """Returns a value as the bytes of a message; raises what pickle raises."""
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def send(channel: socket.socket, body: bytes, stamp: Stamp) -> None:
    """Sends a packed value; raises ``OSError`` where the other end is gone or too slow."""
    channel.sendall(HEADER.pack(MAGIC, stamp.number, stamp.sender, len(body)) + body)


def receive(channel: socket.socket) -> tuple[Stamp, bytes]:
    """Waits for any message, without a limit; see ``answer`` for what it raises."""
    return _next(channel, inf)


def answer(channel: socket.socket, awaited: Stamp, seconds: float) -> bytes:
    """Waits for one message; others are passed over.

    Args:
        channel: The socket.
        awaited: Stamp that the message must have.
        seconds: Most seconds for all of it.

    Raises:
        EOFError: The other end is gone.
        NoMessage: Something came that is no message.
        TimeoutError: It did not come in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        stamp, body = _next(channel, deadline)
        if stamp == awaited:
            return body


def _next(channel: socket.socket, deadline: float) -> tuple[Stamp, bytes]:
    magic, number, sender, count = HEADER.unpack(_exactly(channel, HEADER.size, deadline))
    if magic != MAGIC:
        raise NoMessage("something that is no message came")
    return Stamp(number, sender), _exactly(channel, count, deadline)


def _exactly(channel: socket.socket, count: int, deadline: float) -> bytes:
    body = bytearray()
    while len(body) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(None if left == inf else left)
        piece = channel.recv(min(count - len(body), PIECE))
        if not piece:
            raise EOFError
        body += piece
    return bytes(body)
