"""Messages between a process and its children: any picklable value, over a socket."""

import pickle
import socket
import struct
from typing import Any

LENGTH = struct.Struct("<Q")
PIECE = 1 << 20
"""Most bytes that are received at once."""


def send(channel: socket.socket, value: Any) -> None:
    """Sends a value; raises ``OSError`` where the other end is gone or too slow."""
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    channel.sendall(LENGTH.pack(len(body)) + body)


def receive(channel: socket.socket) -> Any:
    """Waits for a value; raises ``EOFError`` where the other end is gone."""
    return pickle.loads(_exactly(channel, LENGTH.unpack(_exactly(channel, LENGTH.size))[0]))


def _exactly(channel: socket.socket, count: int) -> bytes:
    body = bytearray()
    while len(body) < count:
        piece = channel.recv(min(count - len(body), PIECE))
        if not piece:
            raise EOFError
        body += piece
    return bytes(body)
