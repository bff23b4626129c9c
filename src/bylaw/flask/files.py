"""Uploaded files in Flask's words: what a request brings, and what is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Response as FlaskResponse
from flask import request
from werkzeug.datastructures import FileStorage, ImmutableMultiDict

from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.operations.files import Files, Given, Sending
from bylaw.routes import Taking


class Unjudged(ImmutableMultiDict[str, FileStorage]):
    """What a view sees of the files of a request: none. Nobody has looked into them yet, and whoever asks for
    one by its field learns how.
    """

    def __init__(self, fields: Iterable[str]) -> None:
        super().__init__()
        self._fields = frozenset(fields)

    def __getitem__(self, key: str) -> Any:
        self._demand_none(key)
        return super().__getitem__(key)

    def getlist(self, key: str, *args: Any, **named: Any) -> list[Any]:
        self._demand_none(key)
        return super().getlist(key, *args, **named)

    def _demand_none(self, key: str) -> None:
        if key in self._fields:
            raise MisuseError(f"nobody has looked into the file: bylaw.files.given({key!r}), then take")


class Closing:
    """A request that closes the files which a form's parser had begun when it was kept from reading on:
    Werkzeug leaves them to the collector, with a descriptor each."""

    def _get_file_stream(self, *args: Any, **named: Any) -> Any:
        stream = super()._get_file_stream(*args, **named)  # type: ignore[misc]
        vars(self).setdefault("_begun", []).append(stream)
        return stream

    def brought(self) -> ImmutableMultiDict[str, FileStorage]:
        """Its files as they came: for `given`."""
        self._load_form_data()  # type: ignore[attr-defined]
        return vars(self)["files"]  # type: ignore[no-any-return]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        for stream in vars(self).pop("_begun", ()):
            stream.close()


class Keeping(Closing):
    """One that keeps its files from its view."""

    @property
    def files(self) -> ImmutableMultiDict[str, FileStorage]:
        return Unjudged(self.brought())


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
            for file in self._brought().getlist(field)
            if file.filename
        ]

    @staticmethod
    def _brought() -> ImmutableMultiDict[str, FileStorage]:
        return request.brought() if isinstance(request, Closing) else request.files

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
