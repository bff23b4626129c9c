"""Attacks on how passwords are kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bylaw import hashing
from bylaw.control import Broken, probe
from bylaw.controls import passwords
from bylaw.controls.passwords.probes.common import choose, good_password, sign_in, stored_hash
from bylaw.hashing import Peppered, Peppers
from bylaw.store import users


def _kept(settings: passwords.Settings) -> str:
    """What a new hash begins with by the policy: kind and cost."""
    if settings.hash == "argon2id":
        return f"$argon2id$v=19$m={settings.argon2_memory // 1024},t={settings.argon2_passes},p=1$"
    return f"pbkdf2:sha256:{hashing.PBKDF2_ROUNDS}$"


_PEPPER: Final = re.compile(r"^hmac-sha256:[0-9a-f]{8}:")


def _is_kept(settings: passwords.Settings, stored: str) -> bool:
    bare = _PEPPER.sub("", stored)
    return bare.startswith(_kept(settings)) and (bare != stored) == (settings.pepper is not None)


@probe("critical", "S1-009", "S1-010", "S3-002", "S3-003", "C-04")
def kept_as_promised(lab: Any) -> str:
    """A new password is kept as the policy says, and stands nowhere in clear."""
    settings = lab.policy.of(passwords.Settings)
    password = good_password(settings)
    email, reply = choose(lab, password)
    stored = stored_hash(lab, email)
    if reply.status != 200 or not _is_kept(settings, stored):
        raise Broken(f"{reply}; kept as {stored.rpartition('$')[0] or 'nothing that is a hash'}")
    if sign_in(lab, email, password).status != 200:
        raise Broken("the password that was set does not sign in")
    everything = f"{lab.dump()} {lab.logs.text} {lab.mail()} {reply.text}"
    if password in everything:
        raise Broken("the password stands in a table, the log, a mail or an answer")
    return f"kept as {_kept(settings)}…, in no table, log, mail or answer in clear"


@probe("medium", "S3-004", "C-04")
def older_hash_is_upgraded(lab: Any) -> str:
    """A hash of another kind is read once more, and upgraded when its owner signs in."""
    settings, house, person = lab.policy.of(passwords.Settings), lab.site.house, lab.person()
    key = hashlib.pbkdf2_hmac("sha256", person.password.encode(), b"saltsalt", 1000).hex()
    with house.store.transaction() as connection:
        users.change(connection, person.id, password_hash=f"pbkdf2:sha256:1000$saltsalt${key}")
    if lab.sign_in(person, "wrong " + person.password).status != 401:
        raise Broken("a wrong password signs in")
    if not stored_hash(lab, person.email).startswith("pbkdf2:sha256:1000$"):
        raise Broken("a failed sign-in changed the stored hash")
    if lab.sign_in(person).status != 200:
        raise Broken("PBKDF2-SHA256 in Werkzeug's form cannot be read")
    stored = stored_hash(lab, person.email)
    again = sign_in(lab, person.email, person.password)
    if not _is_kept(settings, stored) or again.status != 200:
        raise Broken(f"after signing in it is kept as {stored.rpartition('$')[0]}")
    return f"pbkdf2:sha256:1000 became {_kept(settings)}…"


@contextmanager
def _peppered(lab: Any, *keys: bytes) -> Iterator[None]:
    """Have the laboratory's passwords under the first of these peppers."""
    house = lab.site.house
    before = house.scheme, house.peppers
    inner = before[0].scheme if isinstance(before[0], Peppered) else before[0]
    house.peppers = Peppers(keys)
    house.scheme = Peppered(inner, house.peppers)
    try:
        yield
    finally:
        house.scheme, house.peppers = before


@probe("high", "C-40")
def table_alone_is_worth_nothing(lab: Any) -> str:
    """With a pepper, the table alone cannot be guessed at; a new pepper is taken up at sign-in."""
    password, house = good_password(lab.policy.of(passwords.Settings)), lab.site.house
    first, second = (house.ports.entropy(32) for _ in range(2))
    with _peppered(lab, first):
        email, reply = choose(lab, password)
        stored = stored_hash(lab, email)
        if reply.status != 200 or not _PEPPER.match(stored) or sign_in(lab, email, password).status != 200:
            raise Broken(f"{reply}, kept as {stored.rpartition('$')[0]}")
    if hashing.verify(_PEPPER.sub("", stored), password) is not False:
        raise Broken("whoever has the table can try passwords without the pepper")
    if sign_in(lab, email, password).status != 401:
        raise Broken("without its pepper the password signs in")
    if not any("pepper" in found.key for found in passwords._start(house)):
        raise Broken("the application would start without a pepper that its passwords need")
    with _peppered(lab, second, first):
        if sign_in(lab, email, password).status != 200 or stored_hash(lab, email)[:20] == stored[:20]:
            raise Broken("after a new pepper the password does not sign in, or stays under the old one")
    with _peppered(lab, second):
        if sign_in(lab, email, password).status != 200:
            raise Broken("the password is not under the new pepper")
    return f"kept as {stored[:21]}…; nothing without the key; rotated at sign-in; missed at start"
