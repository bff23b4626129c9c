"""Files through Flask and FastAPI: sent whole and in part, off the event loop, and let go of in every
case."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from bylaw.errors import PolicyError
from bylaw.fastapi.sending import Sent
from bylaw.flask.files import RequestFiles
from bylaw.operations.files import Sending, reading
from bylaw.operations.files.keeping import storage_of
from bylaw.storage import Opened
from bylaw.storage.local import Directory
from bylaw.verify.client import Client
from bylaw.verify.laboratory import Bench, Laboratory
from tests.attacks.specimens import BOUNDARY
from tests.content import making

PATH = "/api/attachments"
CONTENT = b"number,quantity\r\n" + b"L-4711,12345\r\n" * 60_000


@pytest.fixture(scope="module", params=["flask", "fastapi"])
def lab(request: pytest.FixtureRequest, benches: dict[str, Bench]) -> Iterator[Laboratory]:
    with benches[request.param].laboratory() as made:
        yield made


@pytest.fixture(scope="module")
def ann(lab: Laboratory) -> Client:
    return lab.client("editor")


def sent(client: Client, name: str, content: bytes, kind: str) -> dict[str, Any]:
    """Upload a file; what the application says of it."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    body = (
        head.encode()
        + f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )
    form = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    reply = client.act("POST", PATH, headers=[form], body=body)
    assert reply.status == 201, reply.text
    found: dict[str, Any] = reply.json()["files"][0]
    return found


@pytest.fixture(scope="module")
def file(ann: Client) -> dict[str, Any]:
    return sent(ann, "Lose für März.csv", CONTENT, "text/csv")


@pytest.mark.requirement("S2-077", "S2-078")
def test_a_file_comes_back_as_it_was_sent(lab: Laboratory, ann: Client, file: dict[str, Any]) -> None:
    """Uploaded, listed, downloaded: the same bytes, with a length, a type and a name, as an attachment in a
    sandbox; whoever may not read notes gets none of it."""
    assert file["id"] in [each["id"] for each in ann.get(PATH).json()["files"]]
    reply = ann.get(f"{PATH}/{file['id']}")
    assert (reply.status, reply.body) == (200, CONTENT)
    assert reply.all("content-length") == [str(len(CONTENT))]
    assert reply.all("content-type") == ["text/csv"]
    assert reply.all("content-disposition") == [
        "attachment; filename=\"Lose fur Marz.csv\"; filename*=UTF-8''Lose%20f%C3%BCr%20M%C3%A4rz.csv"
    ]
    assert "sandbox; default-src 'none'" in reply.all("content-security-policy")
    assert reply.all("x-content-type-options") == ["nosniff"]
    assert reply.all("cache-control") == ["no-store"]  # the policy's own word, for somebody who is signed in
    assert lab.visitor().get(f"{PATH}/{file['id']}").status == 401


def test_a_part_and_a_condition(ann: Client, file: dict[str, Any]) -> None:
    """A download that broke off goes on where it was; what somebody has already is not sent again."""
    path = f"{PATH}/{file['id']}"
    part = ann.get(path, headers=[("Range", "bytes=300000-")])
    assert (part.status, part.body) == (206, CONTENT[300_000:])
    assert part.header("content-range") == f"bytes 300000-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert ann.get(path, headers=[("Range", "bytes=99999999-")]).status == 416
    again = ann.get(path, headers=[("If-None-Match", part.header("etag"))])
    assert (again.status, again.body) == (304, b"")
    assert "content-type" not in dict(again.headers)
    assert "content-disposition" not in dict(again.headers)


def test_an_unknown_file_is_a_clear_404(lab: Laboratory, ann: Client) -> None:
    """Ids that nobody has, paths and marks: 404 with its reason, never a 500."""
    for wrong in ("a" * 22, "..%2f..%2fetc%2fpasswd", "%00", "%ed%a0%80", "A" * 5000, "a" * 22 + "%0a"):
        reply = ann.get(f"{PATH}/{wrong}")
        assert reply.status in (400, 404), wrong
    assert ann.get(f"{PATH}/{'a' * 22}").code == "uploads.unknown"


def test_nothing_of_it_is_read_on_the_event_loop(
    lab: Laboratory, ann: Client, file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk must not keep everybody else waiting: each piece is read by a worker thread."""
    threads: set[str] = set()
    once = reading.Pieces.__next__

    def watched(self: reading.Pieces) -> bytes:
        threads.add(threading.current_thread().name)
        return once(self)

    monkeypatch.setattr(reading.Pieces, "__next__", watched)
    assert ann.get(f"{PATH}/{file['id']}").body == CONTENT
    loop = getattr(getattr(lab.transport, "_thread", None), "name", "there is none")
    assert threads
    assert loop not in threads


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_was_changed_is_a_500_in_our_words(lab: Laboratory, ann: Client) -> None:
    """A file that somebody changed on disk: an answer that says so, and nothing of the file."""
    file = sent(ann, "a.png", making.png(), "image/png")
    (place,) = Path(lab.files).rglob(file["id"])
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    reply = ann.get(f"{PATH}/{file['id']}")
    assert (reply.status, reply.code) == (500, "uploads.damaged")
    assert file["id"] in lab.logs.text


def test_every_file_is_let_go_of(lab: Laboratory, ann: Client, file: dict[str, Any]) -> None:
    """Whole, in part, not at all: no answer leaves a file open."""
    for field in ((), ("Range", "bytes=0-5"), ("Range", "bytes=99999999-"), ("If-None-Match", "*")):
        ann.get(f"{PATH}/{file['id']}", headers=[field] if field else [])
    names = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [name for name in names if file["id"] in name]


@pytest.mark.requirement("S1-096", "S2-076")
def test_files_are_not_kept_where_they_would_be_served(lab: Laboratory) -> None:
    """Storage inside the application's package or its static files would serve, or run, what people
    upload."""
    house = lab.site.house
    assert house.roots
    storage: Any = storage_of(house)
    assert isinstance(storage, Directory)
    for root in house.roots:
        assert not storage.path.is_relative_to(root.resolve())


def test_such_a_start_is_refused(lab: Laboratory, tmp_path: Path) -> None:
    """A storage below a root, around one, or behind a link to one: the start says which, and what to
    write."""
    static = tmp_path / "app" / "static"
    static.mkdir(parents=True)
    (tmp_path / "link").symlink_to(static)
    house = lab.site.house
    before, ports, roots = lab.site._routed, house.ports, set(house.roots)

    try:
        house.roots.add(static)
        for place in (static / "uploads", static, tmp_path / "app", tmp_path / "link" / "x"):
            lab.site._routed, house.ports = False, replace(ports, files=str(place))
            with pytest.raises(PolicyError, match=r"is in static/, which is served or run"):
                lab.site.routed()
    finally:
        lab.site._routed, house.ports = before, ports
        house.roots.clear()
        house.roots.update(roots)


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_a_client_that_goes_away_leaves_no_file_open(version: str) -> None:
    """Somebody closes the window in the middle of a download, ten thousand times: no file stays open,
    whichever way the server says that he is gone."""
    stream = io.BytesIO(CONTENT)
    given = reading.Pieces(Opened(stream, len(CONTENT), ""), len(CONTENT))
    sending = Sending(200, [("Content-Type", "text/csv")], given)
    pieces = 0

    async def send(message: Any) -> None:
        nonlocal pieces
        pieces += message["type"] == "http.response.body"
        if pieces:
            raise OSError("gone") if version == "2.4" else asyncio.CancelledError

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "asgi": {"spec_version": version}, "headers": []}
    with contextlib.suppress(ClientDisconnect, asyncio.CancelledError, OSError):
        asyncio.run(Sent(sending)(scope, receive, send))
    assert stream.closed


def test_in_flask_neither() -> None:
    """The server closes what it was given, after one piece or none."""
    for taken in (0, 1):
        stream = io.BytesIO(CONTENT)
        pieces = reading.Pieces(Opened(stream, len(CONTENT), ""), len(CONTENT))
        response = RequestFiles._sent(Sending(200, [("Content-Type", "text/csv")], pieces))
        body = response({"REQUEST_METHOD": "GET"}, lambda *a: None)  # type: ignore
        for _ in range(taken):
            next(iter(body))
        body.close()  # type: ignore
        assert stream.closed
