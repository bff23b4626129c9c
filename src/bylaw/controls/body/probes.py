"""Attacks by what a request brings along.

What gets past the gate is counted: behind it stands an application that reads whatever it is given.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from time import process_time
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls.body import media, reasons
from bylaw.quantities import weighed
from bylaw.routes import Taking

CANARY: Final = "canary-5521"
BOUNDARY: Final = "laboratory"
_PART: Final = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
_FILE: Final = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="%s"; filename="a.bin"\r\n\r\n'
_END: Final = f"--{BOUNDARY}--\r\n"
_PIECE: Final = 64 * 1024

JSON_DOCUMENTS: Final[tuple[tuple[str, bytes, str], ...]] = (
    ("a name twice", b'{"a": 1, "a": "%b"}', reasons.TWICE.code),
    ("a name twice, escaped", b'{"a": 1, "\\u0061": "%b"}', reasons.TWICE.code),
    ("NaN", b'{"%b": NaN}', reasons.JSON.code),
    ("Infinity", b'["%b", -Infinity]', reasons.JSON.code),
    ("a number that is infinite", b'["%b", 1e999]', reasons.NUMBER.code),
    ("10,000 digits", b'["%b", ' + b"9" * 10_000 + b"]", reasons.NUMBER.code),
    ("half a surrogate", b'["%b", "\\ud800"]', reasons.TEXT.code),
    ("bytes that are no UTF-8", b'["%b", "\xff"]', reasons.TEXT.code),
    ("UTF-16", '["%b"]'.encode("utf-16"), reasons.TEXT.code),
    ("a byte order mark", b'\xef\xbb\xbf["%b"]', reasons.JSON.code),
    ("two documents", b'["%b"]{}', reasons.JSON.code),
    ("half a document", b'{"%b": ', reasons.JSON.code),
    ("a comma too many", b'["%b",]', reasons.JSON.code),
    ("a comment", b'["%b"] // x', reasons.JSON.code),
    ("2,000 lists", b"[" * 2_000 + b'"%b"' + b"]" * 2_000, reasons.DEEP.code),
    ("2,000 objects", b'{"a":' * 2_000 + b'"%b"' + b"}" * 2_000, reasons.DEEP.code),
    ("lists without an end", b"[" * 20_000, reasons.DEEP.code),
)
"""What two parsers read differently, or one reads for ever (A197)."""


def _body(lab: Any) -> Any:
    """The settings; the module is imported here, as it imports this one."""
    return lab.policy.of(sys.modules["bylaw.controls.body"].Settings)


def _paths(lab: Any, essence: str) -> list[tuple[str, Any]]:
    """Paths that take a type: the front page's and those of the policy, each with its rule."""
    this = sys.modules["bylaw.controls.body"]
    rules = this.Rules(lab.policy)
    written = [each.path.removesuffix("*") for each in _body(lab).routes]
    asked = ["/laboratory", *(path + "x" if path.endswith("/") else path for path in written)]
    found = [(path, rules.at(path)) for path in asked if essence in rules.at(path).types]
    if not found:
        raise CouldNotLook(f"no path takes {essence}")
    return found


def _post(lab: Any, path: str, kind: str, body: bytes = b"", **how: Any) -> Any:
    visitor = lab.visitor()
    headers = [*visitor.from_here, *([("Content-Type", kind)] if kind else []), *how.pop("headers", [])]
    return visitor.send("POST", path, headers=headers, body=body, **how)


def _parts(parts: Iterable[tuple[str, str]]) -> bytes:
    return "".join([head + value + "\r\n" for head, value in parts] + [_END]).encode("latin-1")


def _filled(essence: str, size: int) -> tuple[str, bytes]:
    """A body of a type that is exactly this long, or a form with so much text: content type and bytes."""
    if essence == media.MULTIPART:
        return f"{essence}; boundary={BOUNDARY}", _parts([(_PART % "a", "a" * size)])
    if essence == media.JSON:
        return essence, b'"' + b"a" * (size - 2) + b'"'
    return essence, b"a=" + b"a" * (size - 2)


def _pieces(body: bytes) -> tuple[bytes, ...]:
    return tuple(body[at : at + _PIECE] for at in range(0, len(body), _PIECE))


def _refused(what: str, reply: Any, *codes: str) -> None:
    if reply.code not in codes:
        raise Broken(f"{what}: {reply}, expected {' or '.join(codes)}")
    if CANARY in reply.text:
        raise Broken(f"{what}: the answer repeats what was sent")


@probe("critical", "S1-094", "S3-006", "C-03", "A196")
def what_is_too_large_is_refused(lab: Any) -> str:
    """A body of exactly the limit passes, one byte more gets 413, unread where it was announced."""
    seen = []
    with lab.reading() as reader:
        for essence in (media.JSON, media.URLENCODED, media.MULTIPART):
            for path, rule in _paths(lab, essence):
                limit = rule.size if essence == media.JSON else rule.form
                kind, body = _filled(essence, limit)
                for how in ({"body": body}, {"chunks": _pieces(body)}):
                    reply = _post(lab, path, kind, **how)
                    if reply.text != hashlib.sha256(body).hexdigest():
                        raise Broken(f"{weighed(limit)} of {essence} at {path}: {reply}")
                kind, body = _filled(essence, limit + 1)
                calls, read = reader.calls, reader.read
                _refused(f"{essence}, a byte too much", _post(lab, path, kind, body), reasons.TOO_LARGE.code)
                if reader.calls > calls:
                    raise Broken(f"{essence}: too large, and handed on at {path}")
                reply = _post(lab, path, kind, chunks=_pieces(body * 3))
                _refused(f"{essence}, three times as much unannounced", reply, reasons.TOO_LARGE.code)
                if reader.read - read > limit:
                    raise Broken(f"{reader.read - read} bytes of {essence} reached the application")
                seen.append(f"{essence} at {path} {weighed(limit)}")
    return f"one byte more than the limit is refused: {', '.join(seen)}"


@probe("high", "S2-015", "S3-026")
def only_what_is_taken_is_read(lab: Any) -> str:
    """A type that is not taken, none, two of them or an odd charset: 415, with what is taken."""
    with lab.reading() as reader:
        path, rule = _paths(lab, media.JSON)[0]
        named = rule.types.accept.split(", ")
        for kind in (
            "text/xml",
            "application/x-python-pickle",
            "application/jsonx",
            "application/json, text/plain",
            "json",
            "",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-7",
            "multipart/form-data; boundary=a; boundary=b",
            "application/x-www-form-urlencoded; charset=utf-7",
        ):
            if "=" not in kind and any(fnmatch(media.essence(kind), each) for each in named):
                continue  # this policy takes it
            reply = _post(lab, path, kind, b'["x"]')
            _refused(f"{kind!r}", reply, reasons.TYPE.code)
            if reply.status != 415 or "json" not in reply.header("accept"):
                raise Broken(f"{kind!r}: {reply} does not say what is taken")
        reply = _post(lab, path, media.JSON, b'["x"]', headers=[("Content-Encoding", "gzip")])
        _refused("a compressed body", reply, reasons.ENCODED.code)
        _refused("a body that nobody announced", _post(lab, path, "", chunks=(b"x",)), reasons.TYPE.code)
        if reader.read:
            raise Broken(f"{reader.read} bytes of them were read")
        for kind in (
            "application/json",
            "Application/JSON; charset=UTF-8",
            'application/json;charset="utf-8"',
        ):
            reply = _post(lab, path, kind, b'["x"]')
            if reply.status != 200:
                raise Broken(f"{kind}: {reply}")
    return "415, with the types that are taken; nothing of it was read"


@probe("high", "S3-026", "S3-030", "S2-015", "A186", "A197")
def json_is_read_one_way(lab: Any) -> str:
    """JSON that two parsers read differently, or that is nested without end, gets 400 and is not repeated."""
    with lab.reading() as reader:
        path, _ = _paths(lab, media.JSON)[0]
        for what, document, code in JSON_DOCUMENTS:
            sent = document.replace(b"%b", CANARY.encode()).replace(
                "%b".encode("utf-16-le"), CANARY.encode("utf-16-le")
            )
            for where in (path, lab.api(lab.door)):
                began = process_time()
                reply = _post(lab, where, media.JSON, sent)
                _refused(f"{what} at {where}", reply, code)
                if reply.status != 400 or process_time() - began > 1:
                    raise Broken(f"{what} at {where}: {reply} after {process_time() - began:.1f} s")
        if reader.calls:
            raise Broken("the application was asked")
        depth = _body(lab).depth
        good = [{"a": {"b": [1, -2.5e3, None, True, "\ud83d\ude00 \u0000 []{}"]}}] * 300
        for document in (json.dumps(good).encode(), b"[" * depth + b"]" * depth, b'"\\\\ud800"', b"0"):
            reply = _post(lab, path, media.JSON, document)
            if reply.text != hashlib.sha256(document).hexdigest():
                raise Broken(f"good JSON did not arrive as it was sent: {reply}")
    return f"{len(JSON_DOCUMENTS)} kinds of bad JSON: 400; good JSON arrives to the byte"


@probe("high", "S2-015", "A194", "A196")
def forms_are_bounded(lab: Any) -> str:
    """Thousands of fields or parts, megabytes of text, or a part that can be read in two ways: refused."""
    settings = _body(lab)
    with lab.reading(Taking(frozenset({"a", "b"}), (), settings.parts + 1)) as reader:
        path, rule = _paths(lab, media.URLENCODED)[0]
        fields = b"&".join([b"a=1"] * (settings.fields + 1))
        _refused("too many fields", _post(lab, path, media.URLENCODED, fields), reasons.FIELDS.code)
        _refused("no UTF-8", _post(lab, path, media.URLENCODED, b"a=%FF"), reasons.TEXT.code)
        if reader.calls:
            raise Broken("the application was asked")
        path, rule = _paths(lab, media.MULTIPART)[0]
        kind = f"{media.MULTIPART}; boundary={BOUNDARY}"
        many = min(50_000, rule.size // 100)
        bad = {
            "many fields": (_parts([(_PART % "a", "")] * many), reasons.PARTS),
            "many files": (_parts([(_FILE % "a", "")] * many), reasons.PARTS),
            "no end": (_parts([(_FILE % "a", "x")])[: -len(_END)], reasons.FORM),
            "no name": (_parts([(_PART.replace('; name="%s"', ""), "x")]), reasons.FORM),
            "two names": (_parts([(_PART % 'a"; name="b', "x")]), reasons.FORM),
            "another way to name a file": (
                _parts([(_FILE.replace("filename=", "filename*=UTF-8''") % "a", "x")]),
                reasons.FORM,
            ),
            "two headers": (
                _parts([(_PART.replace("\r\n\r\n", "\r\nContent-Disposition: x\r\n\r\n") % "a", "")]),
                reasons.FORM,
            ),
            "a long header": (_parts([(_PART % ("a" * 20_000), "x")]), reasons.FORM),
            "no UTF-8": (_parts([(_PART % "a", "\xff")]), reasons.TEXT),
            "something else": (b"x" * 1000, reasons.FORM),
        }
        if rule.form + 200 < rule.size:
            bad["much text"] = (_parts([(_PART % "a", "x" * (rule.form + 1))]), reasons.TOO_LARGE)
        for what, (body, reason) in bad.items():
            began = process_time()
            for how in ({"body": body}, {"chunks": _pieces(body)}):
                _refused(f"multipart with {what}", _post(lab, path, kind, **how), reason.code)
            if process_time() - began > 2:
                raise Broken(f"multipart with {what} took {process_time() - began:.1f} s")
        _refused("no boundary", _post(lab, path, media.MULTIPART, _END.encode()), reasons.FORM.code)
        good = _parts([(_PART % "a", "caf\xc3\xa9"), (_FILE % "b", "\xff\x00")] * (settings.parts // 2))
        reply = _post(lab, path, kind, good)
        if reply.text != hashlib.sha256(good).hexdigest():
            raise Broken(f"a good form did not arrive as it was sent: {reply}")
    return f"{len(bad) + 3} kinds of bad forms refused; a good one arrives to the byte"


@probe("high", "A200")
def headers_are_bounded(lab: Any) -> str:
    """A header of a megabyte, ten thousand of them, thousands of ranges or parameters: refused at once."""
    visitor, settings = lab.visitor(), _body(lab)
    long = "a" * 1_000_000
    attempts: dict[str, tuple[str, list[tuple[str, str]], str]] = {
        "Authorization": ("/", [("Authorization", f"Bearer {long}")], reasons.HEADERS.code),
        "a token in five parts": ("/", [("Authorization", f"Bearer {'a.' * 4}{long}")], reasons.HEADERS.code),
        "Cookie": ("/", [("Cookie", f"a={long}")], reasons.HEADERS.code),
        "Accept-Language": ("/", [("Accept-Language", "de;q=0.1," * 100_000)], reasons.HEADERS.code),
        "a header of nobody's": ("/", [("X-Long", long)], reasons.HEADERS.code),
        "10,000 of one name": ("/", [("X-Many", "many")] * 10_000, reasons.HEADERS.code),
        "10,000 of different names": (
            "/",
            [(f"X-Many-{n}", "many") for n in range(10_000)],
            reasons.HEADERS.code,
        ),
        "1,000 ranges": ("/", [("Range", f"bytes={'0-0,' * 1_000}0-0")], reasons.RANGES.code),
        "a long address": (f"/?{'a' * settings.address}", [], reasons.ADDRESS.code),
        "a long path": (f"/{'a' * settings.address}", [], reasons.ADDRESS.code),
    }
    if settings.address > settings.fields + 10:
        attempts["many parameters"] = (f"/?{'&' * settings.fields}", [], reasons.FIELDS.code)
    with lab.reading() as reader:
        for what, (target, headers, code) in attempts.items():
            began = process_time()
            _refused(what, visitor.get(target, headers=headers), code)
            if process_time() - began > 1:
                raise Broken(f"{what} took {process_time() - began:.1f} s")
        if reader.calls:
            raise Broken("the application was asked")
    return f"{len(attempts)} kinds of oversized heads refused"


@probe("high", "A194")
def lengths_are_clear(lab: Any) -> str:
    """A length that is no number or is said twice, and a body where none belongs: 400."""
    path, _ = _paths(lab, media.JSON)[0]
    visitor = lab.visitor()
    with lab.reading() as reader:
        for headers in (
            [("Content-Length", "+6")],
            [("Content-Length", "-1")],
            [("Content-Length", "0x6")],
            [("Content-Length", "6 6")],
            [("Content-Length", "1e1")],
            [("Content-Length", "9" * 30)],
            [("Content-Length", "6"), ("Transfer-Encoding", "chunked")],
            [("Transfer-Encoding", "chunked, identity")],
            [("Transfer-Encoding", "xchunked")],
        ):
            reply = _post(lab, path, media.JSON, b'["ab"]', headers=headers)
            _refused(f"{headers}", reply, reasons.LENGTH.code)
        twice = [("Content-Length", "6"), ("Content-Length", "7")]
        reply = _post(lab, path, media.JSON, b'["ab"]', headers=twice)
        if reply.status != 400:
            raise Broken(f"two lengths: {reply}")
        for method in ("GET", "HEAD", "OPTIONS"):
            reply = visitor.send(method, path, headers=[("Content-Length", "6")], body=b'["ab"]')
            if reply.status != 400:
                raise Broken(f"{method} with a body: {reply}")
        if reader.calls:
            raise Broken("the application was asked")
    return "10 unclear lengths, and bodies of GET, HEAD and OPTIONS: 400"


@probe("medium", "S2-015")
def odd_methods_are_refused(lab: Any) -> str:
    """TRACE, CONNECT and methods in small letters get 405, and what there is instead."""
    visitor = lab.visitor()
    methods = ("TRACE", "TRACK", "CONNECT", "get", "Post", "A" * 100, "GET\t")
    with lab.reading() as reader:
        for method in methods:
            reply = visitor.send(method, "/", headers=visitor.from_here)
            _refused(method[:20], reply, reasons.METHOD.code)
            if "GET" not in reply.header("allow"):
                raise Broken(f"{method[:20]}: {reply} does not say what there is")
        if reader.calls:
            raise Broken("the application was asked")
    return f"{len(methods)} odd methods: 405"


PROBES: Final = (
    what_is_too_large_is_refused,
    only_what_is_taken_is_read,
    json_is_read_one_way,
    forms_are_bounded,
    headers_are_bounded,
    lengths_are_clear,
    odd_methods_are_refused,
)
