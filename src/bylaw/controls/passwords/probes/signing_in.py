"""Attacks on what a sign-in with a password tells and costs."""

from __future__ import annotations

from typing import Any

from bylaw.control import Broken, probe
from bylaw.controls import passwords
from bylaw.controls.passwords.probes.common import choose, good_password, hashing_done, sign_in
from bylaw.store import users


@probe("high", "C-41", "A015")
def sign_in_tells_nothing(lab: Any) -> str:
    """Sign-in answers alike, after equal work, whoever has or has not an account."""
    settings, house = lab.policy.of(passwords.Settings), lab.site.house
    people = {
        name: lab.person().email for name in ("a wrong password", "disabled", "no password", "a broken hash")
    }
    with house.store.transaction() as connection:
        for name, values in (
            ("disabled", {"disabled_at": house.now()}),
            ("no password", {"password_hash": None}),  # nosec B105  # no secret: an example, a word or a laboratory's
            ("a broken hash", {"password_hash": "$argon2id$broken"}),  # nosec B105  # no secret: an example, a word or a laboratory's
        ):
            user = users.by_email(connection, people[name])
            if user is not None:
                users.change(connection, user.id, **values)
    people["no account"] = "nobody-at-all@people.test"
    people["no address"] = "nobody"
    seen = {}
    for name, email in people.items():
        with hashing_done() as computed:
            reply = sign_in(lab, email, good_password(settings))
        body = reply.json()
        body.pop("instance", None)
        headers = sorted(key.lower() for key, _ in reply.headers)
        seen[name] = (reply.status, repr(body), headers, computed)
    known = seen["a wrong password"]
    for name, (status, body, headers, computed) in seen.items():
        if computed != known[3]:
            raise Broken(f"{name}: {computed or 'nothing'} computed, otherwise {known[3]}")
        if (status, body, headers) != known[:3]:
            raise Broken(f"{name}: {status} {body}, otherwise {known[0]} {known[1]}")
    return f"{reply.status} and one hash for each of: {', '.join(seen)}"


@probe("high", "S3-006", "C-03", "A007", "A014", "A186")
def impossible_costs_nothing(lab: Any) -> str:
    """What cannot be a password is refused before anything is hashed."""
    settings, person = lab.policy.of(passwords.Settings), lab.person()
    impossible: dict[str, Any] = {
        "one too long": "a" * (settings.max_length + 1),
        "1 MB": "a" * 1_000_000,
        "NUL": "pass\0word",
        "a surrogate": "\ud800" * 16,
        "empty": "",
        "null": None,
        "a number": 1,
        "true": True,
        "a list": [person.password],
        "an object": {"$ne": ""},
    }
    with hashing_done() as computed:
        for name, password in impossible.items():
            reply = sign_in(lab, person.email, password)
            if reply.status not in (400, 401, 413, 422) or reply.all("set-cookie"):
                raise Broken(f"{name}: {reply}")
            if computed:
                raise Broken(f"{name}: a hash was computed")
    longest = ("Vq7! mZ4_kRw8-tYp2 " * 300)[: settings.max_length]
    email, _ = choose(lab, longest)
    if sign_in(lab, email, longest).status != 200:
        raise Broken(f"a password of {settings.max_length} characters does not sign in")
    return f"{', '.join(impossible)}: refused without a hash; {settings.max_length} characters sign in"


@probe("high", "A007")
def storm_is_told_to_return(lab: Any) -> str:
    """When hashing is full, sign-ins are told when to come back, and others are served."""
    person, other = lab.person(), lab.client()
    with lab.site.house.hashes.occupied(), hashing_done() as computed:
        reply = lab.sign_in(person)
        if reply.code != passwords.BUSY.code or not reply.header("retry-after").isdigit() or computed:
            raise Broken(f"{reply}, Retry-After {reply.header('retry-after')!r}")
        if lab.whoami(other).status != 200:
            raise Broken("somebody who is signed in was not served")
    if lab.sign_in(person).status != 200:
        raise Broken("nobody can sign in after the storm")
    return f"{reply}, Retry-After {reply.header('retry-after')}; who is signed in was served"
