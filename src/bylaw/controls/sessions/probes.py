"""Attacks on sessions."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import api_keys, cookies, jwt, roles, sessions
from bylaw.exchange import Exchange, PairHeaders
from bylaw.identity import UNFINISHED
from bylaw.keys import digest
from bylaw.reasons import Refused
from bylaw.store import sessions as store

MANY: Final = 16
"""Requests that are under way at the same moment."""


@probe("high", "S1-003", "C-40")
def only_a_digest_is_kept(lab: Any) -> str:
    """The cookie is 256 random bits, and nothing in the database could be sent in its place."""
    person = lab.person()
    given = []
    for _ in range(2):
        if lab.sign_in(person, person.password).status != 200:
            raise CouldNotLook("nobody can sign in")
        given.append(person.cookies.pop(lab.cookie))
    if given[0] == given[1] or min(map(len, given)) < 43 or person.email in given[0]:
        raise Broken("the cookie is short, the same twice or made of what is known")
    kept = lab.dump()
    if any(secret in kept for secret in (*given, *filter(None, (person.password, person.access_token)))):
        raise Broken("the database holds the cookie itself, or what it was given for")
    if digest(given[0]) not in kept:
        raise Broken("the database does not know the session")
    return "two sessions, two secrets of 43 characters; the database knows their digests alone"


@probe("high", "S1-003", "C-32")
def an_id_is_given_and_never_taken(lab: Any) -> str:
    """A value from before signing in is not adopted, and signing in again replaces the session."""
    invented = secrets.token_urlsafe(32)
    for value in (
        invented,
        "1",
        "eyJ1c2VyX2lkIjoxLCJyb2xlIjoiYWRtaW4ifQ==",
        "gASVDwAAAAAAAACMBWFkbWlulC4=",
        "\xff" * 43,
        "' OR 1=1 --" + "x" * 32,
    ):
        if _as_somebody(lab, value):
            raise Broken(f"an invented value was taken for a session: {value!r}")
    person = lab.person()
    person.cookies[lab.cookie] = invented
    reply = lab.sign_in(person)
    first = person.cookies.get(lab.cookie)
    if reply.status != 200 or first in (None, invented) or _as_somebody(lab, invented):
        raise Broken(f"signing in with an invented value: {reply}, and no new id")
    person.act("POST", lab.api(lab.door), json=lab.shown(person))
    if person.cookies.get(lab.cookie) == first or _as_somebody(lab, first):
        raise Broken("signing in once more left the first session alive")
    return "six invented values, none adopted; a second sign-in replaced the first"


@probe("critical", "C-32")
def a_copied_cookie_ends_with_the_session(lab: Any) -> str:
    """Signing out, here and everywhere, a new password, ending the others and being disabled reach every
    copy."""
    ways = _endings(lab)
    people = {what: lab.person() for what in ways}
    copies = {what: lab.open_session(person) for what, person in people.items()}
    if not all(_as_somebody(lab, copy) for copy in copies.values()):
        raise Broken("a copied cookie was not good before")
    for what, (_, end) in ways.items():
        end(people[what])
    for what, copy in copies.items():
        if _as_somebody(lab, copy):
            raise Broken(f"after {what} a copied cookie still works")
    for what, (left, _) in ways.items():
        if len(_kept(lab, people[what])) != left:
            raise Broken(f"after {what} the store holds {len(_kept(lab, people[what]))} sessions, not {left}")
        if left and lab.whoami(people[what]).status != 200:
            raise Broken(f"{what} signed out whoever did it as well")
    return f"{len(ways)} ways to end a session, each for its copy too, at the next request"


def _endings(lab: Any) -> dict[str, tuple[int, Callable[[Any], None]]]:
    """The ways to end a session that this policy has: how many the person has left, and how it is done."""

    def act(name: str, **sent: Any) -> Callable[[Any], None]:
        return lambda person: _done(person.act("POST", lab.api(name), json=sent), name)

    def others(person: Any) -> None:
        lab.open_session(person)
        act("sessions", session="others")(person)

    def everywhere(person: Any) -> None:
        lab.open_session(person)
        act("sessions", session="everywhere")(person)

    def change(person: Any) -> None:
        act("change_password", current=person.password, password=f"{person.password} And on.")(person)

    ways: dict[str, tuple[int, Callable[[Any], None]]] = {
        "signing out": (0, act("sign_out")),
        "signing out everywhere": (0, everywhere),
        "ending the others": (1, others),
        "being disabled": (
            0,
            lambda person: _administer(lab, person, {"action": "disable", "reason": "an attack"}),
        ),
    }
    if "change_password" in lab.site.pages.urls:
        ways["a new password"] = (1, change)
    return ways


@probe("high", "S2-011", "C-32")
def a_session_ends_by_itself(lab: Any) -> str:
    """Unused for the idle limit, and at the absolute limit however busy, a session has ended."""
    settings, memory = lab.policy.of(sessions.Settings), lab.site.house.store.memory
    idler = lab.client()
    secret = idler.cookies[lab.cookie]
    for pause in (settings.idle // 2, settings.idle - 1):
        lab.clock.advance(pause)
        if settings.idle * 2 < settings.absolute and not _as_somebody(lab, secret):
            raise Broken(f"used every {pause} seconds, the session ended before its time")
    lab.clock.advance(settings.idle)
    if _as_somebody(lab, secret):
        raise Broken(f"unused for {settings.idle} seconds, the session still answers")

    busy = lab.client()
    secret = busy.cookies[lab.cookie]
    began = lab.clock()
    for age, alive in ((settings.absolute - 1, True), (settings.absolute + 1, False)):
        # Busy until a second ago, as seen by this process and by any other.
        with lab.site.house.store.transaction() as connection:
            store.touch(connection, [(digest(secret), began + age - 1)])
        memory.clear()
        lab.clock.advance(began + age - lab.clock())
        if _as_somebody(lab, secret) is not alive:
            raise Broken(
                f"{age} seconds after signing in the session is {'over' if alive else 'still there'}"
            )
    return f"ended after {settings.idle} s without use, and after {settings.absolute} s of use"


@probe("high", "C-32")
def a_change_of_roles_gives_a_new_id(lab: Any) -> str:
    """New roles hold at the next request, under a new id; the old one ends, with a sign-out at once."""
    if not lab.roles:
        raise CouldNotLook("the policy has no roles")
    for signs_out in (False, True):
        person = lab.client()
        old = person.cookies[lab.cookie]
        if not _as_somebody(lab, old):
            raise Broken("a new session is not good")
        _administer(lab, person, {"action": "roles", "role": [lab.roles[0]]})
        who = lab.whoami(person)
        if who.status != 200 or who.json()["roles"] != [lab.roles[0]]:
            raise Broken(f"the next request did not have the new role: {who.text}")
        if person.cookies[lab.cookie] == old:
            raise Broken("the session kept its id")
        if not _as_somebody(lab, old):
            raise Broken("a request on its way with the old id was refused")
        if signs_out:
            _done(person.act("POST", lab.api("sign_out"), json={}), "signing out")
        else:
            lab.clock.advance(sessions.GRACE)
        if _as_somebody(lab, old):
            raise Broken(f"the old id outlives {'the sign-out' if signs_out else 'its grace'}")
    return f"a new id at the next request; the old one is gone after {sessions.GRACE} s or a sign-out"


@probe("low")
def a_known_session_costs_no_query(lab: Any) -> str:
    """Whoever is known is decided from memory: not one query for a request."""
    person = lab.client()
    lab.whoami(person)
    with lab.queries() as asked:
        for _ in range(10):
            lab.site.house.store.feed.read()
            asked.clear()
            if lab.whoami(person).status != 200:
                raise Broken("a known session was not recognised")
            if asked:
                raise Broken(f"a known session cost {len(asked)} queries: {asked[0][:80]}")
    return "ten requests of a known session, no query"


@probe("critical", "C-32")
def another_process_heeds_the_end(lab: Any) -> str:
    """A session that ends in one process has ended in every other within the bound."""
    bound = lab.policy.store.revocation_bound
    person = lab.client()
    secret = person.cookies[lab.cookie]
    token = person.token()
    other = type(lab.site)(lab.policy.file, world=lab.site.house.ports)
    try:
        if not _identified(other, lab.cookie, secret) or len(other.house.store.memory) != 1:
            raise Broken("another process does not know the session")
        _done(
            person.send(
                "POST",
                lab.api("sign_out"),
                json={},
                headers=[*person.from_here, (person.token_header, token)],
            ),
            "signing out",
        )
        ended = time.monotonic()
        while True:
            asked = time.monotonic() - ended
            if not _identified(other, lab.cookie, secret):
                return f"another process, which knew the session, refused it after {asked:.2f} s"
            if asked > bound:
                raise Broken(f"{asked:.1f} s after the sign-out another process still lets it in")
    finally:
        other.close()


@probe("critical", "C-05", "S3-017", "S3-072")
def every_credential_ends_everywhere(lab: Any) -> str:
    """Access tokens and API keys end as sessions do: one that another process holds in memory is refused
    there within the bound, and costs it no query until then."""
    bound, found = lab.policy.store.revocation_bound, _borne(lab)
    if not found:
        raise CouldNotLook("the policy has neither JWT access tokens nor API keys")
    other, said = type(lab.site)(lab.policy.file, world=lab.site.house.ports), []
    try:
        for kind, path, text, end in found:
            header = ("Authorization", f"Bearer {text}")
            if not _knows(other, path, header):
                raise Broken(f"another process refuses {kind} that is good")
            other.house.store.feed.read()  # however slow this machine is just now
            with lab.queries(other) as asked:
                if not _knows(other, path, header) or asked:
                    raise Broken(f"another process does not know {kind} by memory: {asked[:1]}")
            end()
            ended = time.monotonic()
            while (waited := time.monotonic() - ended) >= 0 and _knows(other, path, header):
                if waited > bound:
                    raise Broken(f"{waited:.1f} s after its end {kind} is good in another process")
            said.append(f"{kind} after {waited:.2f} s")
    finally:
        other.close()
    return f"another process refused {', '.join(said)}"


def _borne(lab: Any) -> list[tuple[str, str, str, Callable[[], object]]]:
    """What people and programs bear by the policy: its kind, where it is taken, the text, and how it ends."""
    found: list[tuple[str, str, str, Callable[[], object]]] = []
    if jwt.used(lab.policy):
        path, families = lab.policy.of(jwt.Settings).paths[0], sys.modules["bylaw.operations.token_families"]
        pair = lab.pair(lab.client())
        revoke = families.revoke
        found.append(("an access token", path, pair.access, lambda: revoke(lab.site.house, pair.refresh)))
    settings, grants = lab.policy.of(api_keys.Settings), lab.policy.of(roles.Settings).grants
    role = min((role for role, held in grants.items() if held), default="")
    if settings.paths and not settings.off and role:
        owner = lab.client(role)
        made = lab.key(owner, grants[role][0])
        found.append(("an API key", settings.paths[0], made.text, lambda: lab.revoke_key(owner, made.id)))
    return [(kind, lab.sample(path), text, end) for kind, path, text, end in found]


@probe("high")
def one_that_cannot_follow_asks_the_database(lab: Any) -> str:
    """A process that cannot read the feed trusts its memory no more, and refuses without a database."""
    person = lab.client()
    secret = person.cookies[lab.cookie]
    if not _as_somebody(lab, secret):
        raise Broken("a new session is not good")
    kept = lab.site.house.store
    with lab.unreachable(kept.feed, "_engine"):
        # As long ago as the bound, without waiting for it.
        kept.feed._read_at -= kept.feed.bound
        with lab.queries() as asked:
            if not _as_somebody(lab, secret) or not asked:
                raise Broken("the session was taken from a memory that nobody keeps up to date")
        with lab.unreachable(kept, "engine"):
            reply = _with(lab, secret)
            if (reply.status, reply.code) != (503, sessions.UNAVAILABLE.code):
                raise Broken(f"without feed and database: {reply}")
        with kept.transaction() as connection:  # as another process does it
            store.end(connection, digest(secret))
        if _as_somebody(lab, secret):
            raise Broken("a session that another process has ended still answers")
    return "asked the database for each request, and refused with 503 without it"


@probe("high", "C-32")
def nothing_writes_a_session_back(lab: Any) -> str:
    """Requests that are under way while somebody signs out leave nothing of the session behind."""
    house = lab.site.house
    for _ in range(3):
        person = lab.client()
        secret = person.cookies[lab.cookie]
        headers = [*person.from_here, (person.token_header, person.token())]
        lab.clock.advance(sessions.WRITE_SEEN_AFTER + 1)  # their use would have to be written down

        def ask(number: int, person: Any = person, secret: str = secret, headers: Any = headers) -> Any:
            if number == MANY // 2:
                return person.send("POST", lab.api("sign_out"), headers=headers, json={}, keep=False)
            return _with(lab, secret)

        replies = lab.burst(ask, MANY + 1)
        _done(replies[MANY // 2], "signing out among others")
        sessions.write_seen(house)
        if _as_somebody(lab, secret) or _kept(lab, person) or house.store.memory.get(digest(secret)):
            raise Broken("the session is back")
        given = {c.partition(";")[0] for r in replies for c in r.all("set-cookie")}
        if given - {f"{lab.cookie}="}:
            raise Broken(f"a request that was under way was given a session: {len(given)}")
    return f"three sign-outs among {MANY} requests each: nothing left"


@probe("medium", "C-32")
def unknown_ids_leave_nothing_behind(lab: Any) -> str:
    """Requests with invented, empty and no ids take no place in the store."""
    before, remembered = _count(lab), len(lab.site.house.store.memory)
    visitor = lab.visitor()
    for value in (*(secrets.token_urlsafe(32) for _ in range(40)), "", "x" * 9000):
        if _with(lab, value).status != 401:
            raise Broken(f"an invented id was answered: {value[:50]!r}")
    for _ in range(5):
        visitor.send("POST", lab.api("sign_out"), headers=visitor.from_here, json={})
    after, kept = _count(lab), len(lab.site.house.store.memory)
    if after > before or kept > remembered:  # fewer is what the chores do meanwhile
        raise Broken(f"from {before} to {after} sessions, and from {remembered} to {kept} in memory")
    return "42 unknown ids and five sign-outs of nobody: the store is as it was"


@probe("critical", "S1-003", "C-32")
def half_a_sign_in_opens_nothing(lab: Any) -> str:
    """A session that still owes something is nobody's: no route answers it, until it owes nothing."""
    asked = 0
    owing = [owed for owed in sessions.OWED if sessions.PAGES[owed] in lab.site.pages.urls]
    for owed in owing:
        person = lab.person()
        secret = lab.open_session(person, owes=[owed])
        person.token_page = lab.url(sessions.PAGES[owed])
        if _as_somebody(lab, secret):
            raise Broken(f"a session that owes {owed!r} is somebody's")
        for method, path, rule in lab.routes():
            if rule.kind in ("public", "owing") or set("{<*") & set(path) or method != "GET":
                continue
            asked += 1
            reply = person.get(path, keep=False)
            # Where credentials are borne a session says nothing, finished or not.
            if reply.status != 401 or (reply.code != UNFINISHED.code and not lab.borne(path)):
                raise Broken(f"{method} {path} answers a session that owes {owed!r}: {reply}")
        opened = _go_on(lab, digest(secret), done=[owed])
        if not _as_somebody(lab, opened.secret) or _as_somebody(lab, secret):
            raise Broken(f"what owed {owed!r} and owes it no more is nobody's, or its old id is somebody's")
    return f"{asked} requests of {len(owing)} sessions that owed something, none answered"


@probe("high", "S1-003", "C-32")
def each_proof_gives_a_new_id(lab: Any) -> str:
    """Of many proofs at once one goes on, under a new id; a sign-out among them ends whatever went on."""
    for signs_out in (False, True):
        person = lab.person()
        secret = lab.open_session(person, assurance=1)
        token = [*person.from_here, (person.token_header, person.token())]

        def prove(
            number: int,
            person: Any = person,
            secret: str = secret,
            token: Any = token,
            signs_out: bool = signs_out,
        ) -> Any:
            if signs_out and number == MANY // 2:
                return person.send("POST", lab.api("sign_out"), headers=token, json={}, keep=False)
            try:
                return _go_on(lab, digest(secret), method="proof", assurance=2)
            except Refused:
                return None

        opened = [each for each in lab.burst(prove, MANY) if isinstance(each, sessions.Opened)]
        if len(opened) > 1 or not (opened or signs_out):
            raise Broken(f"{len(opened)} of {MANY} proofs went on with one session")
        if _as_somebody(lab, secret):
            raise Broken("the id from before the proof still opens something")
        alive = [each for each in opened if _as_somebody(lab, each.secret)]
        if signs_out and alive:
            raise Broken("a proof that was under way has brought the session back after the sign-out")
        if not signs_out and not alive:
            raise Broken("the new id opens nothing")
    return f"{MANY} proofs at once: one new id, the old one dead; with a sign-out among them none"


@probe("medium", "S1-003")
def a_new_device_is_told_of(lab: Any) -> str:
    """A sign-in from a device that has not been there before is told to the account's owner by mail."""
    owner = lab.person()
    for what, jar, told in (
        ("the very first sign-in", {}, 0),
        ("the same device", None, 0),
        ("another device", {}, 1),
        ("that one again", None, 1),
    ):
        owner.cookies = {k: v for k, v in owner.cookies.items() if k != lab.cookie} if jar is None else jar
        if lab.sign_in(owner).status != 200:
            raise CouldNotLook("nobody can sign in")
        mails = [m for m in lab.mail() if m["To"] == owner.email and lab.url("sessions") in str(m)]
        if len(mails) != told:
            raise Broken(f"after {what}: {len(mails)} mails of a new device, not {told}")
    return "two devices, one mail: about the second"


@probe("medium", "S1-003")
def signing_out_clears_the_browser(lab: Any) -> str:
    """Signing out clears what the browser kept and ends its cookies, except that the device is known."""
    person = lab.person()
    if lab.sign_in(person).status != 200:
        raise CouldNotLook("nobody can sign in")
    person.cookies["left-behind"] = "1"
    reply = person.act("POST", lab.api("sign_out"), json={})
    _done(reply, "signing out")
    cleared = reply.header("clear-site-data")
    ended = {cookie.partition("=")[0] for cookie in reply.all("set-cookie") if "Max-Age=0" in cookie}
    if '"cache"' not in cleared or '"storage"' not in cleared or not {lab.cookie, "left-behind"} <= ended:
        raise Broken(f"the browser keeps something: Clear-Site-Data {cleared!r}, ended {sorted(ended)}")
    if '"cookies"' in cleared or cookies.name(lab.policy, cookies.DEVICE) not in person.cookies:
        raise Broken("whoever signs out is a stranger to the lockout from then on")
    return f"{cleared}; ended {', '.join(sorted(ended))}; the device is still known"


def _go_on(lab: Any, key: str, **how: Any) -> Any:
    """Have a session go on as after a further proof."""
    return sys.modules["bylaw.operations.signing_in"].go_on(lab.site.house, key, **how)


def _with(lab: Any, secret: str) -> Any:
    """What somebody elsewhere gets who has this cookie alone."""
    client = lab.visitor(peer="203.0.113.9")
    return client.get(lab.api("me"), headers=[("Cookie", f"{lab.cookie}={secret}")], keep=False)


def _as_somebody(lab: Any, secret: str) -> bool:
    reply = _with(lab, secret)
    if reply.status not in (200, 401):
        raise Broken(f"asked who this is: {reply}")
    return bool(reply.status == 200)


def _identified(site: Any, cookie: str, secret: str) -> bool:
    """Whether another process, asked at its gate, knows who this is."""
    return _knows(site, "/no/such/path-7f3a", ("Cookie", f"{cookie}={secret}"))


def _knows(site: Any, path: str, header: tuple[str, str]) -> bool:
    """The same of whatever a header bears."""
    scheme, _, host = site.policy.app.origin.partition("://")
    headers = PairHeaders([("Host", host), header])
    exchange = Exchange(method="GET", path=path, headers=headers, scheme=scheme)
    for _ in site.gate.deciding(exchange):
        pass  # it may wait here as long as it needs to
    return exchange.identity is not None


def _done(reply: Any, what: str) -> None:
    if reply.status not in (200, 204, 303):
        raise CouldNotLook(f"{what} was answered with {reply}")


def _administer(lab: Any, person: Any, change: dict[str, Any]) -> None:
    """Have an administrator change somebody's standing."""
    grants = lab.policy.of(roles.Settings).grants
    if not any(set(held) & {"*", "user:*", roles.MANAGE_USERS} for held in grants.values()):
        raise CouldNotLook("no role may manage users")
    role = next(r for r, held in grants.items() if set(held) & {"*", "user:*", roles.MANAGE_USERS})
    administrator = lab.client(role)
    path = lab.api("user").replace("{id}", person.id)
    change = {"reason": "a probe of sessions", **change}
    _done(administrator.act("POST", path, json=change), f"{change['action']} by an administrator")


def _kept(lab: Any, person: Any) -> list[Any]:
    with lab.site.house.store.reading() as connection:
        return store.of_user(connection, person.id)


def _count(lab: Any) -> int:
    with lab.site.house.store.reading() as connection:
        return store.count(connection)


PROBES: Final = (
    only_a_digest_is_kept,
    an_id_is_given_and_never_taken,
    a_copied_cookie_ends_with_the_session,
    a_session_ends_by_itself,
    a_change_of_roles_gives_a_new_id,
    a_known_session_costs_no_query,
    another_process_heeds_the_end,
    every_credential_ends_everywhere,
    one_that_cannot_follow_asks_the_database,
    nothing_writes_a_session_back,
    unknown_ids_leave_nothing_behind,
    half_a_sign_in_opens_nothing,
    each_proof_gives_a_new_id,
    a_new_device_is_told_of,
    signing_out_clears_the_browser,
)
