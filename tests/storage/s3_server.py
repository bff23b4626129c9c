"""A real S3 server over HTTP (moto's), in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection

BUCKET = "bylaw-tests"
_SERVE = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


@contextmanager
def server() -> Iterator[str]:
    """The address of a server with an empty bucket; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        _make_bucket(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout and process.stdout.close()


def _make_bucket(port: int) -> None:
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as asked:
        asked.request("PUT", f"/{BUCKET}", headers={"Host": "s3.amazonaws.com", **_SIGNED})
        answer = asked.getresponse()
        answer.read()
        assert answer.status == 200, answer.status


_SIGNED = {
    # moto reads from it which service is meant; it checks no signature.
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}


def free_port() -> int:
    """A port at which nobody answers."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
