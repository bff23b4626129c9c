"""Tokens for programs that people sign in with: given, renewed, ended (see jwt).

A family is one sign-in of one client. Its refresh token is good once: each use gives the next one, and a
second use says that two have it, of whom one is a thief; nobody can tell which, so that everything ends that
came of the sign-in (RFC 9700 section 4.14.2). There is no grace for an answer that was lost on its way: a
thief would use that, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from bylaw.controls import audit, jwt
from bylaw.controls.jwt import reasons
from bylaw.controls.jwt.tokens import Claims, Unreadable
from bylaw.controls.lockout import Whence
from bylaw.controls.sessions import owing
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import base64url, digest
from bylaw.operations import devices, mailing, showing_factors, signing_in
from bylaw.operations.devices import Arrival
from bylaw.operations.signing_in import Known
from bylaw.reasons import Refused
from bylaw.store import feed, users
from bylaw.store import token_families as store
from bylaw.store.users import User

PREFIX: Final = "bylaw_rt_"
"""Before a refresh token, so that whoever scans for secrets knows it. It is 256 random bits, and no JWT."""
SECRET_BYTES: Final = 32
ID_BYTES: Final = 16
MOST: Final = 100
"""Families at most that an account has; the one not used for longest ends."""
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """What a client is given. Neither of the two is kept anywhere."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    lifetime: int
    """Seconds for which the access token is good."""
    family: str


@dataclass(frozen=True, slots=True)
class Use:
    """By whom a token is asked for: the client's address, and what it calls itself."""

    address: str = ""
    agent: str = ""


# Given


def sign_in(house: House, *, email: str, password: str, code: str = "", use: Use) -> Pair:
    """Begin a family for whoever knows the password, and shows the second factor where the account has one.

    Raises Refused: as signing in does, and where something is owed that a program cannot do.
    """
    whence = Whence(use.address)  # no device: a program is asked for no cookie
    known = signing_in.by_password(house, email=email, password=password, whence=whence)
    methods, assurance = ["password"], 1
    if code and _enrolled(house, known.user):
        methods.append(showing_factors.prove(house, known.user, code=code, whence=whence))
        assurance = 2
    return begin(house, known, method="+".join(methods), assurance=assurance, use=use)


def begin(house: House, known: Known, *, method: str, assurance: int, use: Use) -> Pair:
    """Begin a family for an account that has proven itself by `method`, its password first. Raises Refused
    where something is owed that a program cannot do."""
    family = _begun(house, known.user, method, assurance, use)
    with house.store.transaction() as connection:
        user = signing_in.held(connection, known.user, stronger=known.stronger, rules=known.rules)
        due = signing_in.owed(
            house, connection, user, method="password", assurance=assurance, owes=known.owes
        )
        pair = None if due else _given(house, connection, user, family)
        if due:
            _record(house, connection, user.id, "authn_token_refused", family["id"], {"owes": due}, "refused")
    if pair is None:
        raise _owing(due)
    return pair


def _enrolled(house: House, user: User) -> bool:
    with house.store.reading() as connection:
        due = signing_in.owed(house, connection, user, method="password", assurance=1)
    return "second" in due.split()


def _owing(due: str) -> Refused:
    first = owing.first(due)
    if first == "second":
        return Refused(reasons.SECOND)
    return Refused(reasons.UNFINISHED, detail=owing.OWED[first])


def _begun(house: House, user: User, method: str, assurance: int, use: Use) -> dict[str, Any]:
    now = house.now()
    return {
        "id": base64url(house.ports.entropy(ID_BYTES)),
        "user_id": user.id,
        "epoch": user.epoch,
        "method": method,
        "assurance": assurance,
        "authenticated_at": now,
        "created_at": now,
        "seen_at": now,
        "expires_at": now + house.policy.of(jwt.Settings).refresh_absolute,
        "address": audit.printable(use.address, 64),
        "agent": audit.printable(use.agent, 256),
    }


def _given(house: House, connection: Connection, user: User, family: dict[str, Any]) -> Pair:
    strange = not store.met(connection, user.id, address=family["address"], agent=family["agent"])
    _make_room(house, connection, user.id)
    store.add(connection, family)
    audit.record(
        house,
        connection,
        action="authn_login_success",
        actor=user.id,
        entity_type="user",
        entity_id=user.id,
        changes={"method": family["method"], "family": family["id"]},
    )
    if strange:
        came = Arrival(family["method"], family["agent"], family["address"], family["created_at"])
        devices.tell(house, connection, user.id, user.email, came)
    return _renewed(house, connection, family["id"], user.id, family["epoch"], family["expires_at"])


def _make_room(house: House, connection: Connection, user_id: str) -> None:
    """End what was not used for longest where there are as many as may be."""
    for row in store.of_user(connection, user_id)[MOST - 1 :]:
        _end(house, connection, user_id, row["id"])


def _renewed(
    house: House, connection: Connection, family_id: str, user_id: str, epoch: int, ends: float
) -> Pair:
    """The family's next pair."""
    settings, now = house.policy.of(jwt.Settings), house.now()
    secret = PREFIX + base64url(house.ports.entropy(SECRET_BYTES))
    until = min(now + settings.refresh_idle, ends)
    store.add_token(
        connection,
        {"digest": digest(secret), "family_id": family_id, "created_at": now, "expires_at": until},
    )
    begins, over = int(now), int(min(now + settings.lifetime, ends))
    claims = Claims(user_id, family_id, epoch, begins, over, base64url(house.ports.entropy(ID_BYTES)))
    return Pair(jwt.maker(house.policy).make(claims), secret, over - begins, family_id)


# Renewed


def refresh(house: House, secret: str, *, use: Use) -> Pair:
    """The next pair for a refresh token, which is good no more. Raises Refused, alike for every cause.

    Of many that use it at once one gets the pair, and the others end it.
    """
    key = _key(secret)
    with house.store.reading() as connection:
        row = store.find_token(connection, key)
        user_id = None if row is None else store.owner(connection, row["family_id"])
    if row is None or user_id is None:
        raise Refused(reasons.REFRESH)
    with house.store.transaction() as connection:
        pair = _used(house, connection, user_id, key, use)
    if pair is None:
        house.store.memory.forget(user_id)
        raise Refused(reasons.REFRESH)
    return pair


def _used(house: House, connection: Connection, user_id: str, key: str, use: Use) -> Pair | None:
    users.hold(connection, user_id)  # whatever ends the family meanwhile waits, or is seen from here on
    now, address, agent = house.now(), audit.printable(use.address, 64), audit.printable(use.agent, 256)
    row, first = store.use_token(connection, key, now, address=address, agent=agent)
    if row is None:
        return None
    if not first:
        _reused(house, connection, user_id, row)
        return None
    family = store.find(connection, row["family_id"], now)
    user = users.by_id(connection, user_id)
    if family is None or user is None or row["expires_at"] <= now:
        return None
    if signing_in.owed(house, connection, user, method="password", assurance=family.assurance):
        # Undone, so that the same token is not taken for a copy when the program tries again.
        raise Refused(reasons.REFRESH)
    store.touch(connection, [(family.id, now)])
    _record(house, connection, user_id, "authn_token_created", family.id)
    return _renewed(house, connection, family.id, user_id, family.epoch, family.expires_at)


def _reused(house: House, connection: Connection, user_id: str, row: RowMapping) -> None:
    """End the family of a token that was used before, record both uses, and tell its owner."""
    user = users.by_id(connection, user_id)
    _end(house, connection, user_id, row["family_id"])
    before = {"at": row["used_at"], "address": row["used_address"], "agent": row["used_agent"]}
    _record(
        house,
        connection,
        user_id,
        "authn_token_reuse",
        row["family_id"],
        {"first_use": before, "again_at": house.now()},
        "refused",
    )
    if user is None or user.disabled_at is not None:
        return
    app = house.policy.app.name
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"A program was signed out of your account at {app}",
        paragraphs=[
            (
                f"A program that is signed in to your account at {app} has used one refresh token twice. "
                "Each is good once: either the program has lost an answer, or somebody has a copy. It was "
                "signed out, and so was whoever has the copy."
            ),
            (
                f"The first use was by {devices.described(row['used_agent'])} at "
                f"{row['used_address'] or 'an unknown address'}, on {devices.moment(row['used_at'])}; the "
                f"second on {devices.moment(house.now())}."
            ),
            "Sign the program in again. If it happens once more, look where it keeps its tokens.",
        ],
        link=mailing.Link("See where you are signed in", mailing.address_of(house, "sessions")),
    )


def _key(secret: str) -> str:
    """The digest of what a refresh token may be. Raises Refused where it can be none."""
    if not secret.startswith(PREFIX) or len(secret) > _LONGEST:
        raise Refused(reasons.REFRESH)
    return digest(secret)


# Ended


def revoke(house: House, token: str) -> bool:
    """End the family of a refresh or an access token, whichever it is; False where it is none that is good
    (RFC 7009 section 2.2: whoever asks is told the same)."""
    family_id = _named(house, token)
    with house.store.reading() as connection:
        user_id = None if family_id is None else store.owner(connection, family_id)
    if family_id is None or user_id is None:
        return False
    return _ended(house, user_id, family_id, user_id)


def _named(house: House, token: str) -> str | None:
    """The family that a token belongs to."""
    if token.startswith(PREFIX):
        if len(token) > _LONGEST:
            return None
        with house.store.reading() as connection:
            row = store.find_token(connection, digest(token))
        return None if row is None else str(row["family_id"])
    try:
        claims = jwt.maker(house.policy).read(token, house.now())
    except Unreadable:
        return None
    with house.store.reading() as connection:
        family = store.find(connection, claims.family, house.now())
    return family.id if family is not None and jwt.belongs(claims, family) else None


def own(house: House, who: Identity) -> list[RowMapping]:
    """The families of one's own account that can still be renewed, the last used first."""
    if not jwt.used(house.policy):
        return []
    with house.store.reading() as connection:
        return store.alive(connection, who.id, house.now())


def end(house: House, who: Identity, family_id: str) -> bool:
    """End one of one's own families by its id; False where there is none."""
    who.demand_self()
    if "\0" in family_id:
        return False
    with house.store.reading() as connection:
        mine = store.owner(connection, family_id) == who.id
    return mine and _ended(house, who.id, family_id, who)


def _ended(house: House, user_id: str, family_id: str, actor: Identity | str) -> bool:
    with house.store.transaction() as connection:
        users.hold(connection, user_id)  # no refresh that is under way carries it on
        ended = _end(house, connection, user_id, family_id)
        if ended:
            _record(house, connection, actor, "authn_token_revoked", family_id)
    house.store.memory.forget(user_id)
    return ended


def _end(house: House, connection: Connection, user_id: str, family_id: str) -> bool:
    ended = store.end(connection, family_id)
    # By the whole account: what memory holds of a family is several tokens, whose digests nobody kept.
    feed.revoke(connection, house.now(), user_id)
    return ended


def _record(
    house: House,
    connection: Connection,
    actor: Identity | str,
    action: str,
    family_id: str,
    changes: dict[str, Any] | None = None,
    outcome: str = "success",
) -> None:
    audit.record(
        house,
        connection,
        action=action,
        outcome=outcome,
        actor=actor,
        entity_type="token_family",
        entity_id=family_id,
        changes=changes,
    )
