"""Uploaded files in Flask's words: what a request brings, and what is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response as FlaskResponse
from flask import request

from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.operations.files import Files, Given, Sending
from bylaw.routes import Taking


class Closing:
    """A request that closes the files which a form's parser had begun when it was kept from reading on:
    Werkzeug leaves them to the collector, with a descriptor each."""

    def _get_file_stream(self, *args: Any, **named: Any) -> Any:
        stream = super()._get_file_stream(*args, **named)  # type: ignore[misc]
        vars(self).setdefault("_begun", []).append(stream)
        return stream

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        for stream in vars(self).pop("_begun", ()):
            stream.close()


class RequestFiles(Files):
    """`bylaw.files`: uploaded files, in Flask's words."""

    def __init__(self, house: House, takings: Callable[[str | None], list[Taking]]) -> None:
        super().__init__(house)
        self._takings = takings

    def given(self, field: str) -> list[Given]:
        """The files that the current request brings in a field, none where none was chosen: each for
        `take`. Raises MisuseError where the view has not declared the field (`@takes`)."""
        declared = [each for each in self._takings(request.endpoint) if field in each.fields]
        if not declared:
            raise MisuseError(f'the view takes no file in {field!r}: declare it with @takes("{field}")')
        return [
            Given(file.filename, file.content_type or "", file.stream, declared[0].kinds)  # type: ignore[arg-type]
            for file in request.files.getlist(field)
            if file.filename
        ]

    def send(self, file_id: str, subject: str) -> FlaskResponse:
        """The response of a view that gives a file out: see `download`."""
        return self._sent(self.download(file_id, subject))

    def send_thumbnail(self, file_id: str, subject: str) -> FlaskResponse:
        """The response of a view that shows a small picture of an image: see `thumbnail`."""
        return self._sent(self.thumbnail(file_id, subject))

    @staticmethod
    def _sent(sending: Sending) -> FlaskResponse:
        response = FlaskResponse(sending.pieces, sending.status, sending.headers, direct_passthrough=True)
        if "Content-Type" not in dict(sending.headers):  # Flask would call nothing a page
            del response.headers["Content-Type"]
        return response
