"""Reading forms and JSON: any bytes give values or a refusal, and a refusal repeats no value."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bylaw.controls import errors
from bylaw.controls.body import OWN
from bylaw.pages import forms
from bylaw.pages.forms import Field, read
from bylaw.reasons import Refused

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
FIELDS = (
    Field("email", limit=20),
    Field("password", secret=True),
    Field("name", required=False, limit=5),
    Field("role", required=False, many=True, limit=5),
)
GOOD = {"email": "a@people.test", "password": "x"}


def body_of(**values: Any) -> bytes:
    return json.dumps({**GOOD, **values}).encode()


def parts(*named: tuple[str, str], tail: str = "--b--\r\n") -> bytes:
    text = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in named
    )
    return (text + tail).encode()


def _wrong(name: str, expected: str, *values: Any) -> list[tuple[dict[str, Any], str, str]]:
    return [({name: value}, name, f"{expected} is expected") for value in values]


def refusal(body: bytes | None, kind: str, *, api: bool, **how: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        read(body, kind, FIELDS, api=api, **how)
    return caught.value


@pytest.mark.parametrize(
    ("body", "kind", "api"),
    [
        (body_of(), JSON, True),
        (body_of(), "Application/JSON; charset=utf-8", True),
        (urlencode(GOOD).encode(), FORM, False),
        (urlencode(GOOD).encode(), FORM + "; charset=utf-8", False),
        (parts(*GOOD.items()), MULTIPART, False),
    ],
)
def test_the_three_ways_to_send_a_form(body: bytes, kind: str, api: bool) -> None:
    """JSON, a form and a form in parts give the same values; what is optional is empty."""
    assert read(body, kind, FIELDS, api=api) == {**GOOD, "name": "", "role": []}


@pytest.mark.parametrize(
    ("body", "kind", "api", "roles"),
    [
        (body_of(role=["a", "b"]), JSON, True, ["a", "b"]),
        (body_of(role=[]), JSON, True, []),
        (urlencode([*GOOD.items(), ("role", "a"), ("role", "b")]).encode(), FORM, False, ["a", "b"]),
        (parts(*GOOD.items(), ("role", "a")), MULTIPART, False, ["a"]),
    ],
)
def test_a_field_of_many(body: bytes, kind: str, api: bool, roles: list[str]) -> None:
    """Checkboxes are values of one name, in JSON a list."""
    assert read(body, kind, FIELDS, api=api)["role"] == roles


@pytest.mark.requirement("C-11", "S3-030")
@pytest.mark.parametrize(
    ("values", "field", "fault"),
    [
        # Nothing is made into text (A186)
        *_wrong(
            "email", "text", None, 1, 0, 1.5, True, False, [], {}, ["a@people.test"], {"$ne": None}, [["x"]]
        ),
        *_wrong("password", "text", None, 1, [], {}),
        *_wrong("name", "text", None, 0, False, [], {}),
        *_wrong(
            "role", "a list of text", None, "admin", 1, {}, {"a": "b"}, [1], [None], [["a"]], [{}], ["a", 1]
        ),
        ({"email": ""}, "email", "needed"),
        ({"password": ""}, "password", "needed"),
        ({"email": "a" * 21}, "email", "at most 20 characters"),
        ({"name": "a" * 6}, "name", "at most 5 characters"),
        ({"role": ["a" * 6]}, "role", "at most 5 characters"),
        *(
            ({"email": f"a{c}b"}, "email", "control characters are not taken")
            for c in "\0\n\r\t\x1b\x7f\x85\u2028\u2029\ud800"
        ),
        ({"role": ["a\n"]}, "role", "control characters are not taken"),
        ({"password": "a\0b"}, "password", "control characters are not taken"),
        ({"password": "a\udfffb"}, "password", "control characters are not taken"),
        ({"admin": "x"}, "admin", "not a field of this form"),
        ({"role.0": "x"}, "role.0", "not a field of this form"),
        ({"role[]": "x"}, "?", "not a field of this form"),
        ({"<script>": "x"}, "?", "not a field of this form"),
        ({"x" * 41: "x"}, "?", "not a field of this form"),
        ({"\ud800": "x"}, "?", "not a field of this form"),
    ],
)
def test_what_is_wrong_is_said_by_field(values: dict[str, Any], field: str, fault: str) -> None:
    """A field of the wrong kind, empty, too long, unknown or with control characters gets 422."""
    refused = refusal(body_of(**values), JSON, api=True)
    assert (refused.reason, refused.fields) == (errors.INVALID, {field: fault})


def test_secrets_may_hold_what_a_keyboard_has() -> None:
    """A password may have tabs, line breaks and any length that the body has room for."""
    password = "tab\t line\n \x85 " + "\U0001f511" * 3000
    assert read(body_of(password=password), JSON, FIELDS, api=True)["password"] == password


@pytest.mark.parametrize(
    ("body", "kind", "api"),
    [
        (b'{"email": "a", "email": "b", "password": "x"}', JSON, True),
        (b"email=a&email=b&password=x", FORM, False),
        (parts(("email", "a"), ("email", "b"), ("password", "x")), MULTIPART, False),
        (b'{"email": "a", "password": "x", "role": ["a"], "role": ["b"]}', JSON, True),
    ],
)
def test_a_name_that_comes_twice_is_refused(body: bytes, kind: str, api: bool) -> None:
    """Two parsers would take the first or the last: none is taken."""
    refused = refusal(body, kind, api=api)
    assert list(refused.fields.values()) == ["given twice"]


@pytest.mark.requirement("C-11", "C-23")
@pytest.mark.parametrize(
    ("body", "kind", "api", "reason"),
    [
        (None, JSON, True, errors.TOO_LARGE),
        (None, FORM, False, errors.TOO_LARGE),
        (body_of(), FORM, True, errors.UNSUPPORTED),
        (body_of(), "", True, errors.UNSUPPORTED),
        (body_of(), "text/plain", True, errors.UNSUPPORTED),
        (body_of(), "application/json-patch+json", True, errors.UNSUPPORTED),
        (body_of(), JSON, False, errors.UNSUPPORTED),
        (b"email=a", "text/plain", False, errors.UNSUPPORTED),
        (b"", JSON, True, errors.MALFORMED),
        (b"{", JSON, True, errors.MALFORMED),
        (b"{}{}", JSON, True, errors.MALFORMED),
        (b'{"email": NaN}', JSON, True, errors.MALFORMED),
        (b'{"email": -Infinity}', JSON, True, errors.MALFORMED),
        (b"\xef\xbb\xbf{}", JSON, True, errors.MALFORMED),
        (body_of().decode().encode("utf-16"), JSON, True, errors.MALFORMED),
        (body_of().decode().encode("utf-32"), JSON, True, errors.MALFORMED),
        (b'{"email": "\xff"}', JSON, True, errors.MALFORMED),
        (b"[" * 60_000, JSON, True, errors.MALFORMED),
        (b'{"email": ' + b"9" * 5000 + b"}", JSON, True, errors.MALFORMED),
        (b"[]", JSON, True, errors.INVALID),
        (b"null", JSON, True, errors.INVALID),
        (b'"text"', JSON, True, errors.INVALID),
        (b"email=%ff", FORM, False, errors.MALFORMED),
        (b"email=\xff", FORM, False, errors.MALFORMED),
        (b"&".join(b"a=1" for _ in range(300)), FORM, False, errors.MALFORMED),
        (parts(("email", "a")), "multipart/form-data", False, errors.MALFORMED),
        (b"no parts", MULTIPART, False, errors.MALFORMED),
        (
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nx\r\n--b--\r\n',
            MULTIPART,
            False,
            errors.MALFORMED,
        ),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", MULTIPART, False, errors.MALFORMED),
        (
            b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\n\xff\r\n--b--\r\n',
            MULTIPART,
            False,
            errors.MALFORMED,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--b--\r\n',
            MULTIPART,
            False,
            errors.MALFORMED,
        ),
    ],
)
def test_what_cannot_be_read(body: bytes | None, kind: str, api: bool, reason: Any) -> None:
    """Too large, of another type, no JSON, no form: 413, 415, 400 or 422, each for its reason."""
    refused = refusal(body, kind, api=api)
    assert refused.reason == reason
    assert (reason != errors.UNSUPPORTED) or "Accept" in dict(refused.headers)


def test_a_cut_off_form_gives_no_half_value() -> None:
    """A form whose end is missing lacks its last field: half a password is never used."""
    refused = refusal(parts(("email", "a"), ("password", "half"), tail="")[:-3], MULTIPART, api=False)
    assert "password" in refused.fields or refused.reason == errors.MALFORMED


def test_an_answer_is_no_larger_than_its_question() -> None:
    """Thousands of unknown fields are not each named back."""
    refused = refusal(body_of(**{f"u{n}": n for n in range(5000)}), JSON, api=True)
    assert len(refused.fields) == forms._SHOWN


def test_a_refused_form_keeps_what_was_typed() -> None:
    """What a page may show again is kept: no secret, nothing of the wrong kind, no control characters."""
    kept: dict[str, Any] = {}
    values = [
        ("email", "a@people.test"),
        ("password", "secret"),
        ("name", "too long a name"),
        ("role", "a"),
        ("role", "b"),
    ]
    refusal(urlencode(values).encode(), FORM, api=False, given=kept)
    assert kept == {"email": "a@people.test", "name": "too long a name", "role": ["a", "b"]}
    kept.clear()
    refusal(b"email=a%00b&name=x&password=", FORM, api=False, given=kept)
    assert kept == {"name": "x"}


_KINDS = st.sampled_from([JSON, FORM, MULTIPART, "multipart/form-data", "text/plain", "", JSON + ";"])
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from([field.name for field in FIELDS]) | st.text(max_size=6)
_PIECES = st.lists(
    st.sampled_from(
        [
            b"--b",
            b"\r\n",
            b"--",
            b"Content-Disposition: form-data",
            b'; name="email"',
            b'; name="password"',
            b"; filename=x",
            b"Content-Type: text/plain",
            b"Content-Transfer-Encoding: base64",
            b":",
            b"x",
            b"Content-Transfer-Encoding: quoted-printable",
            b"\xff",
            b"\0",
            b'"',
        ]
    ),
    max_size=24,
).map(b"".join)


@given(body=st.binary(max_size=300) | _PIECES, kind=_KINDS | st.text(max_size=40), api=st.booleans())
@example(body=b"", kind="multipart/form-data; boundary=" + "b" * 300, api=False)
@example(body=b"--b\r\n\r\n\r\n--b--", kind=MULTIPART, api=False)
def test_any_bytes_give_values_or_a_refusal(body: bytes, kind: str, api: bool) -> None:
    """Whatever is sent, under whatever type: text values, or a refusal. Never another exception."""
    _values_or_refusal(body, kind, api)


@given(st.dictionaries(_NAMES, _ANY, max_size=5))
def test_any_json_gives_values_or_a_refusal(document: dict[str, Any]) -> None:
    """Whatever an object holds, an operation gets text and lists of text alone."""
    _values_or_refusal(json.dumps(document).encode(), JSON, True)


@given(st.lists(st.tuples(_NAMES, st.text(max_size=8)), max_size=6), st.booleans())
def test_any_form_gives_values_or_a_refusal(pairs: list[tuple[str, str]], in_parts: bool) -> None:
    """Whatever a form holds, in parts or not."""
    if in_parts:
        body = parts(
            *(
                (n.encode("utf-8", "replace").decode(), v.encode("utf-8", "replace").decode())
                for n, v in pairs
            )
        )
    else:
        body = urlencode(pairs, errors="surrogatepass").encode()
    _values_or_refusal(body, MULTIPART if in_parts else FORM, False)


def _values_or_refusal(body: bytes, kind: str, api: bool) -> None:
    assert len(body) <= OWN
    kept: dict[str, Any] = {}
    try:
        values = read(body, kind, FIELDS, api=api, given=kept)
    except Refused as refused:
        assert 400 <= refused.status < 500
        assert "password" not in kept
        for field, fault in refused.fields.items():
            assert field.isascii()
            assert len(field) <= 40
            assert "\n" not in fault
        return
    assert set(values) == {field.name for field in FIELDS}
    assert all(isinstance(values[name], str) for name in ("email", "password", "name"))
    assert all(isinstance(role, str) for role in values["role"])
    assert values["email"]
    assert values["password"]
