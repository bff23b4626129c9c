"""Sign-up: who may make an account, with which address, and as what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw import site
from bylaw.controls import signup
from bylaw.controls.signup import CONTROL, address, new_roles, probes
from bylaw.hashing import SCHEMES
from bylaw.operations import accounts
from bylaw.ports import Ports
from bylaw.reasons import Refused
from bylaw.store import users
from bylaw.store.users import User
from bylaw.verify.client import Reply
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import Builder

PASSWORD = "wide green fields and quiet water"
OPEN = '[signup]\nopen = true\nrole = "user"\n'
ROLES = '[roles]\nadmin = ["*"]\nclerk = ["*:manage"]\nuser = ["note:read"]\n'
NOTES = flask_app.POLICY.read_text("utf-8")
CREATE: dict[str, Callable[[Path], Any]] = {
    "flask": flask_app.create_app,
    "fastapi": fastapi_app.create_app,
}


def sign_up(laboratory: Laboratory, email: Any, *, query: str = "", **more: Any) -> Reply:
    visitor = laboratory.visitor()
    return visitor.send(
        "POST",
        laboratory.api("sign_up") + query,
        headers=visitor.from_here,
        json={"email": email, "name": "Ann", "password": PASSWORD, **more},
    )


def account(laboratory: Laboratory, email: str) -> User | None:
    with laboratory.site.house.store.reading() as connection:
        return users.by_email(connection, email)


def count(laboratory: Laboratory) -> int:
    with laboratory.site.house.store.reading() as connection:
        return users.count(connection)


def sign_in(laboratory: Laboratory, email: str, password: str = PASSWORD) -> Reply:
    visitor = laboratory.visitor()
    return visitor.send(
        "POST",
        laboratory.api("sign_in"),
        headers=visitor.from_here,
        json={"email": email, "password": password},
    )


def facts(reply: Reply) -> tuple[Any, ...]:
    return reply.status, reply.body, sorted(k.lower() for k, _ in reply.headers), reply.all("set-cookie")


def told(laboratory: Laboratory, email: str) -> list[EmailMessage]:
    return [message for message in laboratory.mail() if message["To"] == email]


@pytest.fixture(params=sorted(CREATE))
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Laboratory]:
    """The notes application where nobody may sign up."""
    file = tmp_path / "bylaw.toml"
    file.write_text(NOTES.replace("open = true", "open = false"), "utf-8")
    with Laboratory(Target("notes", lambda: CREATE[request.param](file))) as laboratory:
        yield laboratory


# Addresses


@pytest.mark.requirement("S1-090", "C-10")
@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a@b.co", "a@b.co"),
        ("a+b@example.com", "a+b@example.com"),
        ("o'neil@example.com", "o'neil@example.com"),
        ("Ann.Other@EXAMPLE.com", "ann.other@example.com"),
        ("ann@people.test", "ann@people.test"),
        ("ann@Bücher.example.com", "ann@xn--bcher-kva.example.com"),
        ("ann@BU\u0308CHER.example.com", "ann@xn--bcher-kva.example.com"),
        ("ann@xn--bcher-kva.example.com", "ann@xn--bcher-kva.example.com"),
        ("ann@\uff45xample.com", "ann@example.com"),  # full width
        ("ann@\u212aelvin.com", "ann@kelvin.com"),  # the sign of kelvin
        ("ann@example\u3002com", "ann@example.com"),  # the full stop of Chinese
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
        ("a@" + ".".join(["b" * 49] * 5) + ".co", "a@" + ".".join(["b" * 49] * 5) + ".co"),  # 254
    ],
)
def test_an_address_has_one_form(text: str, canonical: str) -> None:
    """Case, script and width of an address do not make another account of it."""
    assert address(text) == canonical
    assert address(canonical) == canonical


SOURCE = re.compile(r"^[\w\.-]+@[\w\.-]+\.\w+$")
"""The expression of the first source policy (S1-090), as it stands there."""


@pytest.mark.requirement("S1-090", "S3-031", "C-10")
@pytest.mark.parametrize(
    "text",
    [
        *probes.BAD_ADDRESSES,
        "a@b..c",
        "..@..x",
        "@",
        "a@",
        "@b.co",
        "a b@c.co",
        " a@b.co",
        "a@b.co ",
        "a@b.co\r\n",
        "a@b.co\nBcc: c@d.co",
        "a@b.co,c@d.co",
        "a@b.co;c@d.co",
        "Ann <a@b.co>",
        '"a b"@c.co',
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "a@localhost",
        "a@b",
        "a@-b.co",
        "a@b_c.co",
        "a@b.co.",
        "a@x.invalid",
        "a@x.local",
        "é@b.co",
        "\u0131@b.co",
        "a\u200b@b.co",
        "a@b\u200b.co",
        "a@\u202eoc.b",
        "x" * 65 + "@example.com",
        "a@" + ".".join(["b" * 49] * 5) + ".com",
        "a@b.co\0",
        "\ud800@b.co",
        "a@" + "b." * 200 + "co",
    ],
)
def test_what_is_no_address(text: str) -> None:
    """A list, a header, a lookalike, an endless or a local address is refused by name."""
    with pytest.raises(Refused) as refused:
        address(text)
    assert refused.value.reason is signup.ADDRESS
    assert refused.value.fields == {"email": "a mail address, e.g. name@company.com"}


@pytest.mark.requirement("C-10")
def test_the_sources_expression_does_worse() -> None:
    """The expression of the source policy takes what is no address, and refuses what is one."""
    assert SOURCE.match("..@..x")
    assert SOURCE.match("a@b.c\n")
    assert not SOURCE.match("o'neil@example.com")
    assert not SOURCE.match("a+b@example.com")


def test_the_field_is_the_callers() -> None:
    """A form that calls its field otherwise is told by that name."""
    with pytest.raises(Refused) as refused:
        address("nobody", field="new_email")
    assert list(refused.value.fields) == ["new_email"]


_PARTS = st.text(st.sampled_from("abcKxyz019.-_+'\"\\ @\u0131\u212aéü\u0308\uff41\0\n<>,;[]()"), max_size=12)


@given(st.text(max_size=40) | st.emails() | st.builds("{}@{}".format, _PARTS, _PARTS))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """Whatever is typed: one canonical ASCII address in lower case, or a refusal."""
    try:
        canonical = address(text)
    except Refused:
        return
    assert canonical.isascii()
    assert canonical == canonical.lower() == address(canonical)
    assert len(canonical) <= 254
    assert not set(canonical) & set(' \t\r\n\0,;<>"')


# The policy


@pytest.mark.requirement("C-08")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROLES + '[signup]\nopen = true\nrole = "admin"', "whoever signs up would manage users"),
        (ROLES + '[signup]\nopen = true\nrole = "clerk"', "whoever signs up would manage users"),
        (ROLES + '[signup]\nopen = true\nrole = "visitor"', "'visitor' is not in [roles]"),
        ('[signup]\nopen = true\nrole = "visitor"', "the roles you declare"),
        (ROLES + '[signup]\nrole = "Admin"', "signup.role"),
        ('[signup]\nopen = "yes"', "true or false"),
        ("[signup]\ninvite = true", "no such key"),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, text: str, said: str) -> None:
    """A role that does not exist, or that would let strangers manage users, refuses to start."""
    assert said in Builder(tmp_path).refusal(text)


@pytest.mark.parametrize(
    ("text", "granted", "said"),
    [
        ("", None, "nobody can sign up"),
        (ROLES + '[signup]\nrole = "admin"', None, "nobody can sign up"),
        (ROLES + OPEN, {"user"}, "gets the role `user`"),
        ("[signup]\nopen = true", set(), "gets no role"),
        (ROLES + OPEN + 'off = true\nbecause = "a closed house"', None, "nobody can sign up"),
    ],
)
def test_who_gets_what(tmp_path: Path, text: str, granted: set[str] | None, said: str) -> None:
    """Closed by default; open, strangers get the policy's role or none."""
    policy = Builder(tmp_path).policy(text)
    assert said in " ".join(CONTROL.statement(policy))
    if granted is not None:
        assert new_roles(policy) == granted
        return
    with pytest.raises(Refused) as refused:
        new_roles(policy)
    assert refused.value.reason is signup.CLOSED


# Attack stories


@pytest.mark.requirement("S3-031", "C-08")
def test_a_stranger_gets_the_default_role(laboratory: Laboratory) -> None:
    """A plain sign-up makes one account with the policy's role, and no session."""
    reply = sign_up(laboratory, "Ann@People.test")
    assert (reply.status, reply.all("set-cookie")) == (202, [])
    made = account(laboratory, "ann@people.test")
    assert made is not None
    assert (made.roles, made.name, made.disabled_at, made.epoch) == ({"user"}, "Ann", None, 1)
    assert made.password_hash is not None
    assert sign_in(laboratory, "ANN@people.TEST").status == 200
    rows = laboratory.audit(action="user_created", entity_id=made.id)
    assert [row["changes"] for row in rows] == [{"roles": {"old": [], "new": ["user"]}}]


@pytest.mark.requirement("S3-031", "C-08")
@pytest.mark.parametrize("extra", probes.EXTRA, ids=lambda extra: next(iter(extra)))
def test_a_stranger_chooses_nothing_else(flask_laboratory: Laboratory, extra: dict[str, Any]) -> None:
    """role=admin and all its relatives are told that they are no fields, and make no account (A088)."""
    reply = sign_up(flask_laboratory, "ann@people.test", **extra)
    assert (reply.status, reply.code) == (422, "errors.invalid")
    assert account(flask_laboratory, "ann@people.test") is None


@pytest.mark.requirement("S3-031", "C-08")
@pytest.mark.parametrize(
    "way", ["form", "multipart", "query", "header", "cookie", "twice", "list", "an administrator's"]
)
def test_no_way_around_the_default_role(laboratory: Laboratory, way: str) -> None:
    """However a role is sent along, nobody gets it (A088)."""
    client = laboratory.administrator() if way == "an administrator's" else laboratory.visitor()
    token = (client.token_header, client.token())
    values = {"email": "ann@people.test", "name": "", "password": PASSWORD}
    headers: list[tuple[str, str]] = [*client.from_here, token]
    path, how = laboratory.api("sign_up"), dict[str, Any](json=values)
    if way == "form":
        path, how = laboratory.url("sign_up"), {"form": {**values, "role": "admin"}}
    elif way == "multipart":
        path, how = (
            laboratory.url("sign_up"),
            {
                "body": "".join(
                    f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
                    for k, v in {**values, "role": "admin"}.items()
                ).encode()
                + b"--b--\r\n"
            },
        )
        headers.append(("Content-Type", "multipart/form-data; boundary=b"))
    elif way == "query":
        path += "?role=admin"
    elif way == "header":
        headers += [("X-Role", "admin"), ("X-User-Role", "admin")]
    elif way == "cookie":
        client.cookies["role"] = "admin"
    elif way == "twice":
        headers.append(("Content-Type", "application/json"))
        how = {
            "body": b'{"email": "ann@people.test", "role": "user", "password": "%s", "name": "", '
            b'"role": "admin"}' % PASSWORD.encode()
        }
    elif way == "list":
        how = {"json": [{**values, "role": "admin"}]}
    reply = client.send("POST", path, headers=headers, **how)
    made = account(laboratory, "ann@people.test")
    taken = way in ("query", "header", "cookie", "an administrator's")
    refused = 400 if way == "twice" else 422  # of a name that comes twice, parsers read different ones
    assert (reply.status, made is not None) == ((202, True) if taken else (refused, False))
    assert made is None or made.roles == {"user"}


@pytest.mark.requirement("C-41")
def test_a_taken_address_is_not_told(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free or taken, shut or without a password: one answer, one hash, and a mail to the owner (A019)."""
    hashes: list[str] = []
    for scheme in SCHEMES.values():
        real = scheme.make

        def counting(made: Any, password: str, real: Any = real) -> str:
            hashes.append(password)
            return str(real(made, password))

        monkeypatch.setattr(scheme, "make", counting)
    house = laboratory.site.house
    taken = {"taken": laboratory.person(), "shut": laboratory.person(), "no password": laboratory.person()}
    with house.store.transaction() as connection:
        users.change(connection, taken["shut"].id, disabled_at=house.now())
        users.change(connection, taken["no password"].id, password_hash=None)
    before = {who.email: account(laboratory, who.email) for who in taken.values()}
    hashes.clear()
    replies = [sign_up(laboratory, email) for email in ("free@people.test", *before)]
    replies.append(sign_up(laboratory, taken["taken"].email.upper()))
    assert [facts(reply) for reply in replies] == [facts(replies[0])] * 5
    assert replies[0].status == 202
    assert len(hashes) == 5
    assert {email: account(laboratory, email) for email in before} == before
    assert sign_in(laboratory, taken["taken"].email).status == 401
    for email in before:
        messages = told(laboratory, email)
        assert len(messages) == 1
        assert "already" in messages[0]["Subject"]
        assert PASSWORD not in str(messages[0])
        assert "token" not in str(messages[0])
    [link] = told(laboratory, "free@people.test")
    assert "/confirm-email/" in link.get_content()


@pytest.mark.requirement("C-41")
def test_pages_answer_alike_too(laboratory: Laboratory) -> None:
    """A person in a browser is sent to the same place for a free and a taken address."""
    person = laboratory.person()
    seen = []
    for email in ("free@people.test", person.email):
        visitor = laboratory.visitor()
        body = urlencode({visitor.token_header: "", "email": email, "name": "", "password": PASSWORD})
        reply = visitor.act(
            "POST",
            laboratory.url("sign_up"),
            body=body.partition("&")[2].encode(),
            headers=[("Content-Type", "application/x-www-form-urlencoded")],
        )
        seen.append((reply.status, reply.header("location"), reply.body))
    assert seen[0] == seen[1]
    assert seen[0][0] == 303
    assert account(laboratory, "free@people.test") is not None


@pytest.mark.requirement("C-41")
def test_what_is_wrong_is_said_before_anybody_looks(laboratory: Laboratory) -> None:
    """A weak password gets the same 422 for a free and a taken address, and nobody a mail."""
    person = laboratory.person()
    replies = [sign_up(laboratory, email, password="short") for email in ("f@people.test", person.email)]
    assert {(r.status, r.code, str(r.json()["errors"])) for r in replies} == {
        (422, "passwords.weak", str(replies[0].json()["errors"]))
    }
    assert laboratory.mail() == []


def test_the_owner_of_an_address_is_not_bombed(flask_laboratory: Laboratory) -> None:
    """Twenty attempts with somebody's address send one mail an hour, and leave twenty records."""
    laboratory, house = flask_laboratory, flask_laboratory.site.house
    person = laboratory.person()
    for number in range(4):
        for _ in range(3):
            accounts.sign_up(house, email=person.email, password=PASSWORD)
        assert len(told(laboratory, person.email)) == number + 1
        laboratory.clock.advance(accounts.TOLD_EVERY)
    rows = laboratory.audit(action="user_signup_taken", entity_id=person.id)
    assert len(rows) == 12
    assert {(row["user_id"], row["outcome"]) for row in rows} == {(None, "refused")}
    assert len(laboratory.audit(action="user_signup_told", entity_id=person.id)) == 4


@pytest.mark.requirement("C-41")
def test_two_sign_up_with_one_address_at_once(laboratory: Laboratory) -> None:
    """At the same moment, in every spelling: one account, neutral answers, and no failure (A019)."""
    spellings = [
        "Ann@B\u00fccher.test",
        "ann@bu\u0308cher.test",
        "ANN@B\u00dcCHER.TEST",
        "ann@xn--bcher-kva.test",
    ]
    before = count(laboratory)
    replies = laboratory.burst(lambda n: sign_up(laboratory, spellings[n]), len(spellings))
    assert [facts(reply) for reply in replies] == [facts(replies[0])] * 4
    assert replies[0].status == 202
    assert count(laboratory) == before + 1


@pytest.mark.requirement("S1-090", "S3-031")
@pytest.mark.parametrize("email", probes.BAD_ADDRESSES)
def test_no_account_for_no_address(flask_laboratory: Laboratory, email: str) -> None:
    """What is no address gets 422, makes no account and sends no mail."""
    before = count(flask_laboratory)
    reply = sign_up(flask_laboratory, email)
    assert reply.status == 422
    assert [error["pointer"] for error in reply.json()["errors"]] == ["#/email"]
    assert count(flask_laboratory) == before
    assert flask_laboratory.mail() == []


@pytest.mark.requirement("S3-031")
def test_where_it_is_closed_nobody_signs_up(closed: Laboratory) -> None:
    """Page and endpoint refuse, no account is made, and an administrator still may (A181)."""
    reply = sign_up(closed, "ann@people.test")
    assert (reply.status, reply.code) == (403, "signup.closed")
    assert closed.visitor().page(closed.url("sign_up")).status == 403
    assert closed.url("sign_up") not in closed.visitor().page(closed.url("sign_in")).text
    assert count(closed) == 0
    admin = closed.administrator()
    made = admin.act(
        "POST",
        closed.api("users"),
        json={"email": "ann@people.test", "name": "", "role": ["user"]},
    )
    assert (made.status, made.json()["roles"]) == (201, ["user"])


def test_an_administrator_is_told_that_an_address_is_taken(laboratory: Laboratory) -> None:
    """Whoever may list the accounts learns nothing new by it: 409, and no second account."""
    admin, person = laboratory.administrator(), laboratory.person()
    reply = admin.act(
        "POST",
        laboratory.api("users"),
        json={"email": person.email.upper(), "name": "", "role": []},
    )
    assert (reply.status, reply.code) == (409, "signup.taken")
    assert laboratory.mail() == []


def test_a_name_is_one_line(flask_laboratory: Laboratory) -> None:
    """A name with line breaks or endless ends as one printable line, whoever calls the verb."""
    house = flask_laboratory.site.house
    accounts.sign_up(house, email="a@people.test", password=PASSWORD, name="  Ann\r\nBcc: x\0 " + "n" * 300)
    made = account(flask_laboratory, "a@people.test")
    assert made is not None
    assert made.name.startswith("Ann??Bcc: x? nnn")
    assert len(made.name) == signup.MAX_NAME


@pytest.mark.requirement("S1-067", "C-10")
def test_a_process_that_cannot_mail_lets_nobody_sign_up(tmp_path: Path) -> None:
    """In production, with sign-up open and mail that goes nowhere, the start is refused: everybody who signed
    up would wait for ever. A server, a closed door or nothing to confirm are each enough."""
    build = Builder(tmp_path)

    def problems(text: str, **environ: str) -> list[str]:
        policy = build.policy(ROLES + text, **environ)
        house = site.build(policy, Ports())
        house.store.close()
        return [found.key for found in CONTROL.start(house)]

    assert problems(OPEN) == ["mail.server"]
    assert problems(OPEN.replace("true", "false")) == []
    assert problems(OPEN + "[email]\nconfirm = false") == []
    assert problems(OPEN + '[mail]\nserver = "env:SMTP_URL"', SMTP_URL="smtp://mail.acme.eu") == []
    assert problems(OPEN, BYLAW_ENV="development") == []


# Proof


@pytest.mark.parametrize("probe", CONTROL.probes, ids=lambda probe: probe.name)
def test_the_promise_holds_where_it_is_closed(closed: Laboratory, probe: Any) -> None:
    """The probes open and close the door themselves, whatever the policy says."""
    result = attempt(CONTROL, probe, closed)
    assert result.outcome == "pass", result.evidence
