"""Attacks on the running application by way of its passwords, and the ways in which the control is
broken on purpose to see that they notice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bylaw import hashing
from bylaw.control import Broken, Patch, probe, sabotage
from bylaw.controls import passwords
from bylaw.house import House
from bylaw.reasons import Refused
from bylaw.store import users


@contextmanager
def _computed() -> Iterator[list[str]]:
    """The kind and cost of each hash that is verified while the block lasts."""
    real = hashing.verify
    computed: list[str] = []

    def counting(stored: str, password: str) -> bool | None:
        right = real(stored, password)
        if right is not None:
            computed.append("$".join(stored.split("$")[:-2]))
        return right

    setattr(hashing, "verify", counting)  # noqa: B010 - mypy knows that a function is no variable
    try:
        yield computed
    finally:
        setattr(hashing, "verify", real)  # noqa: B010 - (the same)


def _create(lab: Any, password: str) -> tuple[str, Any]:
    """Make an account with this password, as an administrator: its address, and the reply."""
    email = f"new-{lab.person().id[:8]}@people.test"
    reply = lab.administrator().act(
        "POST", lab.api("users"), json={"email": email, "name": "New", "password": password, "role": []}
    )
    return email, reply


def _stored(lab: Any, email: str) -> str:
    with lab.site.house.store.reading() as connection:
        user = users.by_email(connection, email)
    return "" if user is None else user.password_hash or ""


def _sign_in(lab: Any, email: str, password: Any) -> Any:
    visitor = lab.visitor()
    return visitor.send(
        "POST", lab.api("sign_in"), headers=visitor.from_here, json={"email": email, "password": password}
    )


def _good(settings: passwords.Settings) -> str:
    """A password that every policy takes, of exactly the least length that is sensible."""
    return ("Vq7! " + "mZ4_kRw8-tYp2" * 6)[: max(settings.min_length, 15)]


_KEPT: Final = {
    "argon2id": "$argon2id$v=19$m=65536,t=3,p=1$",
    "pbkdf2-sha256": f"pbkdf2:sha256:{hashing.PBKDF2_ROUNDS}$",
}


@probe("critical", "S1-009", "S1-010", "S3-002", "S3-003", "C-04")
def kept_as_promised(lab: Any) -> str:
    """A new password is kept as the policy says, and stands nowhere in clear."""
    settings = lab.policy.of(passwords.Settings)
    password = _good(settings)
    email, reply = _create(lab, password)
    stored = _stored(lab, email)
    if reply.status != 201 or not stored.startswith(_KEPT[settings.hash]):
        raise Broken(f"{reply}; kept as {stored.rpartition('$')[0] or 'nothing that is a hash'}")
    if _sign_in(lab, email, password).status != 200:
        raise Broken("the password that was set does not sign in")
    everything = f"{lab.dump()} {lab.logs.text} {lab.mail()} {reply.text}"
    if password in everything:
        raise Broken("the password stands in a table, the log, a mail or an answer")
    return f"kept as {_KEPT[settings.hash]}…, in no table, log, mail or answer in clear"


@probe("high", "S1-004", "S1-005", "S1-006", "S1-007", "S1-008", "S3-005", "S3-006", "S3-007", "C-02")
def weak_is_refused(lab: Any) -> str:
    """A password that the policy does not take is refused where an account is made."""
    settings = lab.policy.of(passwords.Settings)
    good = _good(settings)
    weak = {
        "a character short": good[: settings.min_length - 1],
        "a character long": (good * 300)[: settings.max_length + 1],
        "a repetition": ("Passw0rd!" * 8)[: max(settings.min_length, 18)],
        "rows of keys": "Qwertyuiop1!" * 5,
        "the site's name": lab.policy.app.name if len(lab.policy.app.name) > 7 else "Password1!",
    }
    lacking = {
        "upper": good.lower(),
        "lower": good.upper(),
        "digit": re.sub(r"\d", "x", good),
        "special": re.sub(r"[^A-Za-z\d]", "x", good),
    }
    weak |= {f"without {passwords.SPOKEN[kind]}": lacking[kind] for kind in settings.composition}
    for name, password in weak.items():
        email, reply = _create(lab, password)
        if reply.status != 422 or reply.code != passwords.WEAK.code or _stored(lab, email):
            raise Broken(f"{name}: {reply}")
        if password in reply.text:
            raise Broken(f"{name}: the answer repeats the password")
    if not settings.composition and _create(lab, "three plain old words here " * 2)[1].status != 201:
        raise Broken("a long password in lower-case letters was refused")
    return f"422 for {', '.join(weak)}"


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
        with _computed() as computed:
            reply = _sign_in(lab, email, _good(settings))
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
    with _computed() as computed:
        for name, password in impossible.items():
            reply = _sign_in(lab, person.email, password)
            if reply.status not in (400, 401, 413, 422) or reply.all("set-cookie"):
                raise Broken(f"{name}: {reply}")
            if computed:
                raise Broken(f"{name}: a hash was computed")
    longest = ("Vq7! mZ4_kRw8-tYp2 " * 300)[: settings.max_length]
    email, _ = _create(lab, longest)
    if _sign_in(lab, email, longest).status != 200:
        raise Broken(f"a password of {settings.max_length} characters does not sign in")
    return f"{', '.join(impossible)}: refused without a hash; {settings.max_length} characters sign in"


@probe("medium", "S3-004", "C-04")
def older_hash_is_upgraded(lab: Any) -> str:
    """A hash of another kind is read once more, and upgraded when its owner signs in."""
    settings, house, person = lab.policy.of(passwords.Settings), lab.site.house, lab.person()
    key = hashlib.pbkdf2_hmac("sha256", person.password.encode(), b"saltsalt", 1000).hex()
    with house.store.transaction() as connection:
        users.change(connection, person.id, password_hash=f"pbkdf2:sha256:1000$saltsalt${key}")
    if lab.sign_in(person, "wrong " + person.password).status != 401:
        raise Broken("a wrong password signs in")
    if not _stored(lab, person.email).startswith("pbkdf2:sha256:1000$"):
        raise Broken("a failed sign-in changed the stored hash")
    if lab.sign_in(person).status != 200:
        raise Broken("PBKDF2-SHA256 in Werkzeug's form cannot be read")
    stored = _stored(lab, person.email)
    again = _sign_in(lab, person.email, person.password)
    if not stored.startswith(_KEPT[settings.hash]) or again.status != 200:
        raise Broken(f"after signing in it is kept as {stored.rpartition('$')[0]}")
    return f"pbkdf2:sha256:1000 became {_KEPT[settings.hash]}…"


@probe("high", "A007")
def storm_is_told_to_return(lab: Any) -> str:
    """When hashing is full, sign-ins are told when to come back, and others are served."""
    person, other = lab.person(), lab.client()
    with lab.site.house.hashes.occupied(), _computed() as computed:
        reply = lab.sign_in(person)
        if reply.code != passwords.BUSY.code or not reply.header("retry-after").isdigit() or computed:
            raise Broken(f"{reply}, Retry-After {reply.header('retry-after')!r}")
        if lab.whoami(other).status != 200:
            raise Broken("somebody who is signed in was not served")
    if lab.sign_in(person).status != 200:
        raise Broken("nobody can sign in after the storm")
    return f"{reply}, Retry-After {reply.header('retry-after')}; who is signed in was served"


@probe("high", "S1-011", "C-41")
def change_asks_for_the_current(lab: Any) -> str:
    """A password is changed by whoever knows it, and no page shows one."""
    settings, client = lab.policy.of(passwords.Settings), lab.client()
    before = _stored(lab, client.email)
    for current in ("wrong " + client.password, "", None):
        reply = client.act(
            "POST", lab.api("change_password"), json={"current": current, "password": _good(settings)}
        )
        if reply.status not in (401, 422) or _stored(lab, client.email) != before:
            raise Broken(f"current password {current!r}: {reply}")
    shown = [client.page(lab.url(name)).text for name in ("change_password", "sessions")]
    shown.append(lab.whoami(client).text)
    if any(secret in text for text in shown for secret in (before, client.password)):
        raise Broken("a page shows the password or its hash")
    return "a wrong, an empty and no current password change nothing; no page shows one"


@sabotage
def kept_in_clear(patch: Patch) -> None:
    """Passwords are stored as they are given."""
    for scheme in hashing.SCHEMES.values():
        patch(scheme, "make", lambda self, password: password)


@sabotage
def anything_goes(patch: Patch) -> None:
    """Any password is taken."""
    patch(passwords, "faults", lambda settings, password, **how: [])


@sabotage
def no_decoy(patch: Patch) -> None:
    """Where there is no account nothing is hashed: the answer comes at once."""

    def check(house: House, stored: str | None, password: str) -> str | None:
        if stored is None:
            raise Refused(passwords.WRONG)
        return passwords._pooled(house, passwords._verify, house, stored, password)

    patch(passwords, "check", check)


@sabotage
def endless(patch: Patch) -> None:
    """Passwords of any length are hashed."""
    patch(passwords, "hashable", lambda settings, password: passwords.normal(password))


@sabotage
def never_upgraded(patch: Patch) -> None:
    """Older hashes stay as they are."""
    for scheme in hashing.SCHEMES.values():
        patch(scheme, "outdated", lambda self, stored: False)


@sabotage
def no_budget(patch: Patch) -> None:
    """As many hashes are computed at once as people ask for."""
    patch(hashing.HashPool, "run", lambda self, work, *args: work(*args))


@sabotage
def current_not_asked(patch: Patch) -> None:
    """Any password passes for the right one."""
    patch(passwords, "check", lambda house, stored, password: None)


PROBES: Final = (
    kept_as_promised,
    weak_is_refused,
    sign_in_tells_nothing,
    impossible_costs_nothing,
    older_hash_is_upgraded,
    storm_is_told_to_return,
    change_asks_for_the_current,
)
SABOTAGES: Final = (
    kept_in_clear,
    anything_goes,
    no_decoy,
    endless,
    never_upgraded,
    no_budget,
    current_not_asked,
)
