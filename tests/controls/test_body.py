"""Request bodies: what is too much, of another kind, or can be read in two ways stops at the gate."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.formparser import FormDataParser

from bylaw.controls import body
from bylaw.controls.body import CONTROL, Settings, media, probes, reasons, streams, strict
from bylaw.controls.uploads import reasons as uploads
from bylaw.exchange import (
    Allow,
    EnvironHeaders,
    Exchange,
    Headers,
    Malformed,
    PairHeaders,
    Refuse,
)
from bylaw.quantities import octets, weighed
from bylaw.reasons import Reason, Refused
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import Builder, decided, exchange

JSON, FORM, MULTIPART = "application/json", media.URLENCODED, "multipart/form-data; boundary=b"
CREATE: dict[str, Callable[..., Any]] = {"flask": flask_app.create_app, "fastapi": fastapi_app.create_app}
NOTES = flask_app.POLICY.read_text("utf-8")
MB = 1024 * 1024


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Callable[..., Laboratory]]:
    """Laboratories of the notes application on another policy."""
    made: list[Laboratory] = []

    def start(text: str, framework: str = "flask") -> Laboratory:
        file = tmp_path / f"{len(made)}.toml"
        file.write_text(text, "utf-8")
        made.append(Laboratory(Target(framework, lambda: CREATE[framework](file))))
        return made[-1]

    yield start
    for laboratory in made:
        laboratory.close()


def code(verdict: object) -> str:
    """The reason of a refusal; empty for what passes."""
    if isinstance(verdict, Refuse):
        return verdict.reason.code.removeprefix("body.")
    assert isinstance(verdict, Allow)
    return ""


def environ_headers(*pairs: tuple[str, str]) -> Headers:
    """The same fields as a WSGI server hands them over."""
    environ: dict[str, Any] = {"wsgi.input": object(), "wsgi.version": (1, 0), "PATH_INFO": "/"}
    for name, value in pairs:
        key = name.upper().replace("-", "_")
        key = key if key.startswith("CONTENT_") and key != "CONTENT_ENCODING" else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return EnvironHeaders(environ)


BOTH = pytest.mark.parametrize(
    "spelt", [PairHeaders, lambda pairs: environ_headers(*pairs)], ids=["asgi", "wsgi"]
)


# From headers alone

CHUNKED = ("Transfer-Encoding", "chunked")
ARRIVALS: list[tuple[str, str, str, str, list[tuple[str, str]], str]] = [
    ("a page", "GET", "/", "", [("Accept", "*/*"), ("Cookie", "a=b")], ""),
    ("a page with a query", "GET", "/", "a=1&b=2", [], ""),
    ("a method of a library", "PROPFIND", "/", "", [], ""),
    ("a method in two words", "VERSION-CONTROL", "/", "", [], ""),
    ("TRACE", "TRACE", "/", "", [], "method"),
    ("TRACK", "TRACK", "/", "", [], "method"),
    ("CONNECT", "CONNECT", "/", "", [], "method"),
    ("a method in small letters", "get", "/", "", [], "method"),
    ("a method of no letters", "", "/", "", [], "method"),
    ("a method with a break", "GET\n", "/", "", [], "method"),
    ("a method of markup", "<SCRIPT>", "/", "", [], "method"),
    ("a long cookie that fits", "GET", "/", "", [("Cookie", "a" * 16_000)], ""),
    ("a longer cookie", "GET", "/", "", [("Cookie", "a" * 16_385)], "headers_too_large"),
    ("two that are long", "GET", "/", "", [("A", "a" * 9000), ("B", "b" * 9000)], "headers_too_large"),
    ("a name that comes often", "GET", "/", "", [("A", "a" * 200)] * 90, "headers_too_large"),
    ("a hundred fields", "GET", "/", "", [(f"A{n}", "") for n in range(100)], ""),
    ("one more", "GET", "/", "", [(f"A{n}", "") for n in range(101)], "headers_too_large"),
    ("a long path", "GET", "/" + "a" * 8192, "", [], "address_too_long"),
    ("a long query", "GET", "/", "a" * 8192, [], "address_too_long"),
    ("many parameters", "GET", "/", "&" * 1000, [], "too_many_fields"),
    ("as many as may be", "GET", "/", "&" * 999, [], ""),
    ("a range", "GET", "/", "", [("Range", "bytes=0-1,5-9")], ""),
    ("many ranges", "GET", "/", "", [("Range", "bytes=0-1" + ",2-3" * 10)], "too_many_ranges"),
    ("a body", "POST", "/", "", [("Content-Length", "1048576")], ""),
    ("a byte more", "POST", "/", "", [("Content-Length", "1048577")], "too_large"),
    ("a body at a path of its own", "POST", "/imports/a", "", [("Content-Length", "10485760")], ""),
    ("a byte more there", "POST", "/imports/a", "", [("Content-Length", "10485761")], "too_large"),
    ("out of that path", "POST", "/imports/../a", "", [("Content-Length", "10485760")], "too_large"),
    ("with a slash too many", "POST", "/imports//a", "", [("Content-Length", "10485760")], "too_large"),
    ("above that path", "POST", "/imports", "", [("Content-Length", "1048577")], "too_large"),
    ("a smaller path below", "POST", "/imports/small", "", [("Content-Length", "1001")], "too_large"),
    ("at a page of bylaw's", "POST", "/auth/login", "", [("Content-Length", "65537")], "too_large"),
    ("a length of nothing", "POST", "/", "", [("Content-Length", "0")], ""),
    ("an empty length", "GET", "/", "", [("Content-Length", "")], ""),
    ("a length with a sign", "POST", "/", "", [("Content-Length", "+5")], "length"),
    ("a negative length", "POST", "/", "", [("Content-Length", "-5")], "length"),
    ("a length in Arabic digits", "POST", "/", "", [("Content-Length", "\u00b2")], "length"),
    ("a length without end", "POST", "/", "", [("Content-Length", "9" * 20)], "length"),
    ("a length of words", "POST", "/", "", [("Content-Length", "five")], "length"),
    ("in pieces", "POST", "/", "", [CHUNKED], ""),
    ("in Pieces", "POST", "/", "", [("Transfer-Encoding", " Chunked ")], ""),
    ("in pieces, with a length", "POST", "/", "", [CHUNKED, ("Content-Length", "0")], "length"),
    ("compressed on the way", "POST", "/", "", [("Transfer-Encoding", "gzip, chunked")], "length"),
    ("an encoding of nobody's", "POST", "/", "", [("Transfer-Encoding", "chunkedd")], "length"),
    ("an empty encoding", "POST", "/", "", [("Transfer-Encoding", "")], "length"),
    ("a GET with a body", "GET", "/", "", [("Content-Length", "1")], "unexpected"),
    ("a HEAD with a body", "HEAD", "/", "", [("Transfer-Encoding", "chunked")], "unexpected"),
    ("OPTIONS with a body", "OPTIONS", "/", "", [("Content-Length", "1")], "unexpected"),
    ("a GET with nothing", "GET", "/", "", [("Content-Length", "0")], ""),
    ("compressed", "POST", "/", "", [("Content-Length", "9"), ("Content-Encoding", "gzip")], "encoded"),
    ("compressed twice", "POST", "/", "", [("Content-Encoding", "identity, gzip")], "encoded"),
    ("as it is", "POST", "/", "", [("Content-Length", "9"), ("Content-Encoding", "identity")], ""),
]  # fmt: skip
ROUTES = """
[[body.routes]]
path = "/imports/*"
types = ["multipart/form-data"]
size = "10MB"

[[body.routes]]
path = "/imports/small"
size = 1000

[[body.routes]]
path = "/images/*"
types = ["image/*", "application/*+xml"]
"""


@BOTH
@pytest.mark.requirement("S1-094", "C-03", "S2-015")
@pytest.mark.parametrize(
    ("what", "method", "path", "query", "pairs", "reason"), ARRIVALS, ids=[row[0] for row in ARRIVALS]
)
def test_what_headers_tell(
    builder: Builder,
    spelt: Any,
    what: str,
    method: str,
    path: str,
    query: str,
    pairs: list[tuple[str, str]],
    reason: str,
) -> None:
    """What can be told before a byte of the body is read, in both spellings of the headers."""
    step = body._arrive(builder.house(ROUTES))
    asked = Exchange(method=method, path=path, headers=spelt(pairs), query=query)
    verdict = step(asked)
    assert code(verdict) == reason, what
    if isinstance(verdict, Refuse):
        assert verdict.reason.status < 500
        assert "Allow" in dict(verdict.headers) or verdict.reason is not reasons.METHOD


@BOTH
def test_a_length_that_comes_twice_is_none(builder: Builder, spelt: Any) -> None:
    """CL.CL: two lengths, of which a proxy takes one and this server the other."""
    step = body._arrive(builder.house())
    asked = exchange("POST", "/")
    asked.headers = spelt([("Content-Length", "5"), ("Content-Length", "6")])
    with pytest.raises(Malformed):
        step(asked)


def test_a_server_that_adds_variables_later_is_still_added_up(builder: Builder) -> None:
    """What a server puts into the environ besides text is learnt, and no header hides behind it."""
    step = body._arrive(builder.house())
    for number in range(3):
        environ: dict[str, Any] = {f"server.thing{number}": object(), "HTTP_A": "a" * 20_000}
        asked = Exchange(method="GET", path="/", headers=EnvironHeaders(environ))
        assert code(step(asked)) == "headers_too_large"


# What it says it is


@pytest.mark.requirement("S2-015", "S3-026")
@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("/", JSON, ""),
        ("/", 'Application/JSON ; Charset="UTF-8"', ""),
        ("/", "application/json;", ""),
        ("/", "application/json; q=1", ""),
        ("/", "application/problem+json", ""),
        ("/", FORM, ""),
        ("/", "text/plain", "unsupported_type"),
        ("/", "application/jsonp", "unsupported_type"),
        ("/", "application/json, text/plain", "unsupported_type"),
        ("/", "application/json text/plain", "unsupported_type"),
        ("/", "application/json; charset=utf-16", "unsupported_type"),
        ("/", "application/json; charset=utf-8; charset=utf-7", "unsupported_type"),
        ("/", "application/json; charset*=utf-7''x", "unsupported_type"),
        ("/", 'application/json; charset="utf-8', "unsupported_type"),
        ("/", "application/x-www-form-urlencoded; charset=latin-1", "unsupported_type"),
        ("/", "application/json; a=" + "b" * 1000, "unsupported_type"),
        ("/", "", "unsupported_type"),
        ("/", "/", "unsupported_type"),
        ("/", "*/*", "unsupported_type"),
        ("/imports/a", JSON, "unsupported_type"),
        ("/imports/a", MULTIPART, ""),
        ("/imports/a", "multipart/form-data", "not_a_form"),
        ("/imports/a", "multipart/form-data; boundary=", "unsupported_type"),
        ("/imports/a", 'multipart/form-data; boundary="a b "', "not_a_form"),
        ("/imports/a", "multipart/form-data; boundary=" + "b" * 71, "not_a_form"),
        ("/imports/a", "multipart/form-data; boundary=a; boundary=b", "unsupported_type"),
        ("/imports/a", "multipart/form-data; boundary=a; boundary*1=b", "unsupported_type"),
        ("/imports/a", "multipart/form-data; Boundary*01=b; boundary=a", "unsupported_type"),
        ("/imports/a", 'multipart/form-data; boundary="\\a"', "unsupported_type"),
        ("/imports/a", 'multipart/form-data; boundary="b"', ""),
        ("/", "application/json; charset*1=utf-7", "unsupported_type"),
        ("/images/a", "image/png", ""),
        ("/images/a", "image/svg+xml", ""),
        ("/images/a", "application/soap+xml", ""),
        ("/images/a", "video/png", "unsupported_type"),
        ("/images/a", JSON, "unsupported_type"),
        ("/auth/login", "application/problem+json", "unsupported_type"),
        ("/auth/login", FORM, ""),
    ],
)
def test_what_a_path_takes(builder: Builder, path: str, kind: str, reason: str) -> None:
    """A content type passes where it is taken and can be read in one way."""
    step = body._shape(builder.house(ROUTES))
    sent = b"--b--" if kind.replace('"', "").endswith("boundary=b") else b"1"
    pairs = [("Content-Length", str(len(sent))), *([("Content-Type", kind)] if kind else [])]
    verdict = decided(step, exchange("POST", path, *pairs), sent)
    assert code(verdict) == reason
    if reason == "unsupported_type":
        assert isinstance(verdict, Refuse)
        assert "/" in dict(verdict.headers)["Accept"]


def test_who_says_nothing_brings_nothing(builder: Builder) -> None:
    """DELETE without a type and a length: it may have no body, and if one comes after all it is refused."""
    step = body._shape(builder.house())
    asked = exchange("DELETE", "/")
    assert code(decided(step, asked)) == ""
    assert asked.meter is not None
    asked.meter.take(b"")
    with pytest.raises(Refused):
        asked.meter.take(b"x")
    assert asked.meter.refused is not None
    assert asked.meter.refused.reason is reasons.TYPE


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_asks_for_no_change_is_not_looked_into(builder: Builder, method: str) -> None:
    """The usual request costs nothing here."""
    step = body._shape(builder.house())
    assert isinstance(step(exchange(method, "/", ("Content-Type", "text/xml"))), Allow)


def test_a_handshake_has_no_body(builder: Builder) -> None:
    """A WebSocket's messages are no body."""
    step = body._shape(builder.house())
    assert isinstance(step(exchange("GET", "/", websocket=True)), Allow)


@pytest.mark.requirement("S1-094", "C-03")
@pytest.mark.parametrize(("kind", "limit"), [(JSON, MB), (FORM, 500 * 1024)], ids=["json", "urlencoded"])
def test_what_nobody_announced_is_counted(builder: Builder, kind: str, limit: int) -> None:
    """A body in pieces, of exactly the limit and a byte more."""
    step = body._shape(builder.house())
    asked = [("Transfer-Encoding", "chunked"), ("Content-Type", kind)]
    text = b'"' + b"a" * (limit - 2) + b'"'
    assert code(decided(step, exchange("POST", "/", *asked), text)) == ""
    assert code(decided(step, exchange("POST", "/", *asked), text + b" ")) == "too_large"


def test_what_ends_early_is_refused(builder: Builder) -> None:
    """Less than was announced: the client has gone, or somebody cut it."""
    step = body._shape(builder.house())
    deciding: Any = step(exchange("POST", "/", ("Content-Length", "10"), ("Content-Type", JSON)))
    assert deciding.send(None).limit == MB + 1
    with pytest.raises(StopIteration) as done:
        deciding.send((b'{"a"', False))
    assert code(done.value.value) == "length"


def test_a_large_document_is_not_checked_on_the_loop(builder: Builder) -> None:
    """What takes milliseconds is taken to a worker, so that nobody else waits."""
    step = body._shape(builder.house())
    deciding: Any = step(exchange("POST", "/", ("Content-Length", "900000"), ("Content-Type", JSON)))
    deciding.send(None)
    assert type(deciding.send((b"[" + b"1," * 449_999 + b"]", True))).__name__ == "Block"
    with pytest.raises(StopIteration) as done:
        deciding.send(None)
    assert code(done.value.value) == "not_json"


# JSON

DOCUMENTS: list[tuple[str, bytes, Reason | None]] = [
    *(
        (what, text, next(r for r in reasons.REASONS if r.code == said))
        for what, text, said in probes.JSON_DOCUMENTS
    ),
    ("an object", b'{"a": 1, "b": [1.5, null, true], "c": {"a": 2}}', None),
    ("blanks around it", b" \t\r\n[] \n", None),
    ("names that differ in case", b'{"a": 1, "A": 2}', None),
    ("a name twice, deep inside", b'[[{"a": {"b": 1, "b": 1}}]]', reasons.TWICE),
    ("nothing but blanks", b"  ", reasons.JSON),
    ("an emoji", '"\U0001f600"'.encode(), None),
    ("an emoji, escaped", b'"\\ud83d\\uDE00"', None),
    ("a surrogate the wrong way", b'"\\ude00\\ud83d"', reasons.TEXT),
    ("a surrogate as a name", b'{"\\ud800": 1}', reasons.TEXT),
    ("what only looks like a surrogate", b'"\\\\ud800"', None),
    ("a surrogate in UTF-8", b'"\xed\xa0\x80"', reasons.TEXT),
    ("an overlong slash", b'"\xc0\xaf"', reasons.TEXT),
    ("a thousand digits", b"9" * 1000, None),
    ("one digit more", b"9" * 1001, reasons.NUMBER),
    ("digits in text", b'"' + b"9" * 5000 + b'"', None),
    ("digits in text with quotes in it", b'"\\"' + b"9" * 5000 + b'"', None),
    ("a long fraction", b"0." + b"9" * 1001, reasons.NUMBER),
    ("the largest float", b"1.7976931348623157e308", None),
    ("one that is larger", b"-1e309", reasons.NUMBER),
    ("brackets in text", b'"' + b"[" * 100 + b'"', None),
    ("32 levels", b"[" * 32 + b"]" * 32, None),
    ("33 levels", b"[" * 33 + b"]" * 33, reasons.DEEP),
    ("33 levels of both kinds", b'[{"a":' * 16 + b"[]" + b"}]" * 16, reasons.DEEP),
    ("32 levels of both kinds", b'[{"a":' * 16 + b"1" + b"}]" * 16, None),
    ("many beside each other", b"[" + b"[]," * 500 + b"[]]", None),
    ("brackets of the wrong kind", b"[" * 20 + b"}" * 20 + b"[]" * 20, reasons.JSON),
    ("closed before it is open", b"]" * 50 + b"[" * 50, reasons.DEEP),
    ("a string without an end", b'"' + b'\\"' * 50_000, reasons.JSON),
    ("quotes and brackets", b'["' * 20_000, reasons.DEEP),
]


@pytest.mark.requirement("S3-026", "S3-030", "S2-015")
@pytest.mark.parametrize(("what", "document", "reason"), DOCUMENTS, ids=[row[0] for row in DOCUMENTS])
def test_json_is_read_in_one_way(what: str, document: bytes, reason: Reason | None) -> None:
    """What every parser reads alike passes; the rest says what it is refused for."""
    began = process_time()
    assert strict.json_fault(document, 32) is reason, what
    assert process_time() - began < 1


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**50), 10**50)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(value=values, ascii_only=st.booleans(), indent=st.sampled_from([None, 0, 3]))
def test_whatever_json_writes_is_json(value: Any, ascii_only: bool, indent: int | None) -> None:
    """No document that a program writes correctly is refused."""
    try:
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate among the names
    found = strict.json_fault(text, 200)
    assert found is None or (found is reasons.TEXT and ascii_only)


@given(text=st.binary(max_size=200) | st.text('[]{}",:\\ud8019.eE-+ nulltrue', max_size=200).map(str.encode))
@example(text=b'"\\ud800')
@example(text=b"\xef\xbb\xbf1")
def test_any_bytes_get_a_verdict(text: bytes) -> None:
    """Whatever is sent as JSON: a reason or none, never an error; what passes, Python reads too."""
    if strict.json_fault(text, 32) is None:
        json.dumps(json.loads(text.decode()), ensure_ascii=False, allow_nan=False).encode()


@given(depth=st.integers(1, 60), limit=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_depth_is_counted_as_it_is(depth: int, limit: int, seed: int) -> None:
    """Nested at random, with siblings and brackets in texts: too deep from one level over the limit."""
    chosen = random.Random(seed)
    document: Any = chosen.choice([1, "]]]]{{{{", None])
    for _ in range(depth):
        beside = chosen.choice([[], {}, "[", 1])
        document = chosen.choice([[document], [beside, document], {"a": document}, {"[": 1, "a": document}])
        if isinstance(document, list) and len(document) == 2 and depth == 1:
            document[0] = 1
    real = _depth(document)
    found = strict.json_fault(json.dumps(document).encode(), limit)
    assert (found is reasons.DEEP) == (real > limit)


def _depth(document: Any) -> int:
    if isinstance(document, dict):
        return 1 + max(map(_depth, document.values()), default=0)
    return 1 + max(map(_depth, document), default=0) if isinstance(document, list) else 0


# Forms


@pytest.mark.requirement("S2-015")
@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (b"a=1&b=2", None),
        (b"&" * 9, None),
        (b"&" * 10, reasons.FIELDS),
        ("a=\u00e9".encode(), reasons.TEXT),
        (b"a=\xe9", reasons.TEXT),
        (b"a=%C3%A9", None),
        (b"a=%E9", reasons.TEXT),
        (b"%FF=1", reasons.TEXT),
        (b"a=%ZZ%", None),
        (b"a=%C3&b=%A9", reasons.TEXT),
    ],
)
def test_urlencoded_forms(form: bytes, reason: Reason | None) -> None:
    """Counted, and text in UTF-8, percent-encoded: raw, one framework reads UTF-8 and another Latin-1."""
    assert strict.form_fault(form, 10) is reason


def part(name: str = 'name="a"', value: bytes = b"x", head: str = "") -> bytes:
    return f"--b\r\nContent-Disposition: form-data; {name}{head}\r\n\r\n".encode() + value + b"\r\n"


END = b"--b--\r\n"
HIDDEN = part('name="f"; filename="f.php"').removesuffix(b"\r\n")
"""A file, within the text of a field: what tells them apart is the line before."""
MULTIPARTS: list[tuple[str, bytes, Reason | None]] = [
    ("a field", part() + END, None),
    ("no parts", END, None),
    ("a file", part('name="a"; filename="f.bin"', b"\xff" * 5000) + END, None),
    ("a file by its other name", part("name=\"a\"; filename*=UTF-8''f", b"x") + END, reasons.FORM),
    ("a file's name in pieces", part('name="a"; filename*0="f"; filename*1=".png"') + END, reasons.FORM),
    ("a field's name in pieces", part('name="a"; name*0="b"') + END, reasons.FORM),
    ("a browser's file", part('name="a"; filename="f"', head="\r\nContent-Type: a/b") + END, None),
    ("a quoted name", part('name="a\\"b"') + END, None),
    ("capitals", b'--b\r\ncontent-DISPOSITION: Form-Data;name=a\r\n\r\nx\r\n--b--', None),
    ("an epilogue", part() + END + b"\r\nand so on", reasons.FORM),
    ("blank lines at the end", part() + END + b"\r\n\r\n", None),
    ("a form behind the form", part() + END + part() + END, reasons.FORM),
    ("a field in Latin-1", part(head="\r\nContent-Type: text/plain; charset=iso-8859-1") + END, reasons.TEXT),
    ("a field in UTF-8", part(head="\r\nContent-Type: text/plain; charset=UTF-8") + END, None),
    ("what is binary says so", part(head="\r\nContent-Transfer-Encoding: Binary") + END, None),
    ("ten parts", part() * 10 + END, None),
    ("eleven", part() * 11 + END, reasons.PARTS),
    ("text to the limit", part(value=b"x" * 1000) + END, None),
    ("text over it", part(value=b"x" * 1001) + END, reasons.TOO_LARGE),
    ("text over it, in two", part(value=b"x" * 600) * 2 + END, reasons.TOO_LARGE),
    ("an end that is missing", part(), reasons.FORM),
    ("half of one", part() + b"--b-", reasons.FORM),
    ("another boundary", part().replace(b"--b", b"--c") + b"--c--\r\n", reasons.FORM),
    ("something before it", b"hello\r\n" + part() + END, reasons.FORM),
    ("a blank line before it", b"\r\n" + part() + END, reasons.FORM),
    ("no disposition", b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END, reasons.FORM),
    ("a file's name in a header of its own", part(head='\r\nX: "\nfilename="f') + END, uploads.NAME),
    ("a line feed in a name", part('name="a\nb"') + END, reasons.FORM),
    ("a NUL in a file's name", part('name="a"; filename="f\0.png"') + END, uploads.NAME),
    ("a name that is no UTF-8", part('name="a"').replace(b'"a"', b'"\xff"') + END, reasons.FORM),
    ("a folded header", part('name="a"\r\n ; filename="f"') + END, reasons.FORM),
    ("no name", part('filename="f"') + END, reasons.FORM),
    ("two names", part('name="a"; name="b"') + END, reasons.FORM),
    ("two names in different case", part('name="a"; Name="b"') + END, reasons.FORM),
    ("two file names", part('name="a"; filename="b"; filename="c"') + END, reasons.FORM),
    ("a file name without one", part('name="a"; filename') + END, reasons.FORM),
    ("a name without an end", part('name="a') + END, reasons.FORM),
    ("an attachment", part().replace(b"form-data", b"attachment") + END, reasons.FORM),
    ("two dispositions", part(head='\r\nContent-Disposition: form-data; name="b"') + END, reasons.FORM),
    ("base64", part(head="\r\nContent-Transfer-Encoding: base64") + END, reasons.FORM),
    ("a long header", part(f'name="{"a" * 9000}"') + END, reasons.FORM),
    ("nine headers", part(head="".join(f"\r\nX-{n}: 1" for n in range(9))) + END, reasons.FORM),
    ("a bad header name", part(head="\r\nX Y: 1") + END, reasons.FORM),
    ("line feeds alone", part().replace(b"\r\n", b"\n") + END, reasons.FORM),
    ("text that is no UTF-8", part(value=b"\xff") + END, reasons.TEXT),
    ("half a letter at the end", part(value="é".encode()[:1]) + END, reasons.TEXT),
    ("a boundary behind a line feed", part(value=b"x\n" + HIDDEN) + END, reasons.FORM),
    ("a boundary behind a return", part(value=b"x\r" + HIDDEN) + END, reasons.FORM),
    ("one before a line feed", part(value=b"x\r\n" + HIDDEN.replace(b"b\r", b"b")) + END, reasons.FORM),
    ("an end behind a line feed", part(value=b"x\n--b--") + END, reasons.FORM),
    ("a longer boundary", part(value=b"x\r\n--bc\r\ny") + END, reasons.FORM),
    ("a boundary within a line", part(value=b"x --b\r\n---b\r\ny") + END, None),
]  # fmt: skip


def measured(text: bytes, cut: Callable[[bytes], list[bytes]], announced: bool) -> Reason | None:
    """The verdict of a meter on a form in pieces."""
    files = streams.Files(None, 10, 100_000)
    meter = streams.Form(b"b", 100_000, len(text) if announced else None, parts=10, text=1000, files=files)
    try:
        for piece in cut(text):
            meter.take(piece)
        meter.take(b"")
    except Refused as refused:
        assert meter.refused is not None
        assert meter.refused.reason is refused.reason
        with pytest.raises(Refused):
            meter.take(b"and on")
        return refused.reason
    assert meter.refused is None
    return None


@pytest.mark.requirement("S2-015", "S1-094")
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
@pytest.mark.parametrize(("what", "text", "reason"), MULTIPARTS, ids=[row[0] for row in MULTIPARTS])
def test_multipart_forms(what: str, text: bytes, reason: Reason | None, announced: bool) -> None:
    """A multipart form gets the same verdict as a whole, byte by byte and in pieces of any size."""
    cuts: dict[str, Callable[[bytes], list[bytes]]] = {
        "whole": lambda body: [body],
        "bytes": lambda body: [body[at : at + 1] for at in range(len(body))],
        "sevens": lambda body: [body[at : at + 7] for at in range(0, len(body), 7)],
    }
    found = {name: measured(text, cut, announced) for name, cut in cuts.items()}
    assert found == dict.fromkeys(cuts, reason), what


@pytest.mark.requirement("S1-091", "S2-074")
@pytest.mark.parametrize("ended", [b"\n", b"\r", b"\r\n", b"\r\n\r"])
@pytest.mark.parametrize("follows", [b"\r\n", b"\n", b"\r", b" \r\n", b"\t\n", b"\x0b\r\n", b"\xa0\r\n"])
def test_no_parser_finds_a_file_in_a_form_without(ended: bytes, follows: bytes) -> None:
    """A file hides in a field's text, behind a line that one parser alone takes for a boundary."""
    text = part(value=b"x" + ended + HIDDEN.replace(b"--b\r\n", b"--b" + follows, 1)) + END
    try:
        files = FormDataParser(lambda **_: io.BytesIO(), silent=False).parse(
            io.BytesIO(text), "multipart/form-data", len(text), {"boundary": "b"}
        )[2]
    except ValueError:
        return  # who hears no form finds no file
    meter = streams.Form(b"b", 100_000, len(text), parts=10, text=1000)
    if files:
        with pytest.raises(Refused):
            meter.take(text)


@settings(max_examples=200)
@given(
    text=st.lists(
        st.sampled_from(
            [part(), part('name="a"; filename="f"'), END, b"--b", b"\r\n", b"--", b"\xff", b"x" * 300, b": "]
        ),
        max_size=12,
    ).map(b"".join),
    seed=st.integers(0, 2**32),
)
def test_pieces_make_no_difference(text: bytes, seed: int) -> None:
    """However a form is cut into pieces on its way, it passes or is refused as the whole of it would be.

    One that has two faults is refused for the one that comes to light first.
    """
    chosen = random.Random(seed)

    def cut(whole: bytes) -> list[bytes]:
        at = sorted(chosen.randrange(len(whole) + 1) for _ in range(5))
        return [whole[a:b] for a, b in zip([0, *at], [*at, len(whole)], strict=True) if a < b]

    at_once = measured(text, lambda whole: [whole] if whole else [], True)
    assert (measured(text, cut, True) is None) == (at_once is None)


def test_a_meter_is_told_of_more_and_of_less() -> None:
    """More than was announced is another request's; less is cut."""
    with pytest.raises(Refused) as more:
        streams.Sized(100, 5).take(b"123456")
    assert more.value.reason is reasons.LENGTH
    meter = streams.Sized(100, 5)
    meter.take(b"1234")
    with pytest.raises(Refused) as less:
        meter.take(b"")
    assert less.value.reason is reasons.LENGTH
    meter = streams.Sized(3)
    meter.take(b"123")
    with pytest.raises(Refused) as larger:
        meter.take(b"4")
    assert larger.value.reason is reasons.TOO_LARGE


def test_the_parser_tells_the_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A stranger's broken forms fill no log."""
    with caplog.at_level("DEBUG"):
        for _, text, _ in MULTIPARTS:
            measured(text, lambda body: [body], False)
    assert caplog.records == []


# On both frameworks


SENT: list[tuple[str, bytes]] = [
    *((JSON, document.replace(b"%b", b"x")) for _, document, _ in probes.JSON_DOCUMENTS),
    (JSON, b'{"text": "meant"}'),
    (JSON, b'{"text": 5}'),
    (JSON, b""),
    (FORM, b"text=%FF"),
    (FORM, b"text=meant"),
    (MULTIPART, part('name="text"') + END),
    (MULTIPART, part('name="text"')),
    ("text/csv", b"a,b"),
    ("", b"x"),
    (JSON, b'"' + b"a" * MB + b'"'),
]


@pytest.mark.requirement("S1-094", "S3-026", "S3-030", "S2-015")
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_flask_and_fastapi_answer_alike(benches: dict[str, Bench], accept: str) -> None:
    """The same bodies: the same status, the same reason and the same kind of answer on both frameworks."""
    seen: dict[str, list[Any]] = {}
    for name, bench in benches.items():
        with bench.laboratory() as laboratory:
            client = laboratory.client("manager")
            headers = [("Accept", accept)]
            for kind, text in SENT:
                typed = [("Content-Type", kind)] if kind else []
                for path in ("/api/notes", "/form"):
                    reply = client.act("POST", path, body=text, headers=[*headers, *typed])
                    assert reply.status < 500
                    shown = reply.header("content-type").partition(";")[0]
                    row: tuple[Any, ...] = (path, kind, text[:40], reply.status, reply.code, shown)
                    own_words = reply.status < 400 or reply.status == 422 or path == "/form" or not text
                    if own_words or kind == MULTIPART:  # measured while it is read, if it is
                        row = (path, kind, text[:40], reply.status >= 400)
                    seen.setdefault(name, []).append(row)
                    assert b"meant" not in reply.body or reply.status < 300
    assert seen["flask"] == seen["fastapi"]


@settings(max_examples=60, deadline=None)
@given(text=st.binary(max_size=300) | st.text('[]{}",:\\ud8019.eE- ', max_size=80).map(str.encode))
def test_any_json_gets_the_same_verdict_everywhere(pair: dict[str, Laboratory], text: bytes) -> None:
    """Any bytes as JSON: never a 5xx, and both frameworks say the same."""
    said = []
    for laboratory in pair.values():
        visitor = laboratory.visitor()
        headers = [*visitor.from_here, ("Content-Type", JSON)]
        reply = visitor.send("POST", laboratory.api("sign_in"), headers=headers, body=text)
        assert 400 <= reply.status < 500
        said.append((reply.status, reply.code))
    assert said[0] == said[1]


@pytest.fixture(scope="module")
def pair(benches: dict[str, Bench]) -> Iterator[dict[str, Laboratory]]:
    """The notes application on both frameworks, for what changes nothing."""
    made = {name: bench.laboratory() for name, bench in benches.items()}
    yield made
    for laboratory in made.values():
        laboratory.close()


@pytest.mark.requirement("S1-094")
@pytest.mark.parametrize("framework", sorted(CREATE))
def test_a_path_has_its_own_size(starting: Callable[..., Laboratory], framework: str) -> None:
    """10 MB pass where the policy says so for a path, a byte more gets 413 unread; elsewhere not."""
    text = f'{NOTES}\n[[body.routes]]\npath = "/raw/*"\ntypes = ["application/pdf"]\nsize = "10MB"\n'
    laboratory = starting(text, framework)
    whole = bytes(10 * MB)
    with laboratory.reading() as reader:
        visitor = laboratory.visitor()
        headers = [*visitor.from_here, ("Content-Type", "application/pdf")]
        reply = visitor.send("POST", "/raw/drawing", headers=headers, body=whole)
        assert reply.text == hashlib.sha256(whole).hexdigest()
        calls = reader.calls
        reply = visitor.send("POST", "/raw/drawing", headers=headers, body=whole + b"x")
        assert (reply.status, reply.code, reader.calls) == (413, "body.too_large", calls)
        reply = visitor.send("POST", "/elsewhere", headers=headers, body=whole)
        assert (reply.status, reply.code, reader.calls) == (413, "body.too_large", calls)


@pytest.mark.parametrize("framework", sorted(CREATE))
def test_two_looks_read_once(benches: dict[str, Bench], framework: str) -> None:
    """The control reads a form, csrf looks at it again, the view reads it: each gets the whole of it."""
    with benches[framework].laboratory() as laboratory:
        client = laboratory.client("manager")
        token = client.token()
        filler = "a" * 200_000
        reply = client.send(
            "POST", "/form", headers=client.from_here, form=[("csrf_token", token), ("text", filler)]
        )
        assert reply.status == 200
        assert reply.json()["text"] == filler


# The policy


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (512, 512),
        ("512", 512),
        ("1kB", 1024),
        ("10MB", 10 * MB),
        ("10 mib", 10 * MB),
        ("1GB", 1024 * MB),
        ("7b", 7),
    ],
)
def test_a_size_is_read(written: object, read: int) -> None:
    """A number of bytes, or with its unit."""
    assert octets(written) == read


@pytest.mark.parametrize("written", ["", "MB", "10 XB", "-1MB", "1.5MB", "٣MB", "1" * 16, "ten"])
def test_what_is_no_size_is_refused(written: str) -> None:
    """Not guessed at."""
    with pytest.raises(ValueError, match="a size"):
        octets(written)


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 bytes"), (1000, "1,000 bytes"), (1024, "1 kB"), (10 * MB, "10 MB"), (1536 * MB, "1,536 MB")],
)
def test_a_size_is_said(size: int, said: str) -> None:
    """In the largest unit in which it is whole."""
    assert weighed(size) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[body.routes]]\npath = "/*"\nsize = 1', "covers the whole site"),
        ('[[body.routes]]\npath = "/a*b"\nsize = 1', "covers the whole site, or nothing"),
        ('[[body.routes]]\npath = "/a"\nsize = 1\n[[body.routes]]\npath = "/a"\nsize = 2', "/a comes twice"),
        ('[[body.routes]]\npath = "/a"', "nothing differs at /a"),
        ('[[body.routes]]\npath = "/auth/login"\nsize = "1GB"', "bylaw's own pages take what they need"),
        ("[body]\ntypes = []", "no request could bring anything along"),
        ('[body]\ntypes = ["JSON"]', "not of this form"),
        ('[body]\ntypes = ["*/*"]', "not of this form"),
        ('[body]\nsize = "ten"', "a size, e.g."),
        ("[body]\nsize = 0", "too small"),
        ("[body]\ndepth = 201", "too large"),
        ("[body]\nlimit = 5", "no such key"),
    ],
)
def test_what_cannot_be_kept_does_not_start(builder: Builder, text: str, said: str) -> None:
    """A policy that would take everything, or nothing, or says two things."""
    assert said in builder.refusal(text)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", []),
        ('[body]\nsize = "10MB"', []),
        ('[body]\nsize = "11MB"\nbecause = "x"', ["size"]),
        ("[body]\ndepth = 101", ["depth"]),
    ],
)
def test_what_is_below_the_standard_is_said(builder: Builder, text: str, keys: list[str]) -> None:
    """Large bodies everywhere, and depths that parsers fail at."""
    assert [below.key for below in builder.policy(text).of(Settings).below_standard()] == keys


def test_the_document_says_the_numbers(builder: Builder) -> None:
    """SECURITY.md has the sizes and types of this policy, and of its paths."""
    said = " ".join(CONTROL.statement(builder.policy(ROUTES)))
    for text in (
        "at most 1 MB",
        "`/imports/*` takes at most 10 MB, `multipart/form-data`",
        "32 levels",
        "500 kB",
    ):
        assert text in said


def test_what_a_path_takes_can_be_asked(builder: Builder) -> None:
    """For whoever has to send something everywhere: the access matrix."""
    policy = builder.policy(ROUTES)
    assert body.takes(policy, "/", JSON)
    assert not body.takes(policy, "/imports/a", JSON)
    both = "".join(f'[{name}]\noff = true\nbecause = "x"\n' for name in ("uploads", "body"))
    off = builder.policy(both + ROUTES)
    assert body.takes(off, "/imports/a", JSON)


# Proof


@pytest.mark.parametrize("probe", CONTROL.probes, ids=lambda probe: probe.name)
def test_the_promise_holds_on_another_policy(starting: Callable[..., Laboratory], probe: Any) -> None:
    """The probes know what the policy says: smaller sizes, other types, a path of its own."""
    text = (
        '\n[body]\nsize = "200kB"\nform = "100kB"\nfields = 50\nparts = 10\ndepth = 5\naddress = "1kB"\n'
        'types = ["application/json", "application/x-www-form-urlencoded", "text/*"]\n'
        '[[body.routes]]\npath = "/imports/*"\ntypes = ["multipart/form-data"]\nsize = "2MB"\n'
    )
    result = attempt(CONTROL, probe, starting(NOTES + text))
    assert result.outcome == "pass", result.evidence


def test_a_probe_says_where_it_could_not_look(starting: Callable[..., Laboratory]) -> None:
    """A policy that takes no JSON: the probe of JSON says so, and claims nothing."""
    laboratory = starting(f'{NOTES}\n[body]\ntypes = ["{FORM}"]\n')
    result = attempt(CONTROL, probes.json_is_read_one_way, laboratory)
    assert result.outcome in ("not_examined", "pass"), result.evidence
