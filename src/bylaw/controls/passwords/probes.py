"""Attacks on the running application by way of its passwords."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import delete, insert

from bylaw import hashing
from bylaw.control import Broken, probe
from bylaw.controls import passwords
from bylaw.controls.passwords import guessing
from bylaw.hashing import Peppered, Peppers
from bylaw.ports import Received
from bylaw.store import users
from bylaw.store.tables import totp_secrets


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


def _choose(lab: Any, password: str, name: str = "") -> tuple[str, Any]:
    """Have somebody new choose this password in the place of his first: his address, and the reply."""
    client = lab.client()
    if name:
        with lab.site.house.store.transaction() as connection:
            users.change(connection, client.id, name=name)
    sent = {"current": client.password, "password": password}
    reply = client.act("POST", lab.api("change_password"), json=sent)
    if _taken(reply) != (_sign_in(lab, client.email, client.password).status == 401):
        raise Broken(f"{reply}, and the first password says otherwise")
    return client.email, reply


def _taken(reply: Any) -> bool:
    return bool(reply.status == 200)


def _user(lab: Any, email: str) -> users.User | None:
    with lab.site.house.store.reading() as connection:
        return users.by_email(connection, email)


def _stored(lab: Any, email: str) -> str:
    user = _user(lab, email)
    return "" if user is None else user.password_hash or ""


def _sign_in(lab: Any, email: str, password: Any) -> Any:
    visitor = lab.visitor()
    return visitor.send(
        "POST", lab.api("sign_in"), headers=visitor.from_here, json={"email": email, "password": password}
    )


def _good(settings: passwords.Settings) -> str:
    """A password that every policy takes, of exactly the least length that is sensible."""
    return ("Vq7! " + "mZ4_kRw8-tYp2" * 6)[: max(settings.min_length, 15)]


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
    password = _good(settings)
    email, reply = _choose(lab, password)
    stored = _stored(lab, email)
    if reply.status != 200 or not _is_kept(settings, stored):
        raise Broken(f"{reply}; kept as {stored.rpartition('$')[0] or 'nothing that is a hash'}")
    if _sign_in(lab, email, password).status != 200:
        raise Broken("the password that was set does not sign in")
    everything = f"{lab.dump()} {lab.logs.text} {lab.mail()} {reply.text}"
    if password in everything:
        raise Broken("the password stands in a table, the log, a mail or an answer")
    return f"kept as {_kept(settings)}…, in no table, log, mail or answer in clear"


@probe("high", "S1-004", "S1-005", "S1-006", "S1-007", "S1-008", "S3-005", "S3-006", "S3-007", "C-02")
def weak_is_refused(lab: Any) -> str:
    """A password that the policy does not take is refused where one is chosen."""
    settings = lab.policy.of(passwords.Settings)
    good = _good(settings)
    weak = {
        "a character short": good[: settings.min_length - 1],
        "a character long": (good * 300)[: settings.max_length + 1],
        "a repetition": ("Passw0rd!" * 8)[: max(settings.min_length, 18)],
        "rows of keys": "Qwertyuiop1!" * 5,
        "a common word in other spelling": "B@sketb@ll-2026!",
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
        reply = _choose(lab, password)[1]
        if reply.status != 422 or reply.code != passwords.WEAK.code:
            raise Broken(f"{name}: {reply}")
        if password in reply.text:
            raise Broken(f"{name}: the answer repeats the password")
    reply = _choose(lab, "MargueriteDubois1!", name="Marguerite Dubois")[1]
    if reply.status != 422:
        raise Broken(f"the owner's name: {reply}")
    if not settings.composition and _choose(lab, "three plain old words here " * 2)[1].status != 200:
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
    email, _ = _choose(lab, longest)
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
    if not _is_kept(settings, stored) or again.status != 200:
        raise Broken(f"after signing in it is kept as {stored.rpartition('$')[0]}")
    return f"pbkdf2:sha256:1000 became {_kept(settings)}…"


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


@probe("high", "C-02", "S1-004", "S3-005")
def least_follows_the_factor(lab: Any) -> str:
    """A shorter password is taken beside a second factor alone."""
    alone, beside = 20, 12
    password = _good(lab.policy.of(passwords.Settings))[:15]
    with lab.under(passwords.Settings, min_length=alone, min_length_with_second_factor=beside):
        answers = {}
        for name in ("one factor", "two factors"):
            client = lab.client()
            if name == "two factors":
                _enrol(lab, client)
                lab.open_session(client)
            answers[name] = client.act(
                "POST",
                lab.api("change_password"),
                json={"current": client.password, "password": password},
            )
        if (answers["one factor"].status, answers["two factors"].status) != (422, 200):
            raise Broken(f"15 characters: {answers}")
        with lab.site.house.store.transaction() as connection:
            connection.execute(delete(totp_secrets).where(totp_secrets.c.user_id == client.id))
        reply = _sign_in(lab, client.email, password)
        if "password" not in reply.json().get("owes", []):
            raise Broken(f"without its factor the short password signs in: {reply} {reply.text}")
    return f"15 characters: {answers['one factor']} alone, taken beside a factor until that is gone"


def _enrol(lab: Any, client: Any) -> None:
    """Give the account an authenticator app, whose codes are of no interest here."""
    with lab.site.house.store.transaction() as connection:
        connection.execute(
            insert(totp_secrets).values(
                id=client.id[:22],
                user_id=client.id,
                name="app",
                secret="sealed",  # noqa: S106  # nosec B106  # no secret: an example, a word or a laboratory's
                created_at=lab.site.house.now(),
            )
        )


@probe("high", "C-02", "C-27")
def tighter_rules_reach_everybody(lab: Any) -> str:
    """A password that breaks today's rules signs in, and then has to be changed before anything else."""
    settings = lab.policy.of(passwords.Settings)
    house, short = lab.site.house, _good(settings)[:20]
    longer = "Yx5% " + short + " nQ3-vB6_kL"
    early, fine = lab.person(password=short), lab.person()
    with lab.under(passwords.Settings, min_length=24):
        owes = lab.sign_in(early, short).json().get("owes", [])
        if "password" not in owes or lab.whoami(early).status != 401:
            raise Broken(f"20 characters of 24: owes {owes or 'nothing'}, {lab.whoami(early)}")
        early.token_page = lab.url("change_password")
        reply = early.act("POST", lab.api("change_password"), json={"current": short, "password": longer})
        if reply.status != 200 or lab.whoami(early).status != 200:
            raise Broken(f"changing it: {reply}, then {lab.whoami(early)}")
        if lab.sign_in(fine).json().get("owes"):
            raise Broken("a password that keeps today's rules has to be changed")
        kept = _user(lab, fine.email)
        today = passwords.rules(house.policy.of(passwords.Settings), second=False)
        if kept is None or kept.password_rules != today:
            raise Broken(f"judged by {kept and kept.password_rules!r}, today's are {today!r}")
        if str(len(fine.password)) in re.findall(r"\d+", kept.password_rules):
            raise Broken("the rules that are kept tell how long the password is")
    return "a short one was changed first, a long one was judged once and told nobody its length"


@contextmanager
def _leaking(lab: Any, *known: str, answers: Received | OSError | None = None) -> Iterator[list[str]]:
    """A service that knows these passwords from leaks, or answers so; what it was asked."""
    asked: list[str] = []
    digests = [hashlib.sha1(each.encode(), usedforsecurity=False).hexdigest().upper() for each in known]

    def network(method: str, url: str, /, **how: Any) -> Received:
        asked.append(f"{method} {url} {how.get('body', b'')!r} {sorted(how.get('headers') or {})}")
        if isinstance(answers, OSError):
            raise answers
        if answers is not None:
            return answers
        lines = [f"{n:035X}:0" for n in range(20)]
        lines += [f"{each[5:]}:7" for each in digests if url.endswith("/" + each[:5])]
        return Received(200, "text/plain", "\r\n".join(lines).encode())

    house = lab.site.house
    before, house.ports = house.ports, replace(house.ports, network=network)
    try:
        yield asked
    finally:
        house.ports = before


@probe("high", "C-02", "C-03")
def leaks_are_asked_and_told_nothing(lab: Any) -> str:
    """A password from a published leak is refused, and the service learns five digits of its SHA-1 alone."""
    settings = lab.policy.of(passwords.Settings)
    password, other = _good(settings), _good(settings)[::-1]
    service = "https://leaks.lab/range"
    with lab.under(passwords.Settings, breach_lookup=service, breach_outage="accept"):
        with _leaking(lab, password) as asked:
            reply = _choose(lab, password)[1]
            if reply.status != 422:
                raise Broken(f"a leaked password: {reply}")
            email, reply = _choose(lab, other)
            if reply.status != 200:
                raise Broken(f"another one: {reply}")
            before = len(asked)
            if _sign_in(lab, email, other).status != 200 or len(asked) != before:
                raise Broken("signing in asks the service as well")
        told = [re.fullmatch(rf"GET {service}/[0-9A-F]{{5}} b'' \['Add-Padding'\]", one) for one in asked]
        if not all(told) or len(asked) != 2:
            raise Broken(f"asked: {asked}")
        for answer in (OSError("down"), Received(503), Received(200, "text/html", b"<p>down</p>")):
            with _leaking(lab, answers=answer):
                if _choose(lab, other)[1].status != 200:
                    raise Broken(f"{answer}: a good password is refused")
    with (
        lab.under(passwords.Settings, breach_lookup=service, breach_outage="refuse"),
        _leaking(lab, answers=Received(200, "text/plain", b"")),
    ):
        reply = _choose(lab, other)[1]
        if reply.code != passwords.UNCHECKED.code:
            raise Broken(f"nobody can say, and the policy refuses then: {reply}")
    return f"{asked[0]}; a leaked one: 422; an outage: as the policy says"


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
    password, house = _good(lab.policy.of(passwords.Settings)), lab.site.house
    first, second = (house.ports.entropy(32) for _ in range(2))
    with _peppered(lab, first):
        email, reply = _choose(lab, password)
        stored = _stored(lab, email)
        if reply.status != 200 or not _PEPPER.match(stored) or _sign_in(lab, email, password).status != 200:
            raise Broken(f"{reply}, kept as {stored.rpartition('$')[0]}")
    if hashing.verify(_PEPPER.sub("", stored), password) is not False:
        raise Broken("whoever has the table can try passwords without the pepper")
    if _sign_in(lab, email, password).status != 401:
        raise Broken("without its pepper the password signs in")
    if not any("pepper" in found.key for found in passwords._start(house)):
        raise Broken("the application would start without a pepper that its passwords need")
    with _peppered(lab, second, first):
        if _sign_in(lab, email, password).status != 200 or _stored(lab, email)[:20] == stored[:20]:
            raise Broken("after a new pepper the password does not sign in, or stays under the old one")
    with _peppered(lab, second):
        if _sign_in(lab, email, password).status != 200:
            raise Broken("the password is not under the new pepper")
    return f"kept as {stored[:21]}…; nothing without the key; rotated at sign-in; missed at start"


@probe("medium", "S3-008", "S1-106", "C-03", "C-41")
def meter_tells_and_keeps_nothing(lab: Any) -> str:
    """The strength meter tells of no account, keeps nothing, and looks at so many characters alone."""
    canary = "Quartz umbrella 71 canary"
    looked: list[int] = []
    real = guessing._estimate

    def watched(text: str, words: Any) -> Any:
        looked.append(len(text))
        return real(text, words)

    def ask(password: str, email: str) -> Any:
        visitor = lab.visitor()
        return visitor.send(
            "POST",
            lab.api("password_strength"),
            headers=visitor.from_here,
            json={"password": password, "email": email},
        )

    setattr(guessing, "_estimate", watched)  # noqa: B010 - mypy knows that a function is no variable
    try:
        known, unknown = ask(canary, lab.person().email), ask(canary, "nobody-here@people.test")
        if known.status != 200 or known.json() != unknown.json() or known.all("set-cookie"):
            raise Broken(f"with an account: {known} {known.text}; without: {unknown} {unknown.text}")
        if canary in f"{known.text} {lab.dump()} {lab.logs.text} {lab.mail()}":
            raise Broken("what was typed stands in an answer, a table, the log or a mail")
        weak = ask("Password1!" * 6, unknown.header("x")).json()
        if weak["accepted"] or not weak["needed"] or not weak["advice"]:
            raise Broken(f"a weak password: {weak}")
        with _computed() as computed:
            longest = "".join(f"{n:x}" for n in range(12_000))
            endless = ask(longest, "")
            ask(longest[: lab.policy.of(passwords.Settings).max_length], "")
        if endless.status != 200 or endless.json()["accepted"] or computed or max(looked) > 64:
            raise Broken(f"45,000 characters: {endless}, {max(looked)} were looked at")
    finally:
        setattr(guessing, "_estimate", real)  # noqa: B010 - (the same)
    return f"{known.text}; the same without an account; at most {max(looked)} characters looked at"


@probe("low", "C-02")
def forms_let_managers_in(lab: Any) -> str:
    """A field for a password is masked, named for password managers, and takes what is pasted."""
    client = lab.client()
    page = client.page(lab.url("change_password")).text
    fields = re.findall(r"<input[^>]*name=\"(?:current|password)\"[^>]*>", page)
    if len(fields) != 2:
        raise Broken(f"{len(fields)} fields for a password")
    for found in fields:
        if 'type="password"' not in found or not re.search('autocomplete="(current|new)-password"', found):
            raise Broken(found)
        if re.search("maxlength|onpaste|readonly|autocomplete=.off", found):
            raise Broken(found)
    return f"{len(fields)} fields: masked, current-password and new-password, no limit"


PROBES: Final = (
    kept_as_promised,
    weak_is_refused,
    sign_in_tells_nothing,
    impossible_costs_nothing,
    older_hash_is_upgraded,
    storm_is_told_to_return,
    change_asks_for_the_current,
    least_follows_the_factor,
    tighter_rules_reach_everybody,
    leaks_are_asked_and_told_nothing,
    table_alone_is_worth_nothing,
    meter_tells_and_keeps_nothing,
    forms_let_managers_in,
)
