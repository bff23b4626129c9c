"""Uploads that no data file can say: without an end, cut off, in odd bytes; and what a real server does."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from bylaw.verify.client import Client
from bylaw.verify.laboratory import Bench, Laboratory
from tests.applications.stacks import BY_PATH, FRAMEWORKS
from tests.attacks.specimens import BOUNDARY, form, specimen

PATH = "/api/attachments"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
MB = 1024 * 1024
BEGIN = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'.encode()


@pytest.fixture(scope="module", params=FRAMEWORKS)
def lab(request: pytest.FixtureRequest, stacks: dict[str, Bench]) -> Iterator[Laboratory]:
    """The notes application, for what leaves nothing behind."""
    with stacks[request.param].laboratory() as made:
        yield made


def stored(laboratory: Laboratory) -> list[str]:
    """Everything in the laboratory's storage, half-written or whole."""
    return sorted(path.name for path in Path(laboratory.files).rglob("*") if path.is_file())


def handles() -> int:
    """The files without a name that this process has open: what a form's files are kept in meanwhile."""
    gc.collect()
    return sum("(deleted)" in _target(link) for link in Path("/proc/self/fd").iterdir())


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def send(client: Client, name: str, data: bytes, kind: str = "", **how: Any) -> Any:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="'.encode()
    said = head + name.encode("utf-8", "surrogatepass") + b'"\r\n'
    typed = f"Content-Type: {kind}\r\n".encode() if kind else b""
    body = said + typed + b"\r\n" + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    return client.act("POST", PATH, headers=[("Content-Type", KIND)], body=body, **how)


@pytest.mark.requirement("S1-094", "S2-076", "C-29")
def test_a159_a_file_without_an_end(lab: Laboratory) -> None:
    """Eleven megabytes in pieces and no length: cut off at ten, nothing is kept, no handle left."""
    client = lab.client("editor")
    before, held = stored(lab), handles()
    pieces = (BEGIN, *[b"a,b\r\n" * 20_000] * 110)
    reply = client.act("POST", PATH, headers=[("Content-Type", KIND)], chunks=pieces)
    assert (reply.status, reply.code) == (413, "uploads.too_large")
    assert reply.json()["detail"] == "At most 10 MB are taken of one file."
    assert stored(lab) == before
    assert handles() <= held


@pytest.mark.requirement("S1-094")
@pytest.mark.parametrize(
    ("length", "status"), [("10", 400), ("-1", 400), ("+5", 400), ("99999999999", 413), ("0x10", 400)]
)
def test_a159_a_length_that_is_a_lie(lab: Laboratory, length: str, status: int) -> None:
    """Too small, negative, or in another spelling: refused, and nothing of it kept."""
    client = lab.client("editor")
    before = stored(lab)
    kind, body = form([{"holds": "png", "name": "x.png"}])
    reply = client.act("POST", PATH, headers=[("Content-Type", kind), ("Content-Length", length)], body=body)
    assert reply.status == status
    assert stored(lab) == before


@pytest.mark.requirement("S1-094")
def test_a159_an_upload_that_breaks_off(lab: Laboratory) -> None:
    """The connection ends in the middle of a file: nothing of it is there."""
    client = lab.client("editor")
    before, held = stored(lab), handles()
    body = BEGIN + b"a,b\r\n" * 300_000
    announced = [("Content-Type", KIND), ("Content-Length", str(len(body) + 1000))]
    reply = client.act("POST", PATH, headers=announced, body=body)
    assert reply.status == 400
    assert stored(lab) == before
    assert handles() <= held


@pytest.mark.requirement("S1-094", "S1-096")
def test_a150_a_large_file_under_a_bad_name(lab: Laboratory) -> None:
    """Past the size at which a framework spools to disk, a name still names no path."""
    client = lab.client("editor")
    marker = Path("/tmp/bylaw-a150.csv")  # noqa: S108 - what must not come into being
    reply = send(client, "../../../../../../tmp/bylaw-a150.csv", b"a,b\r\n1,2\r\n" * 200_000, "text/csv")
    assert reply.status == 201
    assert reply.json()["files"][0]["name"] == "bylaw-a150.csv"
    assert not marker.exists()


@pytest.mark.requirement("S1-096")
def test_a152_names_that_are_no_text(lab: Laboratory) -> None:
    """Bytes that are no UTF-8, half a surrogate, every control: a clear answer, and never a 500."""
    client = lab.client("editor")
    picture = specimen("png")
    for name in (
        "\ud800.png",
        "\udcff.png",
        *(f"a{chr(code)}b.png" for code in (*range(1, 32), 127, 133, 0xFFFE)),
    ):
        if name in ("a\nb.png", "a\rb.png"):
            continue
        reply = send(client, name, picture, "image/png")
        assert reply.status in (201, 400, 415, 422), (ascii(name), reply)
        if reply.status == 201:
            shown = reply.json()["files"][0]["name"]
            assert shown.isprintable()
            assert shown.endswith(".png")


@pytest.mark.requirement("S2-074", "S1-091")
def test_files_that_nobody_wanted(lab: Laboratory) -> None:
    """Fifty thousand files to the sign-in page and to a route that takes some: refused within a second."""
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n\r\n'.encode()
    client, held = lab.client("editor"), handles()
    for path in (lab.url("sign_in"), lab.api("sign_in"), PATH):
        began = process_time()
        reply = client.act("POST", path, headers=[("Content-Type", KIND)], body=part * 50_000)
        assert reply.status in (413, 415), reply
        assert process_time() - began < 1
    assert handles() <= held


@pytest.mark.requirement("S1-091", "S1-092")
def test_what_is_taken_is_given_back(lab: Laboratory) -> None:
    """From the form through the gate into storage, and out again as an attachment: byte by byte the same."""
    client = lab.client("editor")
    for name, kind in (
        ("drawing.png", "image/png"),
        ("certificate.pdf", "application/pdf"),
        ("parts.csv", "text/csv"),
    ):
        data = specimen(name.rpartition(".")[2])
        taken = send(client, name, data, kind)
        assert taken.status == 201, taken.text
        found = taken.json()["files"][0]
        assert (found["name"], found["size"], found["state"]) == (name, len(data), "clean")
        reply = lab.client("user").get(f"{PATH}/{found['id']}")
        assert (reply.status, reply.body) == (200, data)
        assert reply.header("content-disposition").startswith("attachment")
        assert reply.header("x-content-type-options") == "nosniff"
        assert "sandbox" in reply.header("content-security-policy")
        assert reply.header("content-type").partition(";")[0] == kind
        assert lab.visitor().get(f"{PATH}/{found['id']}").status == 401


@pytest.mark.requirement("S1-094")
@pytest.mark.parametrize("stack", FRAMEWORKS)
def test_a159_a_real_server_does_not_read_on(stacks: dict[str, Bench], stack: str) -> None:
    """Ten gigabytes are announced and begun: the answer is there at once, and the connection is closed."""
    with stacks[stack].laboratory() as laboratory:
        client = laboratory.client("editor")
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: app.lab\r\nOrigin: https://app.lab\r\n"
            f"X-CSRF-Token: {client.token()}\r\n"
            f"Cookie: {'; '.join(f'{k}={v}' for k, v in client.cookies.items())}\r\nContent-Type: {KIND}\r\n"
        )
        large = BEGIN + b"x" * (12 * MB)
        announced = (
            (f"{head}Content-Length: {10 * 1024 * MB}\r\n\r\n", b"x" * MB, b"body.too_large"),
            (f"{head}Content-Length: {40 * MB}\r\n\r\n", large, b"uploads.too_large"),
        )
        with laboratory.live() as server:
            for start, body, code in announced:
                answer = _patient(server.host, server.port, start.encode() + body)
                assert b" 413 " in answer.partition(b"\r\n")[0], answer[:200]
                assert code in answer
        assert stored(laboratory) == []


def _patient(host: str, port: int, data: bytes) -> bytes:
    """What a client hears that goes on sending until the server closes: bytes that came before that."""
    with socket.create_connection((host, port), timeout=20) as connection:
        received = b""
        with suppress(OSError):  # it has closed: what it said before may still be read
            connection.sendall(data)
        with suppress(OSError):
            while piece := connection.recv(65536):
                received += piece
        return received


@pytest.mark.requirement("S1-091", "S2-074")
def test_any_framework_takes_files_by_path() -> None:
    """Bottle knows nothing of bylaw: `[[uploads.routes]]` says where files come in."""
    bench = Bench(BY_PATH["bottle"])
    try:
        with bench.laboratory() as laboratory:
            client = laboratory.client("editor")
            kind, body = form([{"holds": "png", "name": "x.png"}, {"holds": "pdf", "name": "y.pdf"}])
            typed = [("Content-Type", kind)]
            reply = client.act("POST", PATH, headers=typed, body=body)
            assert (reply.status, len(reply.json()["files"])) == (201, 2)
            assert len(stored(laboratory)) == 2
            for path, code in (
                ("/form", "uploads.not_here"),
                (PATH + "/", "uploads.not_here"),
                (PATH.upper(), "uploads.not_here"),
            ):
                assert client.act("POST", path, headers=typed, body=body).code == code, path
            kind, body = form([{"holds": "html", "name": "x.png"}])
            assert client.act("POST", PATH, headers=typed, body=body).status == 415
            kind, body = form([{"holds": "png", "name": "x.png"}] * 6)
            assert client.act("POST", PATH, headers=typed, body=body).code == "uploads.too_many"
            assert len(stored(laboratory)) == 2
    finally:
        bench.close()
