"""Attacks on the running application by way of its secrets."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import errors, secrets
from bylaw.keys import KeyRing, base64url

WEAK: Final = {
    "a fallback in the code": "fallback-dev-key",
    "a sample of a source policy": "0x3f8a2b...c7d9e1f4",
    "a sample": "your_secret_key_here",
    "a sample to fill in": "<your-secure-secret-key>",
    "a variable that nobody put in": "${SECRET_KEY}",
    "a word": "changeme",
    "a word, padded": "changeme" + "7" * 60,
    "a token that was hardcoded once": "ADMIN123",
    "too short": "Zk3v9Q2m",
    "one letter": "a" * 64,
    "a piece over and over": "0123456789abcdef" * 4,
    "the alphabet": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOP",
    "rows of keys": "qwertyuiopasdfghjklzxcvbnm1234567890QWERTYUIOPASDFGHJKLZXCVBNM1234",
    "a sentence": "this is the secret key of our production server, do not tell anybody",
}
DEFAULTS: Final = (
    ("admin", "admin"),
    ("admin@{host}", "admin"),
    ("admin@{host}", "password"),
    ("admin@{host}", "changeme"),
    ("root@{host}", "root"),
    ("test@{host}", "test"),
)
TOKENS: Final = ("ADMIN123", "admin", "your_admin_token_here", "null", "")
_PLACEHOLDER: Final = re.compile(r"<[^>]*>|\{[^}]*\}")


def _start(lab: Any, **environ: str) -> str | None:
    """What a start of this policy with other variables is refused with, None where it is not."""
    refused = lab.refuses_to_start(lab.policy.file.read_text("utf-8"), **environ)
    return None if refused is None else str(refused)


def _variable(lab: Any, section: str, key: str, default: str) -> str:
    """The variable that a secret of the policy comes from. Raises CouldNotLook where it is none."""
    written = str(lab.policy.written.get(section, {}).get(key, default))
    match = re.fullmatch(r"env:(\w+).*", written)
    if match is None:
        raise CouldNotLook(f"{section}.{key} does not come from the environment")
    return match[1]


@contextmanager
def _ring(lab: Any, secrets_: Sequence[bytes]) -> Iterator[None]:
    """The laboratory with other secrets, for as long as the block lasts."""
    house = lab.site.house
    before, house.keys = house.keys, KeyRing(secrets_)
    try:
        yield
    finally:
        house.keys = before


@probe("critical", "S1-062", "S1-068", "S1-070", "S1-126", "S2-013", "S2-055", "S2-079", "C-07", "A178")
def weak_keys_do_not_start(lab: Any) -> str:
    """A missing, published, short, regular or spoken key refuses to start, and is not repeated."""
    name = _variable(lab, "secrets", "key", "env:SECRET_KEY")
    tutorial = max(secrets.PUBLISHED, key=len)
    for what, value in {"none": "", "blank": "  ", "a tutorial's": tutorial, **WEAK}.items():
        said = _start(lab, **{name: value})
        if said is None:
            raise Broken(f"{what} starts")
        if name not in said or (value.strip() and value in said):
            raise Broken(f"{what}: the message repeats the value or does not name {name}")
    return f"none, a blank one, a tutorial's, {', '.join(WEAK)}: refused, {name} named and no value repeated"


@probe("high", "S1-062", "S2-034", "C-19")
def good_keys_start(lab: Any) -> str:
    """A key of 256 random bits starts, in each of the ways in which people write one."""
    name = _variable(lab, "secrets", "key", "env:SECRET_KEY")
    least = lab.policy.of(secrets.Settings).min_length
    said = _start(lab, **{name: secrets.new()})
    if said is not None:
        raise Broken(f"a new key is refused: {said}")
    for _ in range(200):
        random = bytes.fromhex(secrets.new()) + bytes.fromhex(secrets.new())
        for text in (
            random[:32].hex(),
            base64.b64encode(random).decode(),
            base64url(random),
        ):
            if secrets.weakness(text, min_length=least) is not None:
                raise Broken(f"a random key is refused: {secrets.weakness(text)}")
    return "600 random keys in hexadecimal and base64 are taken"


@probe("medium", "S1-063", "S1-127", "C-43")
def weak_database_passwords_do_not_start(lab: Any) -> str:
    """A database elsewhere with a missing, published or short password refuses to start."""
    name = _variable(lab, "store", "database", "env:DATABASE_URL")
    if not lab.policy.production:
        raise CouldNotLook("in development any database will do")
    url = "postgresql+psycopg://app{}@db.people.test:5432/app"
    for what, password in {
        "none": "",
        "a sample": ":password",
        "19 letters": ":Xk9mQ2vLw7RtZ4nB8cD",
        "one letter": ":" + "a" * 24,
    }.items():
        said = _start(lab, **{name: url.format(password)})
        if said is None:
            raise Broken(f"{what} starts")
        if password[1:] and len(password) > 12 and password[1:] in said:
            raise Broken(f"{what}: the message repeats the password")
    if _start(lab, **{name: ""}) is None:
        raise Broken("no database starts")
    return "none, a published, a short and a regular password: refused, none repeated"


@probe("critical", "S1-061", "S2-012", "A183")
def secrets_are_shown_nowhere(lab: Any) -> str:
    """No answer and no log holds the application's secret, a key made from it or the database's password."""
    house, policy = lab.site.house, lab.policy
    ring = secrets.ring(policy)
    keys = [key for purpose in ("csrf", "flask.session") for key in house.keys.derive(purpose)]
    hidden = {secret.decode() for secret in ring} | {key.hex() for key in (*ring, *keys)}
    hidden |= {base64.b64encode(key).decode().rstrip("=") for key in (*ring, *keys)}
    password = urlsplit(policy.store.database.get_secret_value()).password
    hidden |= {password} if password else set()
    asked, texts = 0, []
    for who in (lab.visitor(), lab.ordinary(), lab.administrator()):
        for method, path, _ in lab.routes():
            if method == "GET":
                for accept in ("text/html", "application/json"):
                    reply = who.get(_PLACEHOLDER.sub("1", path), headers=[("Accept", accept)])
                    texts.append(f"{reply.headers} {reply.text}")
                    asked += 1
        inside = RuntimeError(f"{policy!r} {policy.controls!r} {policy.store} {house.keys!r} {house!r}")
        with lab.raising(inside):
            texts.append(who.get("/").text)
    texts.append(lab.logs.text)
    for text in texts:
        if any(secret in text for secret in hidden):
            raise Broken(f"a secret is in: {text[:60]!r}…")
    return f"{asked} answers, a failure that holds the whole policy, and the log"


@probe("high", "C-21", "S1-062")
def a_new_secret_ends_nothing(lab: Any) -> str:
    """With the previous secret kept, what it made goes on working; once it is taken out, no more."""
    client = lab.client()
    ring, fresh = secrets.ring(lab.policy), secrets.new().encode()
    token = client.token()

    def act() -> str:
        reply = client.send(
            "POST",
            lab.api("sessions"),
            json={},
            headers=[*client.from_here, (client.token_header, token)],
        )
        return str(reply.code)

    if act() != errors.INVALID.code:
        raise CouldNotLook("a form of one's own is not read by a token")
    with _ring(lab, [fresh, *ring]):
        if act() != errors.INVALID.code or lab.whoami(client).status != 200:
            raise Broken("a token or a session of the previous secret is refused")
    with _ring(lab, [fresh]):
        if not act().startswith("csrf."):
            raise Broken("a token of a secret that was taken out is still good")
        if lab.whoami(client).status != 200:
            raise Broken("the session ended with the secret")
    return "session and token survive the change; the token dies with the previous secret"


@probe("high", "C-07", "A178")
def each_purpose_has_its_key(lab: Any) -> str:
    """What was made for one purpose, or with a published key, is good for no other."""
    keys = lab.site.house.keys
    seal = keys.seal("csrf", "message")
    if not keys.sealed("csrf", "message", seal):
        raise Broken("a seal is not recognised")
    if keys.sealed("flask.session", "message", seal) or keys.sealed("csrf", "another", seal):
        raise Broken("a seal is good for another purpose or message")
    for value in WEAK.values():
        if keys.sealed("csrf", "message", KeyRing([value.encode()]).seal("csrf", "message")):
            raise Broken("a seal made with a published key is good")
    return f"a seal is good for one purpose and message; {len(WEAK)} published keys make none"


@probe("high", "S2-079", "A181")
def there_are_no_default_credentials(lab: Any) -> str:
    """No default account signs in, and no fixed token opens anything."""
    host = urlsplit(lab.policy.app.base_url).hostname
    for email, password in DEFAULTS:
        visitor = lab.visitor()
        visitor.email = email.format(host=host)
        reply = lab.sign_in(visitor, password)
        if reply.status < 400 or lab.whoami(visitor).status != 401:
            raise Broken(f"{email}/{password}: {reply}")
    for token in TOKENS:
        for headers in (
            [("Authorization", f"Bearer {token}")],
            [("Cookie", f"{lab.cookie}={token}")],
            [("X-Admin-Token", token)],
            [("X-Api-Key", token)],
            [("Remote-User", "admin")],
        ):
            reply = lab.visitor().get(f"{lab.api('me')}?token={token}", headers=headers)
            if reply.status == 200:
                raise Broken(f"{headers[0][0]} with {token!r}: {reply}")
    return f"{len(DEFAULTS)} accounts and {len(TOKENS)} tokens of other people's documentation"


PROBES: Final = (
    weak_keys_do_not_start,
    good_keys_start,
    weak_database_passwords_do_not_start,
    secrets_are_shown_nowhere,
    a_new_secret_ends_nothing,
    each_purpose_has_its_key,
    there_are_no_default_credentials,
)
