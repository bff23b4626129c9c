"""Attacks on what is taken for a new password, and where one is chosen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, insert

from bylaw.control import Broken, probe
from bylaw.controls import passwords
from bylaw.controls.passwords import guessing, judging
from bylaw.controls.passwords.probes.common import (
    account,
    choose,
    good_password,
    hashing_done,
    sign_in,
    stored_hash,
)
from bylaw.ports import Received
from bylaw.store.tables import totp_secrets


@probe("high", "S1-004", "S1-005", "S1-006", "S1-007", "S1-008", "S3-005", "S3-006", "S3-007", "C-02")
def weak_is_refused(lab: Any) -> str:
    """A password that the policy does not take is refused where one is chosen."""
    settings = lab.policy.of(passwords.Settings)
    good = good_password(settings)
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
    weak |= {f"without {judging.SPOKEN[kind]}": lacking[kind] for kind in settings.composition}
    for name, password in weak.items():
        reply = choose(lab, password)[1]
        if reply.status != 422 or reply.code != passwords.WEAK.code:
            raise Broken(f"{name}: {reply}")
        if password in reply.text:
            raise Broken(f"{name}: the answer repeats the password")
    reply = choose(lab, "MargueriteDubois1!", name="Marguerite Dubois")[1]
    if reply.status != 422:
        raise Broken(f"the owner's name: {reply}")
    if not settings.composition and choose(lab, "three plain old words here " * 2)[1].status != 200:
        raise Broken("a long password in lower-case letters was refused")
    return f"422 for {', '.join(weak)}"


@probe("high", "S1-011", "C-41")
def change_asks_for_the_current(lab: Any) -> str:
    """A password is changed by whoever knows it, and no page shows one."""
    settings, client = lab.policy.of(passwords.Settings), lab.client()
    before = stored_hash(lab, client.email)
    for current in ("wrong " + client.password, "", None):
        reply = client.act(
            "POST", lab.api("change_password"), json={"current": current, "password": good_password(settings)}
        )
        if reply.status not in (401, 422) or stored_hash(lab, client.email) != before:
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
    password = good_password(lab.policy.of(passwords.Settings))[:15]
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
        reply = sign_in(lab, client.email, password)
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
    house, short = lab.site.house, good_password(settings)[:20]
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
        kept = account(lab, fine.email)
        today = judging.rules(house.policy.of(passwords.Settings), second=False)
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
    password, other = good_password(settings), good_password(settings)[::-1]
    service = "https://leaks.lab/range"
    with lab.under(passwords.Settings, breach_lookup=service, breach_outage="accept"):
        with _leaking(lab, password) as asked:
            reply = choose(lab, password)[1]
            if reply.status != 422:
                raise Broken(f"a leaked password: {reply}")
            email, reply = choose(lab, other)
            if reply.status != 200:
                raise Broken(f"another one: {reply}")
            before = len(asked)
            if sign_in(lab, email, other).status != 200 or len(asked) != before:
                raise Broken("signing in asks the service as well")
        told = [re.fullmatch(rf"GET {service}/[0-9A-F]{{5}} b'' \['Add-Padding'\]", one) for one in asked]
        if not all(told) or len(asked) != 2:
            raise Broken(f"asked: {asked}")
        for answer in (OSError("down"), Received(503), Received(200, "text/html", b"<p>down</p>")):
            with _leaking(lab, answers=answer):
                if choose(lab, other)[1].status != 200:
                    raise Broken(f"{answer}: a good password is refused")
    with (
        lab.under(passwords.Settings, breach_lookup=service, breach_outage="refuse"),
        _leaking(lab, answers=Received(200, "text/plain", b"")),
    ):
        reply = choose(lab, other)[1]
        if reply.code != passwords.UNCHECKED.code:
            raise Broken(f"nobody can say, and the policy refuses then: {reply}")
    return f"{asked[0]}; a leaked one: 422; an outage: as the policy says"


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
        with hashing_done() as computed:
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
