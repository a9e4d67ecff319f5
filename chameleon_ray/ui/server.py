"""A web server on loopback that only reads, for the user who started it.

Whoever knows the address that is printed may read; it has a secret, as other users of the machine
reach the port, too. A page of somebody else that has a name of its own lead here is refused by the
Host header, so that no browser carries anything out.
"""

import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from chameleon_ray.errors import UserError

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
"""Names of this machine that a request may be for."""
OWN = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Policy of our own pages: scripts from here only, and nothing from elsewhere."""
FOREIGN = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Policy of what a run left, which anybody may have written: it reads nothing, from nowhere."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LONGEST = 4096
"""Most characters of an address."""
PATIENCE = 10
"""Seconds after which a silent reader is let go."""


@dataclass(frozen=True)
class Answer:
    """What a request gets.

    Attributes:
        body: The content.
        kind: Its type.
        status: How it went.
        policy: What a browser lets the content do.
        headers: Further headers.
    """

    body: bytes
    kind: str = "text/html; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    policy: str = OWN
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: HTTPStatus, sentence: str, **headers: str) -> Answer:
    """Makes an answer that says why there is no other."""
    return Answer(f"{sentence}\n".encode(), "text/plain; charset=utf-8", status, headers=headers)


Answering = Callable[[str, str], Answer]
"""Answers a request for a path, after the secret, and a query."""


class LocalServer(ThreadingHTTPServer):
    """Serves on loopback until it is shut down."""

    daemon_threads = True

    def __init__(self, port: int, answering: Answering, token: str | None = None) -> None:
        """Listens at a port, or at any free one where it is taken or 0.

        Raises:
            UserError: This machine lets nobody listen.
        """
        self.answering, self.token = answering, token or secrets.token_urlsafe(16)
        try:
            super().__init__((LOOPBACK, port), Handler)
        except (OSError, OverflowError):
            try:
                super().__init__((LOOPBACK, 0), Handler)
            except OSError as error:
                raise UserError(f"Nothing can listen on {LOOPBACK}: {error.strerror}.") from error

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    def server_bind(self) -> None:
        """Binds the port, and asks no name server what this machine is called."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = LOOPBACK, self.socket.getsockname()[1]

    def handle_error(self, *_: object) -> None:
        """Lets a reader go that has left; what is wrong with an answer is told to its reader."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: LocalServer
    server_version, sys_version = "chameleon", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        self._send(self._answer())

    do_HEAD = do_GET  # noqa: N815

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Refuses all other methods, whatever they are called."""
        if not name.startswith("do_"):
            raise AttributeError(name)
        status = HTTPStatus.METHOD_NOT_ALLOWED
        return lambda: self._send(
            refusal(status, "Nothing can be changed here.", Allow="GET, HEAD")
        )

    def version_string(self) -> str:
        return self.server_version

    def log_message(self, *_: object) -> None:
        """Says nothing: what was asked for is in the browser."""

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _answer(self) -> Answer:
        hosts = [host.lower() for host in self.headers.get_all("Host") or []]
        if hosts not in [[f"{name}:{self.server.server_port}"] for name in NAMES]:
            told = f"This is served at {LOOPBACK} only, and not to other names of it."
            return refusal(HTTPStatus.MISDIRECTED_REQUEST, told)
        if len(self.path) > LONGEST:
            return refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long.")
        try:
            parts = urlsplit(self.path)
        except ValueError:
            return refusal(HTTPStatus.BAD_REQUEST, "That is no address.")
        token, slash, path = parts.path.removeprefix("/").partition("/")
        known = secrets.compare_digest(token.encode(), self.server.token.encode())
        if not (known and slash):
            told = "Open the address that chameleon ui has printed; it ends with a secret."
            return refusal(HTTPStatus.FORBIDDEN, told)
        try:
            return self.server.answering(path, parts.query)
        except UserError as error:
            return refusal(HTTPStatus.CONFLICT, str(error))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Content-Security-Policy", answer.policy)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
