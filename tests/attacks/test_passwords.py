"""Passwords: bursts of enormous ones, and rows that hold what is no hash."""

from __future__ import annotations

from time import process_time

import pytest

from bylaw.store import users
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.people import PASSWORD
from tests.applications.stacks import hurry

MEGABYTE = "a" * 1_048_576


@pytest.mark.requirement("S3-006", "C-03")
def test_a007_five_enormous_passwords_keep_nobody_waiting(laboratory: Laboratory) -> None:
    """Five of a megabyte at a time, and alice's own request in between is answered as ever."""
    alice = laboratory.ordinary()
    assert laboratory.whoami(alice).status == 200
    paths = [laboratory.api("sign_in"), laboratory.api("sign_up")]

    def one(number: int) -> int:
        if number == 5:
            return laboratory.whoami(alice).status
        visitor = laboratory.visitor()
        return visitor.send(
            "POST",
            paths[number % 2],
            headers=visitor.from_here,
            json={"email": "alice@people.test", "password": MEGABYTE * (1 + 4 * (number > 2))},
        ).status

    began = process_time()  # the work of this process: a neighbour's is no delay of ours
    answers = laboratory.burst(one, 6)
    assert answers[5] == 200
    assert set(answers[:5]) <= {400, 413, 422}
    assert process_time() - began < 2  # for all six


@pytest.mark.requirement("C-03")
def test_a007_a_body_of_unknown_length_is_not_gathered(laboratory: Laboratory) -> None:
    """Five megabytes in pieces, without a length: refused when the limit is reached."""
    visitor = laboratory.visitor()
    for path in (laboratory.api("sign_in"), laboratory.url("sign_in")):
        headers = [
            *visitor.from_here,
            ("Content-Type", "application/json"),
            ("X-CSRF-Token", visitor.token()),
        ]
        reply = visitor.send("POST", path, headers=headers, chunks=(b"a" * 65536,) * 80)
        assert reply.status in (400, 413), reply


@pytest.mark.requirement("S1-010", "S3-002")
@pytest.mark.parametrize(
    "stored",
    [
        "",
        " ",
        "!",
        "*",
        "x",
        "!unusable",
        "$",
        "$argon2id$",
        "$argon2id$v=19$m=65536,t=3,p=1$",
        "$argon2id$v=19$m=65536,t=3,p=1$AAAA$AAAA",
        "$2b$12$abcdefghijklmnopqrstuv",
        "pbkdf2:sha256",
        "pbkdf2:sha256:$a$b",
        "pbkdf2:sha256:0$a$b",
        "pbkdf2:sha256:-1$a$b",
        "pbkdf2:nothing:10$a$b",
        "pbkdf2:sha256:99999999999$a$b",
        "scrypt:1:1:1$a$b",
        "scrypt:0:8:1$a$b",
        "md5$a$b",
        PASSWORD,
    ],
)
def test_a014_what_is_no_hash_opens_nothing(flask_laboratory: Laboratory, stored: str) -> None:
    """An imported row holds a marker, a cut-off hash or plain text: no password fits it, not itself."""
    laboratory = flask_laboratory
    hurry(laboratory)
    gina = laboratory.person("user", password=None)
    with laboratory.site.house.store.transaction() as connection:
        users.change(connection, gina.id, password_hash=stored)
    for password in (stored, PASSWORD, "x"):
        reply = laboratory.sign_in(gina, password)
        assert reply.status in (401, 422), reply
        assert laboratory.cookie not in gina.cookies
