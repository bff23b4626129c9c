"""A real server around a laboratory's application: for what no call in process can show.

What a parser of HTTP makes of odd bytes, what really leaves by the socket, and whether a request
waits for another, is only seen there. WSGI is served by threads of the standard library, ASGI by
uvicorn; both on the loopback address and on a port of the system's choice. What comes may be taken for
https, as a server says that ends TLS itself.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer, make_server

HOST = "127.0.0.1"
PATIENCE = 30
"""Seconds without a byte after which the server counts as hanging."""


@dataclass(frozen=True, slots=True)
class Live:
    """Where the server listens."""

    host: str
    port: int

    def raw(self, data: bytes, *, patience: float = PATIENCE, shut: bool = False) -> bytes:
        """Send these bytes and return all that comes back until the server closes.

        `shut` closes the sending side first, as a client does that has nothing more to say. Raises
        TimeoutError when nothing comes for `patience` seconds.
        """
        with socket.create_connection((self.host, self.port), timeout=patience) as connection:
            received = b""
            try:
                connection.sendall(data)
                if shut:
                    connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    received += piece
            except (ConnectionResetError, BrokenPipeError):
                pass  # the server has said what it had to say, and closed
            return received

    def request(self, *lines: str, body: bytes = b"", **how: Any) -> bytes:
        """Send these lines as a request that asks for the connection to be closed after it."""
        head = "\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1")
        return self.raw(head + body, **how)


@contextmanager
def wsgi(application: Callable[..., Any], scheme: str = "http") -> Iterator[Live]:
    """`application` in a server of the standard library, a thread for each request."""

    def encrypted(environ: dict[str, Any], start_response: Any) -> Any:
        return application({**environ, "wsgi.url_scheme": scheme}, start_response)

    server = make_server(HOST, 0, encrypted, _Threads, _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Live(HOST, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        # Without the look-up of this machine's name that the standard library makes here.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to print a traceback for."""


class _Answering(ServerHandler):
    server_software = ""  # names no software (ASVS 13.4.6)


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
            return
        if not self.parse_request():
            return
        server: Any = self.server
        handler: Any = _Answering  # its base's annotations lack what its base class takes
        answering = handler(self.rfile, self.wfile, self.get_stderr(), self.get_environ(), multithread=True)
        answering.request_handler = self
        answering.run(server.get_app())

    def version_string(self) -> str:
        return ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Silent: the laboratory looks at the application's own log."""


@contextmanager
def asgi(application: Callable[..., Any], scheme: str = "http") -> Iterator[Live]:
    """`application` in uvicorn, on an event loop in a thread."""
    import uvicorn

    async def encrypted(scope: Any, receive: Any, send: Any) -> None:
        secure = scheme == "https"
        kinds = {"http": scheme, "websocket": "wss" if secure else "ws"}
        said = {"scheme": kinds[scope["type"]]} if scope["type"] in kinds else {}
        await application({**scope, **said}, receive, send)

    access = logging.getLogger("uvicorn.access")
    before = access.handlers, access.propagate
    config = uvicorn.Config(
        encrypted,
        host=HOST,
        port=0,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whom to believe is the policy's to say (see controls.proxies)
        timeout_graceful_shutdown=1,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    listening = socket.create_server((HOST, 0), backlog=128)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield Live(HOST, listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listening.close()
        # Silenced by `access_log`, for the whole process: the next laboratory may look at it.
        access.handlers, access.propagate = before
