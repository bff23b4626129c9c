"""Bodies and heads that no data file can say: ten thousand headers, and pieces without an end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import pytest

from bylaw.verify.laboratory import Bench
from tests.applications.stacks import TARGETS


@pytest.mark.parametrize("stack", sorted(TARGETS))
def test_a200_ten_thousand_headers(stacks: dict[str, Bench], stack: str) -> None:
    """Ten thousand headers of one name, or of as many: refused at once, whatever a server makes of them."""
    with stacks[stack].laboratory() as laboratory:
        visitor = laboratory.visitor()
        for headers in (
            [("X-Many", "many")] * 10_000,
            [("Cookie", "a=b; c=d")] * 10_000,
            [(f"X-Many-{number}", "") for number in range(10_000)],
        ):
            began = process_time()
            reply = visitor.get("/", headers=headers)
            assert (reply.status, reply.code) == (431, "body.headers_too_large")
            assert process_time() - began < 1


def handles() -> int:
    """The files without a name that this process has open: what a form's files are kept in meanwhile."""
    gc.collect()
    return sum("(deleted)" in _target(link) for link in Path("/proc/self/fd").iterdir())


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


@pytest.mark.requirement("S1-094", "C-03")
@pytest.mark.parametrize("stack", ["flask", "fastapi"])
def test_a196_pieces_without_an_end(stacks: dict[str, Bench], stack: str) -> None:
    """A body that never says how long it will be is cut off at the limit, and not gathered."""
    piece = b"a" * 100_000
    with stacks[stack].laboratory() as laboratory:
        client = laboratory.client("editor")
        before = handles()
        begin = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
        for kind, first in (
            ("application/json", b'{"text": "'),
            ("application/x-www-form-urlencoded", b"text="),
            ("multipart/form-data; boundary=b", begin),
        ):
            reply = client.act(
                "POST", "/form", chunks=(first, *[piece] * 50), headers=[("Content-Type", kind)]
            )
            assert (reply.status, reply.code) == (413, "body.too_large"), kind
        assert handles() <= before


@pytest.mark.requirement("S1-094")
@pytest.mark.parametrize("stack", ["flask", "fastapi"])
def test_a194_parts_reach_no_view(stacks: dict[str, Bench], stack: str) -> None:
    """Ten thousand fields or files to views that read forms: refused at the first that is too many."""
    begin = b'--b\r\nContent-Disposition: form-data; name="file"'

    def pieces(named: bytes) -> Iterator[bytes]:
        body = (begin + named + b"\r\n\r\n\r\n") * 10_000 + b"--b--\r\n"
        for at in range(0, len(body), 64 * 1024):
            yield body[at : at + 64 * 1024]

    with stacks[stack].laboratory() as laboratory:
        client = laboratory.client("manager")
        before = handles()
        kind = [("Content-Type", "multipart/form-data; boundary=b")]
        for path, named, expected in (
            ("/form", b"", (413, "body.too_many_parts")),
            ("/form", b'; filename="f"', (415, "uploads.not_here")),
            ("/api/attachments", b'; filename="f"', (413, "uploads.too_many")),
            ("/api/attachments", b'; filename=""', (413, "body.too_many_parts")),
        ):
            for how in ({"chunks": tuple(pieces(named))}, {"body": b"".join(pieces(named))}):
                began = process_time()
                reply = client.act("POST", path, headers=kind, **how)
                assert (reply.status, reply.code) == expected
                assert process_time() - began < 1
        assert handles() <= before
