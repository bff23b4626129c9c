"""Attacks on the table of what an event ends (bylaw.operations.standing): every event happens through the
running application, to somebody who holds one of everything, and each cell is looked at: what must be over,
and what must still be good. A neighbour holds the same, and must lose nothing.
"""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pyotp

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import email, mfa, signup
from bylaw.keys import digest
from bylaw.store import bearers, ceremonies, devices, federated, links
from bylaw.store.tables import (
    access_tokens,
    api_keys,
    email_confirmations,
    password_resets,
    totp_secrets,
    unlock_links,
)

_DAY: Final = 86400


@dataclass
class Holder:
    """Somebody with one of everything. `here` is the browser that the event comes from."""

    here: Any
    there: Any
    weaker: Any
    secrets: dict[str, str] = field(default_factory=dict)


def _standing() -> Any:
    return sys.modules["bylaw.operations.standing"]


def _token() -> str:
    return f"{uuid.uuid4().hex}{uuid.uuid4().hex}"[:43]


def _browser(lab: Any, person: Any, *, assurance: int = 2) -> Any:
    client = lab.visitor()
    client.id, client.email, client.password = person.id, person.email, person.password
    client.token_page = lab.url("change_password")
    lab.open_session(client, assurance=assurance)
    return client


def _holder(lab: Any) -> Holder:
    role = lab.policy.of(signup.Settings).role
    person = lab.person(*([role] if role else []))
    made = Holder(_browser(lab, person), _browser(lab, person), _browser(lab, person, assurance=1))
    for client in (made.here, made.there, made.weaker):
        if lab.whoami(client).status != 200:
            raise CouldNotLook("the policy asks more of a session than a laboratory opens")
    return made


def _fill(lab: Any, holder: Holder) -> None:
    """Give somebody a link of each kind, a known device and something that is under way."""
    now, user_id = lab.clock(), holder.here.id
    row = {"user_id": user_id, "created_at": now}
    link = {**row, "expires_at": now + _DAY}
    with lab.site.house.store.transaction() as connection:
        for name, table, more in (
            ("resets", password_resets, {"purpose": "reset"}),
            ("changes", email_confirmations, {"email": f"new-{holder.here.email}"}),
            ("confirmations", email_confirmations, {"email": holder.here.email}),
            ("unlocks", unlock_links, {}),
        ):
            holder.secrets[name] = _token()
            links.add(connection, table, {**link, **more, "digest": digest(holder.secrets[name])})
        holder.secrets["devices"] = holder.secrets["under_way"] = _token()
        key = digest(holder.secrets["devices"])
        devices.add(connection, {**row, "digest": key, "id": key[:22], "seen_at": now})
        for name, table, more in (
            ("tokens", access_tokens, {}),
            ("keys", api_keys, {"scopes": [], "networks": [], "rate": ""}),
        ):
            holder.secrets[name] = _token()
            bearer = {**row, **more, "digest": digest(holder.secrets[name]), "id": holder.secrets[name][:22]}
            bearers.add(connection, table, {**bearer, "name": "laboratory", "expires_at": now + _DAY})
        ceremony = {"digest": key, "kind": "laboratory", "user_id": user_id, "facts": {}}
        ceremonies.add(connection, {**ceremony, "expires_at": now + _DAY})


_TABLES: Final = {
    "resets": password_resets,
    "changes": email_confirmations,
    "confirmations": email_confirmations,
    "unlocks": unlock_links,
}


def _held(lab: Any, holder: Holder) -> dict[str, bool]:
    """Which of what somebody was given is still good."""
    now = lab.clock()
    with lab.site.house.store.reading() as connection:
        found = {
            name: links.find(connection, table, digest(holder.secrets[name]), now) is not None
            for name, table in _TABLES.items()
        }
        key = digest(holder.secrets["devices"])
        found["devices"] = devices.known(connection, [key])
        for name, table in (("tokens", access_tokens), ("keys", api_keys)):
            row = bearers.find(connection, table, digest(holder.secrets[name]))
            found[name] = row is not None and row["revoked_at"] is None
        found["under_way"] = ceremonies.find(connection, "laboratory", key, now) is not None
    return found


def _sessions(lab: Any, holder: Holder) -> dict[str, bool]:
    """Which of somebody's sessions are still good: this one, another, one that has shown one factor."""
    browsers = {"here": holder.here, "there": holder.there, "weaker": holder.weaker}
    return {name: lab.whoami(client).status == 200 for name, client in browsers.items()}


_LIVING: Final[dict[str, set[str]]] = {
    "all": set(),
    "others": {"here"},
    "weaker": {"here", "there"},
    "new id": {"here", "there", "weaker"},
}


# How each event comes about


def _done(what: str, reply: Any) -> Any:
    if reply.status not in (200, 201, 202):
        raise CouldNotLook(f"{what}: {reply}")
    return reply


def _change_password(lab: Any, holder: Holder) -> None:
    values = {"current": holder.here.password, "password": f"Quiet {uuid.uuid4().hex[:12]} River 7!"}
    _done("changing it", holder.here.act("POST", lab.api("change_password"), json=values))


def _reset_password(lab: Any, holder: Holder) -> None:
    """With another link than the one that is looked at."""
    token, now = _token(), lab.clock()
    row = {"digest": digest(token), "user_id": holder.here.id, "created_at": now, "expires_at": now + _DAY}
    with lab.site.house.store.transaction() as connection:
        links.add(connection, password_resets, {**row, "purpose": "reset"})
    visitor = lab.visitor()
    values = {"token": token, "password": f"Quiet {uuid.uuid4().hex[:12]} River 7!"}
    _done(
        "resetting it",
        visitor.send("POST", lab.api("reset_password"), headers=visitor.from_here, json=values),
    )


def _change_address(lab: Any, holder: Holder) -> None:
    """Asked for earlier; what somebody is given afterwards is not ended by the asking."""
    reply = holder.here.act("POST", lab.api("confirm_email"), json={"token": holder.secrets["changing"]})
    _done("confirming it", reply)


def _ask_address(lab: Any, holder: Holder) -> None:
    new = f"moved-{uuid.uuid4().hex[:8]}@people.test"
    _done("asking for it", holder.here.act("POST", lab.api("change_email"), json={"email": new}))
    texts = [m.get_body(("plain",)).get_content() for m in lab.mail() if m["To"] == new]
    found = re.search(rf"{re.escape(lab.policy.app.origin)}\S+/([A-Za-z0-9_-]{{43}})", " ".join(texts))
    if found is None:
        raise CouldNotLook("no link to confirm the new address was mailed")
    holder.secrets["changing"] = found[1]


def _add_factor(lab: Any, holder: Holder) -> None:
    secret = holder.secrets["app"]
    code = pyotp.TOTP(secret).at(int(lab.clock()))
    _done("adding it", holder.here.act("POST", lab.api("authenticator"), json={"code": code}))


def _begin_factor(lab: Any, holder: Holder) -> None:
    reply = _done("beginning it", holder.here.act("POST", lab.api("authenticator"), json={}))
    holder.secrets["app"] = str(reply.json()["secret"])


def _own_factor(lab: Any, holder: Holder) -> None:
    app = {"id": uuid.uuid4().hex[:22], "user_id": holder.here.id, "name": "app", "secret": "-"}  # nosec B105 - nobody's
    with lab.site.house.store.transaction() as connection:
        connection.execute(totp_secrets.insert().values(**app, last_step=0, created_at=lab.clock()))
    holder.secrets["app"] = app["id"]


def _remove_factor(lab: Any, holder: Holder) -> None:
    values = {"action": "remove", "factor": holder.secrets["app"]}
    _done("removing it", holder.here.act("POST", lab.api("factors"), json=values))


def _own_link(lab: Any, holder: Holder) -> None:
    row = {"oauth_provider": "elsewhere", "oauth_id": uuid.uuid4().hex, "user_id": holder.here.id}
    with lab.site.house.store.transaction() as connection:
        federated.add(connection, {**row, "email": holder.here.email, "created_at": lab.clock()})


def _unlink(lab: Any, holder: Holder) -> None:
    values = {"action": "unlink", "provider": "elsewhere"}
    _done("unlinking it", holder.here.act("POST", lab.api("federated_accounts"), json=values))


def _administered(lab: Any, holder: Holder, **values: Any) -> None:
    reply = lab.administrator().act(
        "POST", f"{lab.api('users')}/{holder.here.id}", json={**values, "reason": "a probe"}
    )
    _done("an administrator's doing it", reply)


def _change_roles(lab: Any, holder: Holder) -> None:
    role = lab.policy.of(signup.Settings).role
    _administered(lab, holder, action="roles", role=[r for r in lab.roles if r != role][:1])


def _disable(lab: Any, holder: Holder) -> None:
    _administered(lab, holder, action="disable")


def _end_others(lab: Any, holder: Holder) -> None:
    _done("ending them", holder.here.act("POST", lab.api("sessions"), json={"session": "others"}))


def _end_everywhere(lab: Any, holder: Holder) -> None:
    _done("ending them", holder.here.act("POST", lab.api("sessions"), json={"session": "everywhere"}))


def _nothing(lab: Any, holder: Holder) -> None:
    """Nothing has to be there before."""


Do = Callable[[Any, Holder], None]
HOW: Final[dict[str, tuple[Do, Do]]] = {
    "PASSWORD_CHANGED": (_nothing, _change_password),
    "PASSWORD_RESET": (_nothing, _reset_password),
    "ADDRESS_CHANGED": (_ask_address, _change_address),
    "FACTOR_ADDED": (_begin_factor, _add_factor),
    "FACTOR_REMOVED": (_own_factor, _remove_factor),
    "LINK_REMOVED": (_own_link, _unlink),
    "ROLES_CHANGED": (_nothing, _change_roles),
    "DISABLED": (_nothing, _disable),
    "OTHERS_ENDED": (_nothing, _end_others),
    "SIGNED_OUT_EVERYWHERE": (_nothing, _end_everywhere),
}
"""By the event: what has to be there before, and how it comes about."""


@contextmanager
def _plainly(lab: Any) -> Iterator[None]:
    """No session owes anything: what is looked at is what an event ends, not what a policy asks for."""
    with lab.under(mfa.Settings, required=()), lab.under(email.Settings, confirm=False):
        yield


@probe("critical", "S1-017", "C-05", "C-41", "A005", "A010")
def an_event_ends_what_the_table_says(lab: Any) -> str:
    """Each event ends what the table says, and nothing else: of one's own, and nothing of a neighbour's."""
    standing, cells = _standing(), 0
    missing = {event.name for event in standing.TABLE} ^ set(HOW)
    if missing:
        raise Broken(f"nobody knows how these come about: {', '.join(sorted(missing))}")
    with _plainly(lab):
        for event, ends in standing.TABLE.items():
            cells += _look(lab, event, ends)
    return f"{len(HOW)} events, {cells} cells, and a neighbour who lost nothing"


def _look(lab: Any, event: Any, ends: Any) -> int:
    """Look at a row of the table; how many cells it has. Raises Broken, CouldNotLook."""
    holder, neighbour = _holder(lab), _holder(lab)
    prepare, cause = HOW[event.name]
    prepare(lab, holder)
    for each in (holder, neighbour):
        _fill(lab, each)
    cause(lab, holder)
    lives = {name: not getattr(ends, name) for name in _standing().HELD}
    _compare(event, lives, _held(lab, holder), _standing().HELD)
    sessions = _sessions(lab, holder)
    _compare(event, {name: name in _LIVING[ends.sessions] for name in sessions}, sessions, {})
    if not all({**_held(lab, neighbour), **_sessions(lab, neighbour)}.values()):
        raise Broken(f"when {event}, a neighbour loses something")
    return len(lives) + len(sessions)


def _compare(event: Any, wanted: dict[str, bool], found: dict[str, bool], words: dict[str, str]) -> None:
    for name, lives in wanted.items():
        if found[name] != lives:
            what = words.get(name, f"the session {name!r}")
            raise Broken(f"when {event}, {what}: {'over' if lives else 'still good'}")


PROBES: Final = (an_event_ends_what_the_table_says,)
