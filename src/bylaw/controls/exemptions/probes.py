"""Attacks on the running application by way of what is left out or open."""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Iterator
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import csrf, exemptions

FOREIGN: Final = "https://elsewhere.invalid"
WHY: Final = "made up by a probe for as long as it lasts"


def _today(lab: Any) -> datetime.date:
    return datetime.datetime.fromtimestamp(lab.clock(), datetime.UTC).date()


def _imagined(lab: Any, path: str) -> csrf.Exemption:
    return csrf.Exemption(
        path=path, reason=WHY, owner="verify", expires=_today(lab), instead="a probe looks on"
    )


def _own(lab: Any) -> tuple[str, str]:
    """Two of bylaw's own paths that take JSON of whoever is signed in, one beside the other: neither is
    exempt. Raises CouldNotLook."""
    exempt = lab.policy.of(csrf.Settings).exempt
    free = [lab.api(n) for n in ("sessions", "devices") if not any(e.covers(lab.api(n)) for e in exempt)]
    if len(free) < 2:
        raise CouldNotLook("the policy exempts bylaw's own paths")
    return free[0], free[1]


@probe("high", "S1-040", "S1-045", "S1-046", "C-17")
def an_exemption_takes_away_one_thing(lab: Any) -> str:
    """An exempt path asks for no token, but for its origin and for JSON still; its neighbours for all."""
    path, neighbour = _own(lab)
    status = lab.policy.of(csrf.Settings).status
    nothing = {"no such field": 1}
    with lab.under(csrf.Settings, exempt=(_imagined(lab, path),)):
        client = lab.ordinary()
        here = client.from_here
        passed = client.send("POST", path, headers=here, json=nothing)
        if passed.code.startswith("csrf.") or passed.status >= 500:
            raise Broken(f"exempt, and yet {passed}")
        for what, reply, code in (
            (
                "another site",
                client.send("POST", path, headers=[("Origin", FOREIGN)], json=nothing),
                "csrf.cross_site",
            ),
            ("nowhere", client.send("POST", path, json=nothing), "csrf.no_origin"),
            ("a form", client.send("POST", path, headers=here, form={"a": "b"}), "csrf.not_json"),
            (
                "its neighbour",
                client.send("POST", neighbour, headers=here, json=nothing),
                "csrf.token_missing",
            ),
            (
                "what is below it",
                client.send("POST", f"{path}/more", headers=here, json=nothing),
                "csrf.token_missing",
            ),
        ):
            if (reply.status, reply.code) != (status, code):
                raise Broken(f"{what}: {reply}, not {status} {code}")
        if lab.visitor().send("POST", path, headers=here, json=nothing).code != "roles.unauthenticated":
            raise Broken("whoever is not signed in was let in")
    return f"{passed} without a token; another site, no origin, a form and its neighbours refused"


@probe("high", "S1-043", "S1-044", "C-17")
def an_exemption_ends(lab: Any) -> str:
    """After its last day an exemption is over for a running process, and no process starts with it."""
    path, _ = _own(lab)
    entry = "[[csrf.exempt]]\npath = '/a'\nreason = '{}'\nowner = 'verify'\nexpires = {}\n"
    today = datetime.datetime.now(datetime.UTC).date()  # a start asks the world, not the laboratory
    longest = 40 * 86400
    limit = f"[exemptions]\nlongest = {longest}\n"
    for days, said in ((-1, "expired on"), (41, "would run for"), (0, ""), (40, "")):
        last = today + datetime.timedelta(days=days)
        error = lab.refuses_to_start(limit + entry.format(WHY, last))
        if (said not in str(error)) if said else error is not None:
            raise Broken(f"an exemption until {days} days from today: {error or 'the application starts'}")
    for missing in ("reason", "owner", "expires"):
        text = "\n".join(line for line in entry.format(WHY, today).splitlines() if missing not in line)
        if lab.refuses_to_start(text) is None:
            raise Broken(f"an exemption without {missing} starts")
    with lab.under(csrf.Settings, exempt=(_imagined(lab, path),)):
        for day, code in (("its last day", ""), ("the day after", "csrf.token_missing")):
            client = lab.ordinary()
            reply = client.send("POST", path, headers=client.from_here, json={"no such field": 1})
            if (reply.code if reply.code.startswith("csrf.") else "") != code:
                raise Broken(f"on {day}: {reply}")
            lab.clock.advance(86400)
    return "over: the token is asked for again, and nothing starts; too long or unexplained: nothing starts"


@probe("medium", "S1-043", "S1-044")
def the_register_is_whole(lab: Any) -> str:
    """Every exemption that the policy's file has stands in the register, with all that it says."""
    written = list(_written(lab.policy.written))
    rows = exemptions.register(lab.policy)
    known = {(row.of, row.what, row.expires) for row in rows}
    for name, entry in written:
        if (name, entry["path"], entry["expires"]) not in known:
            raise Broken(f"{entry['path']}, exempt from {name}, is not in the register")
    with lab.under(csrf.Settings, exempt=(_imagined(lab, "/open/door"),)):
        rows += exemptions.register(lab.policy)
        [seen] = [row for row in exemptions.register(lab.policy) if row.what == "/open/door"]
        if seen.expires != _today(lab) or "a probe looks on" not in seen.instead or seen.reason != WHY:
            raise Broken(f"an exemption was made, and the register says {seen}")
        if "/open/door" not in " ".join(exemptions.CONTROL.statement(lab.policy)):
            raise Broken("an exemption was made, and SECURITY.md does not say so")
    for row in rows:
        if not (row.reason and row.owner and row.expires and row.instead):
            raise Broken(f"{row.what} does not say why, who, until when or what is in its place")
    return f"{len(written)} exemptions of the file, and one made up, all in the register"


def _written(table: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(control, table) of whatever in the file looks like an exemption, at any depth."""
    if isinstance(table, dict):
        if {"path", "expires"} <= table.keys():
            yield name, table
        for key, value in table.items():
            yield from _written(value, name or key)
    elif isinstance(table, list):
        for each in table:
            yield from _written(each, name)


@probe("high", "S1-043")
def what_is_public_is_registered(lab: Any) -> str:
    """What answers without an identity stands in the register, with its path; nothing else answers."""
    sample = importlib.import_module("bylaw.verify.matrix").sample
    rows = [r.what for r in exemptions.register(lab.policy, lab.routes()) if r.of == exemptions.PUBLIC]
    public = refused = 0
    for method, path, rule in lab.routes():
        listed = any(what.endswith(f" {path}") and method in what.split(" /")[0] for what in rows)
        if listed is not (rule.kind == "public"):
            raise Broken(f"{method} {path} is {rule}, and the register {'lists' if listed else 'lacks'} it")
        if method == "WEBSOCKET":
            continue
        visitor = lab.visitor()
        body: dict[str, Any] = {} if method in ("GET", "HEAD", "OPTIONS", "TRACE") else {"json": {}}
        reply = visitor.send(method, sample(path), headers=visitor.from_here, **body)
        if not listed and reply.status < 400:
            raise Broken(f"{method} {path} answers nobody with {reply}, and is not in the register")
        if listed and reply.code.startswith("roles."):
            raise Broken(f"{method} {path} is in the register, and refuses nobody: {reply}")
        public, refused = public + listed, refused + (not listed)
    return f"{public} public routes answer and are listed, {refused} others refuse whoever is not known"


PROBES: Final = (
    an_exemption_takes_away_one_thing,
    an_exemption_ends,
    the_register_is_whole,
    what_is_public_is_registered,
)
