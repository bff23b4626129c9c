"""What is sent piece by piece: uploaded files and tables, read by worker threads."""

from __future__ import annotations

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response as StarletteResponse
from starlette.responses import StreamingResponse

from bylaw.adapters import asgi
from bylaw.operations.exporting import Export
from bylaw.operations.files import Files, Sending


class SentFiles(Files):
    """`bylaw.files`: uploaded files, in FastAPI's words."""

    def send(self, file_id: str, subject: str) -> StarletteResponse:
        """The response of a route that gives a file out: see `download`."""
        return Sent(self.download(file_id, subject))

    def send_thumbnail(self, file_id: str, subject: str) -> StarletteResponse:
        """The response of a route that shows a small picture of an image: see `thumbnail`."""
        return Sent(self.thumbnail(file_id, subject))


class Sent(StreamingResponse):
    """A file's bytes, read by worker threads; whatever becomes of the request, the file is let go of."""

    def __init__(self, sending: Sending) -> None:
        super().__init__(sending.pieces, sending.status)
        self.raw_headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in sending.headers]
        self._pieces = sending.pieces

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()


class Exported(StreamingResponse):
    """A table, made by worker threads; that it broke off is recorded by one as well."""

    def __init__(self, made: Export) -> None:
        super().__init__(made, made.status)
        self.raw_headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in made.headers]
        self._made = made

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._made.close)
