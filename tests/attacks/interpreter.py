"""Runs an attack that is written as data on a laboratory.

A file `<area>.toml` holds `[[attack]]`s; an attack holds `[[attack.try]]`s, each on a laboratory of
its own; a try is one step, or several (`[[attack.try.step]]`). What a step may say stands in STEP,
what it may expect in EXPECT: a key that is in neither is an error, since a check with a typing
mistake in its name would check nothing.

In texts, `{NAME}` stands for a path, a person's facts or a saved value (see `Cast.look_up`),
`{times:1000:a}` for a repetition. `alice/half` is a browser in which she has shown her password alone.
`each.name = [...]` runs the try once per value, and `{name}` is that value, whatever its type. With `paced
= true` limits and lockout count; `peer` is the address that a step comes from, `scheme` whether over http,
`times` how often it is sent, and `limits` the settings of `[rate_limits]`.
`upload` is a file, or several, in a form as a browser sends it: what it `holds` (of specimens.py), its
`name`, and perhaps its `type` and `field`. `<null>`, `<missing>` and `<deep:1000>` are JSON that TOML cannot
say.

Every step is also checked for what always holds: no 5xx that was not expected, the security headers
once each, no inside in the body, and nothing changed by a request that was refused.
"""

from __future__ import annotations

import itertools
import re
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import process_time
from typing import Any

from bylaw.controls import cookies, csrf, rate_limits
from bylaw.controls.mfa.probes import App, enrol
from bylaw.exchange import SAFE_METHODS
from bylaw.hashing import HashPool
from bylaw.keys import digest
from bylaw.operations import api_keys
from bylaw.operations.token_families import Pair
from bylaw.store import factors
from bylaw.store.tables import metadata
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.people import PASSWORD
from tests.applications.stacks import hurry
from tests.applications.stacks import state as application_state
from tests.attacks import forging, specimens

FOLDER = Path(__file__).parent
ATTACK = {"id", "title", "story", "requirements", "source", "everywhere", "paced", "limits", "try"}
TRY = {"name", "each", "step", "everywhere", "paced", "limits"}
STEP = {
    "name",
    "as",
    "peer",
    "times",
    "send",
    "from",
    "scheme",
    "headers",
    "accept",
    "token",
    "token_in",
    "json",
    "form",
    "body",
    "type",
    "upload",
    "cookies",
    "after",
    "save",
    "expect",
}
EXPECT = {
    "status",
    "reason",
    "who",
    "me",
    "changed",
    "unchanged",
    "mail",
    "cookies",
    "header",
    "absent",
    "body",
    "lacks",
    "rows",
    "audit",
    "address",
    "same_as",
    "hashes",
    "within",
    "fields",
    "unlogged",
}
PEOPLE: dict[str, tuple[str, ...]] = {
    "alice": ("user",),
    "bob": ("user",),
    "mallory": ("user",),
    "gina": ("user",),
    "erin": ("editor",),
    "max": ("manager",),
    "root": ("admin",),
}
WITHOUT_PASSWORD = {"gina"}
EVIL = "https://evil.test"
FROM: dict[str, list[tuple[str, str]]] = {
    "program": [],
    "here": [("Origin", "{ORIGIN}"), ("Sec-Fetch-Site", "same-origin")],
    "elsewhere": [("Origin", EVIL), ("Sec-Fetch-Site", "cross-site")],
    "sibling": [("Origin", "https://evil.app.lab"), ("Sec-Fetch-Site", "same-site")],
}
HEADERS = (
    "x-content-type-options",
    "strict-transport-security",
    "x-frame-options",
    "content-security-policy",
    "referrer-policy",
    "cross-origin-resource-policy",
    "x-request-id",
)
INSIDE = ("Traceback (most", 'File "/', "sqlalchemy", "sqlite3", "site-packages", "$argon2id$", "canary-7f3a")


@dataclass(frozen=True)
class Attempt:
    """A try of an attack: some steps, run once for each combination of `each`."""

    attack: str
    name: str
    story: str
    steps: tuple[dict[str, Any], ...]
    each: dict[str, list[Any]]
    everywhere: bool
    paced: bool = False
    limits: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.attack}-{self.name.replace(' ', '_')}"

    @property
    def harmless(self) -> bool:
        """Whether every step is refused, so that the next variant finds everybody as they were."""
        expected = [step.get("expect", {}).get("status", 200) for step in self.steps]
        return all(min([e] if isinstance(e, int) else e) >= 400 for e in expected)

    def variants(self) -> Iterator[dict[str, Any]]:
        for values in itertools.product(*self.each.values()):
            yield dict(zip(self.each, values, strict=True))


@dataclass(frozen=True)
class Attack:
    """What one id of the list of attacks asks for."""

    id: str
    title: str
    requirements: tuple[str, ...]
    attempts: tuple[Attempt, ...]


def read(area: str) -> list[Attack]:
    """The attacks of a file. Raises ValueError for a key that means nothing."""
    with (FOLDER / f"{area}.toml").open("rb") as file:
        tables = tomllib.load(file)["attack"]
    return [attack_of(table) for table in tables]


def areas() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def attack_of(table: dict[str, Any]) -> Attack:
    _known(table, ATTACK, str(table.get("id")))
    attempts = tuple(_attempt(table, row) for row in table["try"])
    names = [attempt.name for attempt in attempts]
    if len(set(names)) < len(names):
        raise ValueError(f"{table['id']}: two tries of one name")
    return Attack(table["id"], table["title"], tuple(table.get("requirements", ())), attempts)


def _attempt(attack: dict[str, Any], table: dict[str, Any]) -> Attempt:
    where = f"{attack['id']} {table.get('name')}"
    steps = table.get("step")
    if steps is None:
        steps = [{k: v for k, v in table.items() if k not in TRY}]
    else:
        _known(table, TRY, where)
    for step in steps:
        _known(step, STEP, where)
        _known(step.get("expect", {}), EXPECT, where)
        if "send" not in step and "after" not in step:
            raise ValueError(f"{where}: a step sends something, or lets time pass")
    if unused := [name for name in table.get("each", {}) if f"{{{name}}}" not in str(steps)]:
        raise ValueError(f"{where}: no step speaks of {', '.join(unused)}")
    return Attempt(
        attack["id"],
        table["name"],
        attack["story"],
        tuple(steps),
        table.get("each", {}),
        table.get("everywhere", attack.get("everywhere", False)),
        table.get("paced", attack.get("paced", False)),
        table.get("limits", attack.get("limits", {})),
    )


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    if unknown := set(table) - keys:
        raise ValueError(f"{where}: {', '.join(sorted(unknown))} means nothing here")


class Counted:
    """The pool of hashes, and how many were asked of it."""

    def __init__(self, pool: HashPool) -> None:
        self._pool = pool
        self.count = 0

    def run(self, work: Any, *args: object) -> Any:
        self.count += 1
        return self._pool.run(work, *args)


@dataclass
class Cast:
    """The people of one run, each with a jar of cookies, and what the steps have saved."""

    laboratory: Laboratory
    saved: dict[str, Any]
    jars: dict[str, Client] = field(default_factory=dict)
    people: dict[str, Client] = field(default_factory=dict)
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, str]:
        return places(self.laboratory)

    def again(self, saved: dict[str, Any]) -> None:
        """The same people as they were at first, for another variant."""
        papers = {name: value for name, value in self.saved.items() if "." in name}
        self.saved = {**papers, **saved}
        self.jars = dict(self.people)
        for name, client in self.people.items():
            client.cookies = dict(self.cookies[name])

    def person(self, name: str) -> Client:
        """Somebody's account, signed in; made when it is first spoken of."""
        if name not in self.people:
            client = self.laboratory.person(
                *PEOPLE[name],
                email=f"{name}-{uuid.uuid4().hex[:8]}@people.test",
                password=None if name in WITHOUT_PASSWORD else PASSWORD,
            )
            self.people[name] = client
            self.jars[name] = client
            self.laboratory.open_session(client)
            client.token_page = self.laboratory.url("change_password")
            self.cookies[name] = dict(client.cookies)
        return self.people[name]

    def jar(self, name: str) -> Client:
        """A browser: `alice`, `alice/2` for another one of hers, `nobody` for a stranger's."""
        if name in self.jars:
            return self.jars[name]
        who, _, other = name.partition("/")
        if who == "nobody":
            made = self.laboratory.visitor()
        elif other.startswith("half"):
            account = self.person(who)
            self._app(account, who)
            made = self.laboratory.browser(account)
        elif other:
            account = self.person(who)
            made = self.laboratory.visitor()
            made.id, made.email, made.token_page = account.id, account.email, account.token_page
            self.laboratory.open_session(made)
        else:
            return self.person(who)
        self.jars[name] = made
        return made

    def look_up(self, name: str) -> Any:
        """What `{name}` stands for. Raises KeyError."""
        if name in self.saved:
            return self.saved[name]
        if name.startswith("times:"):
            _, count, text = name.split(":", 2)
            return text * int(count)
        if name.startswith("token:"):
            return self.jar(name[6:]).token()
        if name.startswith("forged:"):
            _, who, how = name.split(":", 2)
            return forging.forged(self.laboratory, self._pair(self.jar(who), who).access, how)
        if name.startswith("link:"):
            return newest_link(self.laboratory, self.jar(name[5:]).email)
        if name.startswith("mailed:"):
            return newest_link(self.laboratory, self.look_up(name[7:]), "confirm-email")
        if name.startswith("upper:"):
            return self.jar(name[6:]).email.upper()
        if name.isupper() or name.rstrip("_").isupper():
            return self.places[name]
        who, _, fact = name.rpartition(".")
        return self._fact(self.jar(who), who, fact)

    def _fact(self, jar: Client, who: str, fact: str) -> Any:
        sid = jar.cookies.get(self.laboratory.cookie, "")
        match fact:
            case "email" | "id":
                return getattr(jar, fact)
            case "sid":
                return sid
            case "digest":
                return digest(sid)
            case "session":
                return self.laboratory.whoami(jar).json()["session"]
            case "visitor":
                name = cookies.name(self.laboratory.policy, cookies.VISITOR)
                if name not in jar.cookies:
                    jar.page(jar.token_page)
                return jar.cookies[name]
            case "token":
                return jar.access_token
            case "access" | "refresh":
                return getattr(self._pair(jar, who), fact)
            case "api_key" | "api_key_id":
                return self._api_key(jar, who, fact)
            case "hash":
                return self._row(jar.id)["password_hash"]
            case "paper" | "key":
                return self._paper(jar, who, fact)
            case "code":
                return self._app(jar, who).shown(steps=1)
            case "recovery":
                return self._app(jar, who).codes[0]
            case "factor":
                self._app(jar, who)
                with self.laboratory.site.house.store.reading() as connection:
                    return factors.apps(connection, jar.id)[0]["id"]
            case "passkey":
                return self._passkey(jar, who)
        raise KeyError(f"{who}.{fact}")

    def _row(self, user_id: str) -> Any:
        users = metadata.tables["users"]
        with self.laboratory.site.house.store.reading() as connection:
            found = connection.execute(users.select().where(users.c.id == user_id))
            return found.mappings().one()

    def _app(self, account: Client, who: str) -> App:
        """This person's authenticator app, set up when it is first spoken of."""
        if f"{who}.app" not in self.saved:
            self.saved[f"{who}.app"] = enrol(self.laboratory, account)
            self.cookies[who] = dict(account.cookies)
        made: App = self.saved[f"{who}.app"]
        return made

    def _passkey(self, account: Client, who: str) -> str:
        """The id of this person's passkey, set up when it is first spoken of."""
        if f"{who}.passkey" not in self.saved:
            self.laboratory.passkey(account)
            found = account.get(self.laboratory.api("passkeys")).json()["passkeys"]
            self.saved[f"{who}.passkey"] = found[0]["id"]
        return str(self.saved[f"{who}.passkey"])

    def _pair(self, account: Client, who: str) -> Pair:
        """An access token and a refresh token of this person's, given when they are first spoken of."""
        if f"{who}.pair" not in self.saved:
            self.saved[f"{who}.pair"] = self.laboratory.pair(account)
        given: Pair = self.saved[f"{who}.pair"]
        return given

    def _api_key(self, account: Client, who: str, fact: str) -> str:
        """An API key of this person's that holds all that he may, made when it is first spoken of."""
        if f"{who}.api_key" not in self.saved:
            house = self.laboratory.site.house
            made = self.laboratory.key(account, *api_keys.scopes_of(house, account.id))
            self.saved[f"{who}.api_key"], self.saved[f"{who}.api_key_id"] = made.text, made.id
        return str(self.saved[f"{who}.{fact}"])

    def _paper(self, jar: Client, who: str, fact: str) -> Any:
        """A paper of this person's, written when it is first spoken of."""
        from bylaw.identity import Identity

        if f"{who}.paper" not in self.saved:
            state = application_state(self.laboratory)
            paper = {"id": 1, "key": "none"}  # what never gets past the gate needs no paper
            if hasattr(state, "write"):
                paper = state.write(Identity(jar.id), f"canary of {who}")
            self.saved[f"{who}.paper"], self.saved[f"{who}.key"] = paper["id"], paper["key"]
        return self.saved[f"{who}.{fact}"]


def newest_link(laboratory: Laboratory, email: str, page: str = "reset-password") -> str:
    """The secret of the last link to this page that an address was mailed. Raises LookupError."""
    for message in reversed(laboratory.mail()):
        body = message.get_body(("plain",))
        if message["To"] == email and body is not None:
            found = re.search(rf"/{page}/([A-Za-z0-9_-]+)", body.get_content())
            if found is not None:
                return found[1]
    raise LookupError(f"no link was mailed to {email}")


def places(laboratory: Laboratory) -> dict[str, str]:
    """The paths and names that every vector may use."""
    policy = laboratory.policy
    apis: dict[str, str] = {}
    for route in laboratory.site.pages.routes():
        if route.api:
            apis.setdefault(route.endpoint.name, route.path)
    found = {
        "RES": "/api/papers",
        "NOTES": "/api/notes",
        "OPEN": "/api/open/notes",
        "BEARER_NOTES": "/bearer/notes",
        "BEARER_ME": "/bearer/me",
        "ORIGIN": policy.app.origin,
        "HOST": policy.app.origin.partition("://")[2],
        "SID": laboratory.cookie,
        "VISITOR": cookies.name(policy, cookies.VISITOR),
        "CSRF_HEADER": policy.of(csrf.Settings).header,
        "CSRF_FIELD": policy.of(csrf.Settings).field,
        "PASSWORD_OF_ALL": PASSWORD,
        "STYLESHEET": f"{policy.pages.prefix}/static/bylaw.css",
        "EVIL": EVIL,
    }
    for name, endpoint in (
        ("LOGIN", "sign_in"),
        ("FORGOT", "forgot_password"),
        ("RESET", "reset_password"),
        ("SIGNUP", "sign_up"),
        ("LOGOUT", "sign_out"),
        ("ME", "me"),
        ("CHANGE", "change_password"),
        ("CONFIRM", "confirm_email"),
        ("CONFIRM_AGAIN", "send_confirmation"),
        ("ADDRESS", "change_email"),
        ("STRENGTH", "password_strength"),
        ("SESSIONS", "sessions"),
        ("USERS", "users"),
        ("ACCOUNT", "account"),
        ("SECOND", "second_factor"),
        ("STEP_UP", "step_up"),
        ("FACTORS", "factors"),
        ("APP", "authenticator"),
        ("LINKED", "federated_accounts"),
        ("TOKEN_LOGIN", "sign_in_token"),
        ("TOKENS", "tokens"),
        ("TOKEN_NEW", "token_new"),
        ("TOKEN", "token"),
        ("REFRESH", "token_refresh"),
        ("REVOKE", "token_revoke"),
        ("KEYS", "keys"),
        ("SERVICES", "services"),
        ("USER_KEYS", "user_keys"),
        ("PASSKEYS", "passkeys"),
        ("PASSKEY_ADD", "passkey_add"),
        ("PASSKEY_LOGIN", "passkey_sign_in"),
        ("PASSKEY_PROOF", "passkey_proof"),
    ):
        found[name] = apis[endpoint]
        found[f"{name}_PAGE"] = laboratory.url(endpoint)
    for name in ("add", "sign_in", "proof"):
        found[f"PASSKEY_{name.upper()}_OPTIONS"] = apis[f"passkey_{name}_options"]
    found["FEDERATED"] = apis["federated_begin"].replace("{id}", "laboratory")
    found["FEDERATED_PAGE"] = f"{laboratory.url('federated_begin')}/laboratory"
    found["CALLBACK"] = f"{laboratory.url('federated_callback')}/laboratory"
    return found


_NAMED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_./:-]*(?::[^{}]*)?)\}")
_COUNTED = re.compile(r"\{times:\{(\w+)\}:")
_FORGED = re.compile(r"\{forged:(\w+):((?:[^{}]|\{[^{}]*\})*)\}")
_DEEP = re.compile(r"<deep:(\d+)>")


def fill(cast: Cast, value: Any) -> Any:
    """A value of a vector with everything that it speaks of put in its place."""
    if isinstance(value, dict):
        filled = {fill(cast, k): fill(cast, v) for k, v in value.items()}
        return {k: v for k, v in filled.items() if not _is_missing(v)}
    if isinstance(value, list):
        return [fill(cast, item) for item in value]
    if not isinstance(value, str):
        return value
    if value == "<null>":
        return None
    if match := _DEEP.fullmatch(value):
        nested: Any = []
        for _ in range(int(match[1])):
            nested = [nested]
        return nested
    value = _FORGED.sub(lambda match: cast.look_up(f"forged:{match[1]}:{fill(cast, match[2])}"), value)
    if match := _NAMED.fullmatch(value):
        return _found(cast, match[1])
    value = _COUNTED.sub(lambda match: f"{{times:{_found(cast, match[1])}:", value)
    return _NAMED.sub(lambda match: str(_found(cast, match[1])), value)


def _found(cast: Cast, name: str) -> Any:
    """A value of `each` may itself speak of people and places."""
    found = cast.look_up(name)
    return fill(cast, found) if name in cast.saved else found


def _is_missing(value: Any) -> bool:
    return isinstance(value, str) and value == "<missing>"


# A run


def run(laboratory: Laboratory, attempt: Attempt) -> None:
    """Run a try, and look at everything that it expects. Raises AssertionError."""
    hurry(laboratory)
    house = laboratory.site.house
    counted = house.hashes = Counted(house.hashes)  # type: ignore[assignment]
    limits = {
        name: tuple(value) if isinstance(value, list) else value for name, value in attempt.limits.items()
    }
    under = laboratory.under(rate_limits.Settings, **limits) if limits else nullcontext()
    with under, laboratory.paced() if attempt.paced else nullcontext():
        _run(laboratory, attempt, counted)


def _run(laboratory: Laboratory, attempt: Attempt, counted: Counted) -> None:
    cast = Cast(laboratory, {})
    for variant in attempt.variants():
        saved = {**variant, "fresh": uuid.uuid4().hex[:8]}
        if attempt.harmless:
            cast.again(saved)
        else:
            cast = Cast(laboratory, saved)
        replies: dict[str, Reply] = {}
        for number, step in enumerate(attempt.steps, 1):
            name = str(step.get("name", number))
            try:
                for _ in range(step.get("times", 1)):
                    reply = _step(cast, step, counted, replies)
            except AssertionError as error:
                raise AssertionError(_told(attempt, variant, name, step, error)) from None
            if reply is not None:
                replies[name] = reply


def _told(attempt: Attempt, variant: dict[str, Any], name: str, step: dict[str, Any], error: object) -> str:
    shown = ", ".join(f"{k}={str(v)[:60]!r}" for k, v in variant.items())
    what = " ".join(str(error).split())[:700]
    return f"{attempt.attack} {attempt.name}, step {name} [{shown}] {step.get('send', '')}: {what}"


def _step(cast: Cast, step: dict[str, Any], counted: Counted, replies: dict[str, Reply]) -> Reply | None:
    laboratory = cast.laboratory
    for name, text in step.get("save", {}).items():
        cast.saved[name] = fill(cast, text)
    if "after" in step:
        laboratory.clock.advance(float(fill(cast, step["after"])))
    if "send" not in step:
        return None
    client = cast.jar(fill(cast, step.get("as", "nobody")))
    client.peer = fill(cast, step.get("peer", client.peer))
    sent = _request(cast, client, step)
    expect = fill(cast, step.get("expect", {}))
    before, hashed, had = state(laboratory), counted.count, dict(client.cookies)
    began = process_time()  # of this process alone: a neighbour's work is no delay of ours
    with _over(client, fill(cast, step.get("scheme", client.scheme))):
        reply = client.send(*sent.pop("line"), **sent)
    took = process_time() - began
    _always(laboratory, reply, expect)
    after = state(laboratory)
    refused = reply.status >= 400
    if expect.get("unchanged", refused and not expect.get("changed")):
        assert after == before, f"{reply} changed {_difference(before, after)}"
    if expect.get("changed"):
        assert after != before, f"{reply} changed nothing"
    if "hashes" in expect:
        assert counted.count - hashed == expect["hashes"], f"{counted.count - hashed} hashes"
    if "within" in expect:
        assert took < expect["within"], f"took {took:.2f} s"
    _rows(before, after, expect)
    _mail(laboratory, before, expect)
    _answer(cast, client, reply, expect, replies, had)
    return reply


@contextmanager
def _over(client: Client, scheme: str) -> Iterator[None]:
    """The client over http, or https, for one request."""
    before, client.scheme = client.scheme, scheme
    try:
        yield
    finally:
        client.scheme = before


def _request(cast: Cast, client: Client, step: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `Client.send` for a step; `line` is its method and target."""
    method, _, target = str(fill(cast, step["send"])).partition(" ")
    headers: list[tuple[str, str]] = [
        (k, fill(cast, v)) for k, v in FROM[fill(cast, step.get("from", "program"))]
    ]
    headers += [(k, v) for k, v in fill(cast, step.get("headers", []))]
    if "accept" in step:
        headers.append(("Accept", fill(cast, step["accept"])))
    how: dict[str, Any] = {}
    if "json" in step:
        how["json"] = fill(cast, step["json"])
    if "form" in step:
        form = fill(cast, step["form"])
        how["form"] = list(form.items()) if isinstance(form, dict) else [tuple(p) for p in form]
    if "upload" in step:
        given = fill(cast, step["upload"])
        kind, how["body"] = specimens.form([given] if isinstance(given, dict) else given)
        headers.append(("Content-Type", kind))
    if "body" in step:
        how["body"] = str(fill(cast, step["body"])).encode("utf-8", "surrogatepass")
    if method in SAFE_METHODS and str(step["send"]).startswith("{"):
        # One of several methods: the body is for those that take one. A GET with a body is refused for that
        # alone, before anything that such a vector is about (body.toml).
        how.clear()
    if "type" in step and (kind := fill(cast, step["type"])) != "<none>":
        headers.append(("Content-Type", kind))
    if "token" in step:
        given = fill(cast, step["token"])
        given = client.token() if given == "own" else given
        place = fill(cast, step.get("token_in", "header"))
        target = _token(cast, client, place, given, headers, how, target)
    if "cookies" in step:
        raw = fill(cast, step["cookies"])
        how["cookies"] = False
        headers += [("Cookie", line) for line in ([raw] if isinstance(raw, str) else raw) if line]
    headers = [(k, str(v).encode().decode("latin-1")) for k, v in headers]
    return {"line": (method, target), "headers": headers, **how}


def _token(
    cast: Cast,
    client: Client,
    where: str,
    given: str,
    headers: list[tuple[str, str]],
    how: dict[str, Any],
    target: str,
) -> str:
    name, place = cast.look_up("CSRF_FIELD"), cast.look_up("CSRF_HEADER")
    match where:
        case "header":
            headers.append((place, given))
        case "field":
            how["form"] = [(name, given), *how.get("form", [])]
        case "json":
            how["json"] = {**how.get("json", {}), name: given}
        case "cookie":
            jar = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
            headers.append(("Cookie", f"{jar}; {name}={given}"))
        case "query":
            return f"{target}{'&' if '?' in target else '?'}{name}={given}"
        case other:
            raise ValueError(f"no token goes into {other}")
    return target


# What is looked at

_LOOKED_AT = {
    name: [column.name for column in table.columns if column.name not in ("seen_at", "renew")]
    for name, table in metadata.tables.items()
    if name not in ("audit_log", "outbox", "failures")
}


def state(laboratory: Laboratory) -> dict[str, Any]:
    """Everything that a refused request must leave as it was.

    Without the audit log, which records refusals, the failures that were counted, and when a session was
    last seen.
    """
    found: dict[str, Any] = {}
    house = laboratory.site.house
    with house.store.reading() as connection:
        cursor = connection.connection.cursor()  # the driver's: twenty tables are looked at with every step
        for name, columns in _LOOKED_AT.items():
            cursor.execute(f"SELECT {', '.join(columns)} FROM {name}")  # noqa: S608 - names of our own tables
            found[name] = {
                tuple(zip(columns, map(_comparable, row), strict=True)) for row in cursor.fetchall()
            }
        cursor.execute("SELECT recipient, subject FROM outbox")
        # A message on its way is in the outbox, or in the mailbox, or for a moment in both.
        found["mail"] = {
            *map(tuple, cursor.fetchall()),
            *((m["To"], m["Subject"]) for m in laboratory.mailbox.messages),
        }
        cursor.close()
    found["storage"] = {(path.name, "stored") for path in Path(laboratory.files).rglob("*") if path.is_file()}
    application = application_state(laboratory)
    found["application"] = {("changes", application.changes)}
    return found


def _comparable(value: Any) -> Any:
    """What a set can hold, of a column of JSON too."""
    return str(value) if isinstance(value, dict | list) else value


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}: -{before[name] - after[name]} +{after[name] - before[name]}"
        for name in before
        if before[name] != after[name]
    )


def _always(laboratory: Laboratory, reply: Reply, expect: dict[str, Any]) -> None:
    """What holds of every answer, whatever was asked."""
    expected = expect.get("status", [200, 201, 303])
    statuses = [expected] if isinstance(expected, int) else expected
    assert reply.status in statuses, f"{reply}, expected {statuses}: {reply.text[:300]}"
    # What came in the clear is sent on to https, or refused: there HSTS must not be said (RFC 6797 7.2).
    # A 308 may be the framework's own as well, of another spelling of the path.
    hsts = {"https.required": (0,)}.get(reply.code, (0, 1) if reply.status == 308 else (1,))
    for name in HEADERS:
        times = hsts if name == "strict-transport-security" else (1,)
        assert len(reply.all(name)) in times, f"{name}: {reply.all(name)} on {reply}"
    for name in ("server", "x-powered-by"):
        assert not reply.all(name), f"{name} on {reply}"
    secrets = [PASSWORD, laboratory.environ["SECRET_KEY"], laboratory.database, *INSIDE]
    for inside in secrets:
        assert inside not in reply.text, f"{inside[:12]!r} in the body of {reply}"
    for cookie in reply.all("set-cookie"):
        attributes = {part.strip().partition("=")[0].lower() for part in cookie.split(";")[1:]}
        assert {"secure", "httponly", "samesite", "path"} <= attributes, cookie
        assert "domain" not in attributes, cookie
    if reply.status >= 400 and reply.body:
        kind = reply.header("content-type").partition(";")[0]
        oauth = kind == "application/json" and "error" in reply.json()  # RFC 6749 section 5.2
        assert oauth or kind in ("application/problem+json", "text/html"), f"{kind} on {reply}"
        if kind != "text/html":
            body = reply.json()
            assert body["status"] == reply.status
            assert body["instance"].endswith(reply.header("x-request-id"))
            assert body["type"] == f"urn:bylaw:{body['code']}"


def _rows(before: dict[str, Any], after: dict[str, Any], expect: dict[str, Any]) -> None:
    for table, delta in expect.get("rows", {}).items():
        seen = len(after[table]) - len(before[table])
        assert seen == delta, f"{seen} rows more in {table}, expected {delta}"


def _mail(laboratory: Laboratory, before: dict[str, Any], expect: dict[str, Any]) -> None:
    if "mail" not in expect:
        return
    wanted = expect["mail"]
    known = before["mail"]
    fresh = [m for m in laboratory.mail() if (m["To"], m["Subject"]) not in known]
    assert {m["To"] for m in fresh} == set(wanted.get("to", [])), [m["To"] for m in fresh]
    for message in fresh:
        for text in wanted.get("lacks", []):
            assert text not in message.get_content(), text


def _answer(
    cast: Cast,
    client: Client,
    reply: Reply,
    expect: dict[str, Any],
    replies: dict[str, Reply],
    had: dict[str, str],
) -> None:
    if "reason" in expect:
        wanted = expect["reason"] if isinstance(expect["reason"], list) else [expect["reason"]]
        seen = reply.code or next((code for code in wanted if code in reply.text), "")
        assert seen in wanted, f"{reply}, expected {wanted}: {reply.text[:300]}"
    if "fields" in expect:
        seen_fields = {e["pointer"].removeprefix("#/") for e in reply.json().get("errors", [])}
        assert seen_fields == set(expect["fields"]), seen_fields
    if "who" in expect:
        assert reply.json()["id"] == cast.jar(expect["who"]).id, reply.text
    for name, value in expect.get("header", {}).items():
        assert reply.header(name) == value, f"{name}: {reply.header(name)!r}, expected {value!r}"
    for name in expect.get("absent", []):
        assert not reply.all(name), f"{name}: {reply.all(name)}"
    for text in expect.get("body", []):
        assert text in reply.text, f"no {text!r} in {reply.text[:300]}"
    for text in expect.get("lacks", []):
        whole = reply.text + "".join(f"{k}: {v}\n" for k, v in reply.headers)
        assert text not in whole, f"{text!r} in {whole[:600]}"
    if "cookies" in expect:
        _cookies(cast, reply, expect["cookies"], had)
    if "same_as" in expect:
        assert normal(reply) == normal(replies[expect["same_as"]])
    for text in expect.get("unlogged", []):
        lines = [line for line in cast.laboratory.logs.lines if text in line]
        assert not lines, f"{text[:60]!r} is in the log: {lines[0][:300]}"
    for action in expect.get("audit", []):
        newest = [
            row["action"]
            for row in cast.laboratory.audit()
            if row["request_id"] == reply.header("x-request-id")
        ]
        assert action in newest, f"{action} is not among {newest}"
    if "address" in expect:
        rows = cast.laboratory.audit(limit=5)
        seen_at = [r["ip_address"] for r in rows if r["request_id"] == reply.header("x-request-id")]
        assert seen_at == [expect["address"]], f"recorded as {seen_at}"
    if "me" in expect:
        now = cast.laboratory.whoami(client)
        seen_id = now.json()["id"] if now.status == 200 else "nobody"
        wanted_id = "nobody" if expect["me"] == "nobody" else cast.jar(expect["me"]).id
        assert seen_id == wanted_id, f"it is {seen_id} afterwards, expected {expect['me']}"


def _cookies(cast: Cast, reply: Reply, wanted: str, had: dict[str, str]) -> None:
    """`none`: no session was given; `new`: one that was not there before; `cleared`: it was ended."""
    name = cast.laboratory.cookie
    given = [c for c in reply.all("set-cookie") if c.partition("=")[0] == name]
    values = [c.partition("=")[2].partition(";")[0] for c in given]
    match wanted:
        case "none":
            assert not any(values), given
        case "new":
            assert len(values) == 1
            assert len(values[0]) == 43
            assert values[0] != had.get(name)
        case "cleared":
            assert values == [""], given
            assert "Max-Age=0" in given[0]
        case other:
            raise ValueError(f"no such expectation of cookies: {other}")


_CHANGING = (
    (re.compile(r"urn:request:[0-9a-f]+"), "urn:request:…"),
    (re.compile(r'nonce[-=]["\']?[\w-]+'), "nonce…"),
    (re.compile(r'(name="csrf_token" value=")[^"]+'), r"\1…"),
    (re.compile(r"request_id|[0-9a-f]{16}"), "…"),
)


def normal(reply: Reply) -> tuple[object, ...]:
    """An answer without what differs from one request to the next anyway."""
    text = reply.text
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    set_cookies = sorted(re.sub(r"=[^;]*", "=…", c, count=1) for c in reply.all("set-cookie"))
    other = sorted(
        (k.lower(), v)
        for k, v in reply.headers
        if k.lower() not in ("x-request-id", "set-cookie", "content-security-policy")
    )
    return reply.status, text, set_cookies, other
