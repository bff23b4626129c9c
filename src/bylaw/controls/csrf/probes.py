"""Attacks on the running application by forged requests. Every path is bylaw's own, or one of the
application's route table.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import cors, csrf
from bylaw.controls.csrf import forms
from bylaw.controls.headers import Settings as Headers
from bylaw.exchange import SAFE_METHODS, Allow, Exchange, PairHeaders, Peek, Read, Refuse, Verdict
from bylaw.reasons import Reason

FOREIGN: Final = "https://elsewhere.invalid"
UNSAFE: Final = ("POST", "PUT", "PATCH", "DELETE")
_BOUNDARY: Final = "----laboratory"
_neighbours: Final = itertools.count(1)


@probe("high", "S1-034", "S1-038", "S2-016", "C-15")
def foreign_requests_are_refused(lab: Any) -> str:
    """A request of another site changes nothing, even with the session's own token."""
    client = lab.ordinary()
    token = (client.token_header, client.token())
    for label, headers in _foreign(lab):
        for method in UNSAFE:
            reply = client.send(method, lab.api("sign_out"), headers=[*headers, token], json={})
            _expect(lab, reply, csrf.CROSS_SITE, f"{method}, {label}")
    routes = list(_unsafe_routes(lab))
    for method, path in routes:
        reply = client.send(method, path, headers=[("Origin", FOREIGN), token], json={})
        _expect(lab, reply, csrf.CROSS_SITE, f"{method} {path} from {FOREIGN}")
    _still_signed_in(lab, client)
    return f"{len(list(_foreign(lab)))} ways to come from elsewhere, {len(routes)} routes, all refused"


@probe("high", "S2-010", "S2-016", "C-09")
def a_site_that_shows_this_one_in_a_frame_is_a_foreign_one(lab: Any) -> str:
    """Whoever may show the application in a frame may send nothing in a visitor's name."""
    # The framed session's cookie is SameSite=None where that is used: it comes along with this request.
    trusted = {*_settings(lab).trusted_origins, *lab.policy.of(cors.Settings).origins}
    named = [s for s in lab.policy.of(Headers).frame_ancestors if s.startswith("https://")]
    framing = [FOREIGN, *(site for site in named if site not in trusted)]
    client = lab.ordinary()
    token = (client.token_header, client.token())
    with lab.under(Headers, frame_ancestors=tuple(framing)):
        for origin in framing:
            for site in ("cross-site", "same-site", None):
                said = [("Origin", origin), *([("Sec-Fetch-Site", site)] if site else [])]
                reply = client.send("POST", lab.api("sign_out"), headers=[*said, token], json={})
                _expect(lab, reply, csrf.CROSS_SITE, f"{origin}, which shows this site in a frame")
    _still_signed_in(lab, client)
    return f"{', '.join(framing)}: refused with the session's own token"


@probe("high", "S1-041", "C-17")
def a_stranger_cannot_be_signed_in_by_another_site(lab: Any) -> str:
    """Signing in with the attacker's credentials from another site's page opens no session."""
    person = lab.person()
    known = lab.shown(person)
    if _exempt(lab, lab.url(lab.door)):
        raise CouldNotLook("the policy exempts the sign-in form")
    foreign = [("Origin", FOREIGN), ("Sec-Fetch-Site", "cross-site")]
    here = lab.visitor().from_here
    for what, reply, reason in (
        (
            "JSON from another site",
            person.send("POST", lab.api(lab.door), headers=foreign, json=known),
            csrf.CROSS_SITE,
        ),
        (
            "a form from another site",
            person.send("POST", lab.url(lab.door), headers=foreign, form=known),
            csrf.CROSS_SITE,
        ),
        (
            "a form of this site without a token",
            person.send("POST", lab.url(lab.door), headers=here, form=known),
            csrf.TOKEN_MISSING,
        ),
    ):
        _expect(lab, reply, reason, what)
        if lab.cookie in person.cookies:
            raise Broken(f"{what} was refused and opened a session")
    if lab.sign_in(person).status != 200:
        raise CouldNotLook("the same person cannot sign in from this site either")
    return "refused three times, then signed in from this site"


@probe("high", "S1-035", "S1-037", "S1-038", "S1-039", "C-15")
def a_session_acts_only_with_its_token(lab: Any) -> str:
    """POST, PUT, PATCH and DELETE with a session and without its token are refused."""
    target = _unexempt(lab)
    for method in UNSAFE:
        client = _somebody(lab)
        here = client.from_here
        for what, how, reason in (
            ("no token", {"headers": here}, csrf.TOKEN_MISSING),
            (
                "a token that was made up",
                {"headers": [*here, (client.token_header, "salt.seal")]},
                csrf.TOKEN_WRONG,
            ),
        ):
            _expect(lab, client.send(method, target, json={}, **how), reason, f"{method}, {what}")
        query = f"{target}?{_settings(lab).field}={client.token()}"
        _expect(
            lab,
            client.send(method, query, headers=here, json={}),
            csrf.TOKEN_MISSING,
            f"{method}, the token only in the address",
        )
        reply = client.act(method, target, json={"no such field": 1})
        if reply.code.startswith("csrf."):
            raise Broken(f"{method} with the right token was refused: {reply}")
        _still_signed_in(lab, client)
    asked = [(m, p) for m, p in _unsafe_routes(lab) if not _exempt(lab, p) and not lab.borne(p)]
    for method, path in asked:
        client = _somebody(lab)
        reply = client.send(method, path, headers=client.from_here, json={})
        _expect(lab, reply, csrf.TOKEN_MISSING, f"{method} {path} without a token")
    client, deaf = _somebody(lab), 0
    for method, path, rule in lab.routes():
        if method not in UNSAFE or not lab.borne(path) or rule.kind not in ("signed_in", "permission"):
            continue
        deaf += 1
        reply = client.send(method, lab.sample(path), headers=client.from_here, json={})
        if reply.status != 401:  # 403 would be an answer to somebody
            raise Broken(f"{method} {path}, where no token is asked for, hears a session: {reply}")
    said = f"; {deaf} hear no session" if deaf else ""
    return f"four methods and {len(asked)} routes ask for the token{said}"


@probe("high", "S1-035", "S1-039")
def a_token_is_good_for_one_session(lab: Any) -> str:
    """Another person's token, a visitor's, one from before signing in and one of a past session fail."""
    victim, target = lab.ordinary(), _unexempt(lab)
    newcomer = lab.person()
    before = newcomer.token()
    lab.open_session(newcomer)
    past = victim.token()
    lab.open_session(victim)
    planted = "planted" * 4
    for who, what, token in (
        (victim, "another person's token", lab.ordinary().token()),
        (victim, "a visitor's token", lab.visitor().token()),
        (victim, "the token of a past session", past),
        (victim, "the value of a planted cookie", planted),
        (newcomer, "the token from before signing in", before),
    ):
        for name in ("csrf_token", "visitor", "__Host-visitor"):
            who.cookies[name] = planted
        headers = [*who.from_here, (who.token_header, token)]
        reply = who.send("POST", target, headers=headers, json={})
        _expect(lab, reply, csrf.TOKEN_WRONG, what)
    return "five tokens of elsewhere, none of them taken"


@probe("medium", "S1-036", "S1-039")
def a_form_bears_its_token_once_and_first(lab: Any) -> str:
    """A form's token is found in its body, once and in the first 64 KiB, and the body can be read again."""
    field = _settings(lab).field
    if _exempt(lab, lab.url(lab.door)):
        raise CouldNotLook("the policy exempts the sign-in form")
    for kind, encode in (("urlencoded", _urlencoded), ("multipart", _multipart)):
        person = lab.person()
        known = list(lab.shown(person).items())
        token = (field, person.token())
        filler = ("filler", "x" * csrf.PEEKED)
        for what, fields in (
            ("without the token", known),
            ("with the token twice", [token, token, *known]),
            ("with the token behind 64 KiB of something else", [filler, token, *known]),
        ):
            reply = person.send("POST", lab.url(lab.door), **_with(person, *encode(fields)))
            if fields[0] is filler and reply.code == "body.too_large":
                continue  # no form of bylaw's own is that long
            _expect(lab, reply, csrf.TOKEN_MISSING, f"{kind} {what}")
        reply = person.send("POST", lab.url(lab.door), **_with(person, *encode([token, *known])))
        if reply.status != 303 or lab.whoami(person).status != 200:
            raise Broken(f"{kind} with its token did not sign in: {reply}")
    return "urlencoded and multipart: three refused each, one signed in"


@probe("high", "S1-040", "S1-043", "S1-044", "S1-045", "S1-046", "C-17")
def exempt_paths_take_json_of_this_site_alone(lab: Any) -> str:
    """Where no token is asked for, only JSON of this site is taken."""
    exemptions = [e for e in _settings(lab).exempt if e.holds(lab.site.house.now())]
    for exemption in exemptions:
        path = exemption.path.replace("*", "anything")
        client = lab.ordinary()
        here = client.from_here
        for what, how, reason in (
            ("another site's JSON", {"headers": [("Origin", FOREIGN)], "json": {}}, csrf.CROSS_SITE),
            (
                "JSON as text/plain",
                {"headers": [*here, ("Content-Type", "text/plain")], "body": b"{}"},
                csrf.NOT_JSON,
            ),
            ("a form", {"headers": here, "form": {"a": "b"}}, csrf.NOT_JSON),
            ("a body of no type", {"headers": here, "body": b"{}"}, csrf.NOT_JSON),
            ("JSON of nowhere", {"json": {}}, csrf.NO_ORIGIN),
        ):
            _expect(lab, client.send("POST", path, **how), reason, f"{path}: {what}")
        reply = client.send("POST", path, headers=here, json={})
        if reply.code.startswith("csrf."):
            raise Broken(f"{path}: this site's JSON was refused: {reply}")
    _imagined_exemption(lab)
    return f"{len(exemptions)} exempt paths, and one made up for the occasion"


def _imagined_exemption(lab: Any) -> None:
    """What the control would do for an exemption, and on the day after its last."""
    house = lab.site.house
    last = datetime.datetime.fromtimestamp(house.now(), datetime.UTC).date()
    exemption = csrf.Exemption(path="/open/*", reason="made up by a probe", owner="verify", expires=last)
    settings = _settings(lab).model_copy(update={"exempt": (exemption,)})
    policy = replace(house.policy, controls={**house.policy.controls, "csrf": settings})
    for days, kind, reason in (
        (0, "text/plain", csrf.NOT_JSON),
        (0, "application/json", None),
        (1, "text/plain", None),
    ):
        ports = replace(house.ports, clock=lambda days=days: house.now() + days * 86400)
        step = csrf.CONTROL.steps["origin"](replace(house, policy=policy, ports=ports))
        headers = PairHeaders([("Origin", policy.app.origin), ("Content-Type", kind)])
        verdict = step(Exchange(method="POST", path="/open/door", headers=headers))
        if (verdict.reason if isinstance(verdict, Refuse) else None) is not reason:
            raise Broken(f"{kind} at an exempt path, {days} days after its last: {verdict}")


@probe("high", "S1-038")
def safe_methods_change_nothing(lab: Any) -> str:
    """What changes something is not there for GET: an image of another site signs nobody out."""
    client = lab.ordinary()
    image = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "image")]
    reads = {path for method, path, _ in lab.routes() if method == "GET"}
    only_unsafe = sorted({path for _, path in _unsafe_routes(lab)} - reads)
    for path in only_unsafe:
        reply = client.send("GET", path, headers=image)
        if reply.status not in (404, 405):
            raise Broken(f"GET {path} has no route and was answered: {reply}")
    _still_signed_in(lab, client)
    return f"{len(only_unsafe)} paths answer GET with 404 or 405, and the session is still there"


@probe("high", "S1-038")
def websockets_are_opened_from_here(lab: Any) -> str:
    """A WebSocket is not opened for another site, nor for a session that does not say where it is."""
    own, client = lab.policy.app.origin, lab.ordinary()
    cookie = ("Cookie", f"{lab.cookie}={client.cookies[lab.cookie]}")
    host = ("Host", own.partition("://")[2])
    for what, headers, reason in (
        ("another site", [("Origin", FOREIGN)], csrf.CROSS_SITE),
        ("another site with the session", [("Origin", FOREIGN), cookie], csrf.CROSS_SITE),
        ("the session without an origin", [cookie], csrf.NO_ORIGIN),
        ("this site", [("Origin", own), cookie], None),
    ):
        # Asked of the gate itself: whether the application has a WebSocket does not matter to it.
        asked = Exchange(
            method="GET",
            path="/no/such/socket",
            headers=PairHeaders([host, *headers]),
            scheme="wss" if lab.policy.app.secure else "ws",
            websocket=True,
        )
        with lab.answering():
            verdict = _decision(lab.site.gate.deciding(asked))
        seen = verdict.reason if isinstance(verdict, Refuse) else None
        if seen is not reason or (reason is None and not isinstance(verdict, Allow)):
            raise Broken(f"a handshake of {what}: {verdict}")
    return "three refused, this site's let through"


def _decision(path: Any) -> Verdict:
    """The verdict of a path of the gate for a request without a body."""
    given: Any = None
    try:
        while True:
            need = path.send(given)
            given = (b"", True) if isinstance(need, Peek) else b"" if isinstance(need, Read) else None
    except StopIteration as done:
        verdict: Verdict = done.value
        return verdict


def _somebody(lab: Any) -> Any:
    """Somebody signed in, at an address of their own: no limit of requests is in the way."""
    client = lab.ordinary()
    client.peer = f"2001:db8:{next(_neighbours) % 0xFFFF:x}::1"
    return client


def _settings(lab: Any) -> csrf.Settings:
    settings: csrf.Settings = lab.policy.of(csrf.Settings)
    return settings


def _foreign(lab: Any) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """Every way to come from elsewhere, with a label."""
    own = lab.policy.app.origin
    host = own.partition("://")[2]
    trusted = {origin.lower() for origin in _settings(lab).trusted_origins}
    for label, site, origin in (
        ("another site", "cross-site", FOREIGN),
        ("another site, by Origin alone", None, FOREIGN),
        ("another site, by Sec-Fetch-Site alone", "cross-site", None),
        ("another site that says same-origin", "same-origin", FOREIGN),
        ("a neighbouring host", "same-site", f"https://neighbour.{host}"),
        ("a host that begins like this one", None, f"{own}.elsewhere.invalid"),
        ("this host by another scheme", None, f"ftp://{host}"),
        ("a page without referrer", None, "null"),
        ("this origin in a cross-site request", "cross-site", own),
        ("a site that nobody has heard of", "cross-planet", None),
        ("an empty Origin", None, ""),
    ):
        if origin not in trusted:
            named = (("Sec-Fetch-Site", site), ("Origin", origin))
            yield label, [(name, value) for name, value in named if value is not None]


def _unsafe_routes(lab: Any) -> Iterable[tuple[str, str]]:
    for method, path, _ in lab.routes():
        if method not in SAFE_METHODS and method != "WEBSOCKET":
            yield method, path


def _exempt(lab: Any, path: str) -> bool:
    return any(exemption.covers(path) for exemption in _settings(lab).exempt)


def _unexempt(lab: Any) -> str:
    """A path of bylaw's own that takes JSON and asks for a token."""
    for name in ("sign_out", "sessions", "devices"):
        if not _exempt(lab, lab.api(name)):
            return str(lab.api(name))
    raise CouldNotLook("the policy exempts every path of bylaw's own")


def _expect(lab: Any, reply: Any, reason: Reason, what: str) -> None:
    status = _settings(lab).status
    if (reply.status, reply.code) != (status, reason.code):
        raise Broken(f"{what}: {reply}, not {status} {reason.code}")


def _still_signed_in(lab: Any, client: Any) -> None:
    if lab.whoami(client).status != 200:
        raise Broken("a refused request ended the session")


def _with(client: Any, kind: str, body: bytes) -> dict[str, Any]:
    return {"headers": [*client.from_here, ("Content-Type", kind)], "body": body}


def _urlencoded(fields: list[tuple[str, str]]) -> tuple[str, bytes]:
    return forms.URLENCODED, urlencode(fields).encode()


def _multipart(fields: list[tuple[str, str]]) -> tuple[str, bytes]:
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    ]
    return (f"{forms.MULTIPART}; boundary={_BOUNDARY}", "".join([*parts, f"--{_BOUNDARY}--\r\n"]).encode())


PROBES: Final = (
    foreign_requests_are_refused,
    a_site_that_shows_this_one_in_a_frame_is_a_foreign_one,
    a_stranger_cannot_be_signed_in_by_another_site,
    a_session_acts_only_with_its_token,
    a_token_is_good_for_one_session,
    a_form_bears_its_token_once_and_first,
    exempt_paths_take_json_of_this_site_alone,
    safe_methods_change_nothing,
    websockets_are_opened_from_here,
)
