"""Passkeys: registered, used to sign in or as the second factor, renamed, removed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit, cookies, errors, passkeys
from bylaw.controls.passkeys import answers, names, questions
from bylaw.controls.passkeys.answers import Asked, Made, Rejected, Said
from bylaw.controls.sessions import Opened
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import base64url
from bylaw.operations import accounts, ceremonies, second_factors, signing_in
from bylaw.reasons import Refused
from bylaw.store import passkeys as store
from bylaw.store import users
from bylaw.store.users import User

log = logging.getLogger("bylaw.passkeys")

REGISTRATION: Final = "passkey registration"
SIGN_IN: Final = "passkey sign-in"
PROOF: Final = "passkey proof"

_LONGEST_WHY: Final = 120


@dataclass(frozen=True, slots=True)
class Registered:
    """A passkey was set up: its id, the session that goes on, and recovery codes where it was the first."""

    id: str
    name: str
    opened: Opened
    codes: list[str] = field(default_factory=list, repr=False)


def available(house: House) -> None:
    """Go on only where there are passkeys. Raises Refused."""
    if not passkeys.rp_id(house.policy):
        raise Refused(passkeys.UNAVAILABLE)


def own(house: House, who: Identity) -> list[RowMapping]:
    """One's own passkeys, the oldest first."""
    with house.store.reading() as connection:
        return store.of_user(connection, who.id)


def may_change(house: House, who: Identity) -> bool:
    """Whether whoever asks has shown enough, and lately enough, to change his passkeys."""
    try:
        with house.store.transaction() as connection:
            second_factors.demand(house, connection, who)
    except Refused:
        return False
    return True


# Registering


def offer(house: House, exchange: Exchange, who: Identity) -> dict[str, Any]:
    """The question for a new passkey. Raises Refused: no passkeys here, too many, not shown lately."""
    available(house)
    with house.store.transaction() as connection:
        second_factors.demand(house, connection, who)
        rows = store.of_user(connection, who.id)
    _room(rows)
    challenge = house.ports.entropy(passkeys.CHALLENGE_BYTES)
    handle = rows[0]["user_handle"] if rows else passkeys.handle(house, who.id)
    _begin(house, exchange, REGISTRATION, challenge, who, handle=handle)
    return questions.creation(
        rp_id=passkeys.rp_id(house.policy),
        app=house.policy.app.name,
        challenge=challenge,
        timeout=passkeys.TIMEOUT,
        user_handle=handle,
        email=who.email,
        name=who.name,
        registered=[(row["credential_id"], row["transports"]) for row in rows],
    )


def register(
    house: House,
    exchange: Exchange,
    who: Identity,
    *,
    digest: str,
    credential: str,
    agent: str = "",
) -> Registered:
    """Set up the passkey that answered. Weaker sessions end; this one goes on under a new id.

    Raises Refused: the answer does not hold, came too late, or is of a credential that is there already.
    """
    available(house)
    said = _read(credential)
    facts = _ended(house, exchange, REGISTRATION, who)
    try:
        new = answers.made(_asked(house, facts), said)
        with house.store.transaction() as connection:
            user = second_factors.demand(house, connection, who)  # of two at once the second sees the first
            rows = store.of_user(connection, user.id)
            _room(rows)
            if store.held(connection, new.credential_id) is not None:
                raise Rejected("registered already")
            name = names.distinct(
                names.called(new.aaguid, said.transports, agent), [row["name"] for row in rows]
            )
            made = _row(house, user, said, new, name=name, handle=facts["handle"])
            store.add(connection, made)
            codes = second_factors.added(house, connection, user, kind="passkey", name=name, session=digest)
    except Rejected as rejected:
        _refused(house, "authn_passkey_add_fail", who.id, str(rejected))
        raise Refused(passkeys.NOT_REGISTERED) from None
    except IntegrityError:  # two registrations of one credential at once: the database takes one
        _refused(house, "authn_passkey_add_fail", who.id, "registered already")
        raise Refused(passkeys.NOT_REGISTERED) from None
    house.store.memory.forget(who.id)
    opened = signing_in.go_on(house, digest, method="passkey", assurance=2, done=("enrol",))
    return Registered(made["id"], name, opened, codes)


def _room(rows: list[RowMapping]) -> None:
    if len(rows) >= passkeys.MOST:
        raise Refused(passkeys.FULL)


def _row(house: House, user: User, said: Said, new: Made, *, name: str, handle: str) -> dict[str, Any]:
    return {
        "id": base64url(house.ports.entropy(16)),
        "user_id": user.id,
        "name": name,
        "credential_id": new.credential_id,
        "user_handle": handle,
        "public_key": new.public_key,
        "sign_count": new.sign_count,
        "transports": list(said.transports),
        "aaguid": new.aaguid,
        "backup_eligible": new.backup_eligible,
        "backed_up": new.backed_up,
        "discoverable": said.discoverable,
        "created_at": house.now(),
    }


# Signing in


def offer_sign_in(house: House, exchange: Exchange) -> dict[str, Any]:
    """The question to whatever passkey there is: the same for everybody. Raises Refused."""
    available(house)
    challenge = house.ports.entropy(passkeys.CHALLENGE_BYTES)
    _begin(house, exchange, SIGN_IN, challenge)
    return _request(house, challenge)


def sign_in(
    house: House, exchange: Exchange, *, credential: str, address: str = "", agent: str = ""
) -> Opened:
    """Open a session for the owner of the passkey that answered.

    Raises Refused, alike for every passkey that is not accepted.
    """
    available(house)
    said = _read(credential)
    facts = _ended(house, exchange, SIGN_IN, None)
    owner = _used(house, said, facts)
    try:
        return signing_in.open_session(
            house, owner, method="passkey", assurance=2, address=address, agent=agent
        )
    except Refused:  # disabled, or changed meanwhile: nobody learns that the passkey itself was right
        raise Refused(passkeys.NOT_ACCEPTED) from None


# As the second factor, and to show again that it is oneself


def offer_proof(house: House, exchange: Exchange, who: Identity) -> dict[str, Any]:
    """The question to one of one's own passkeys. Raises Refused where there is none."""
    available(house)
    rows = own(house, who)
    if not rows:
        raise Refused(passkeys.UNKNOWN)
    challenge = house.ports.entropy(passkeys.CHALLENGE_BYTES)
    _begin(house, exchange, PROOF, challenge, who)
    allowed = [(row["credential_id"], row["transports"]) for row in rows]
    return _request(house, challenge, allowed)


def prove(house: House, exchange: Exchange, who: Identity, *, digest: str, credential: str) -> Opened:
    """The session goes on as one that has shown two factors, just now. Raises Refused."""
    available(house)
    said = _read(credential)
    facts = _ended(house, exchange, PROOF, who)
    _used(house, said, facts, who)
    opened = signing_in.go_on(house, digest, method="passkey", assurance=2, done=("second", "enrol"))
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action="authn_passkey_success",
            actor=who,
            entity_type="session",
            entity_id=opened.id,
        )
    return opened


# Renaming and removing


def rename(house: House, who: Identity, passkey_id: str, name: str) -> None:
    """Call one of one's own passkeys otherwise. Raises Refused."""
    name = audit.printable(name.strip(), passkeys.LONGEST_NAME)
    if not name:
        raise Refused(errors.INVALID, fields={"name": "needed"})
    with house.store.transaction() as connection:
        second_factors.demand(house, connection, who)
        row = _mine(connection, who, passkey_id)
        store.change(connection, who.id, row["id"], name=name)
        audit.record(
            house,
            connection,
            action="authn_passkey_renamed",
            actor=who,
            entity_type="passkey",
            entity_id=row["id"],
            changes={"name": {"old": row["name"], "new": name}},
        )


def remove(house: House, who: Identity, passkey_id: str, *, digest: str) -> None:
    """Remove one of one's own passkeys; other sessions end. Raises Refused: not there, or the last way in."""
    with house.store.transaction() as connection:
        user = second_factors.demand(house, connection, who)  # of two at once, one is the last
        row = _mine(connection, who, passkey_id)
        store.remove(connection, user.id, row["id"])
        if not accounts.ways_in(house, connection, user.id):
            raise Refused(passkeys.LAST)
        second_factors.removed(house, connection, user, kind="passkey", name=row["name"], session=digest)
    house.store.memory.forget(who.id)


def _mine(connection: Connection, who: Identity, passkey_id: str) -> RowMapping:
    """One's own passkey: somebody else's is as good as none. Raises Refused."""
    row = next((row for row in store.of_user(connection, who.id) if row["id"] == passkey_id), None)
    if row is None:
        raise Refused(passkeys.UNKNOWN)
    return row


# Questions and answers


def _begin(
    house: House,
    exchange: Exchange,
    kind: str,
    challenge: bytes,
    who: Identity | None = None,
    **facts: str,
) -> None:
    """Keep the question for this browser, and for whoever is asked in this session."""
    facts = {"challenge": base64url(challenge), "session": who.session if who else "", **facts}
    ceremonies.begin(
        house,
        exchange,
        kind,
        facts,
        user_id=who.id if who else None,
        cookie=cookies.PASSKEY,
        lifetime=passkeys.TIMEOUT,
    )


def _request(house: House, challenge: bytes, allowed: Iterable[tuple[str, list[str]]] = ()) -> dict[str, Any]:
    return questions.request(
        rp_id=passkeys.rp_id(house.policy),
        challenge=challenge,
        timeout=passkeys.TIMEOUT,
        allowed=allowed,
    )


def _asked(house: House, facts: dict[str, str]) -> Asked:
    return Asked(
        answers.octets(facts["challenge"]), passkeys.rp_id(house.policy), passkeys.origins(house.policy)
    )


def _ended(house: House, exchange: Exchange, kind: str, who: Identity | None) -> dict[str, str]:
    """What was asked; nobody can answer it again, whatever becomes of this answer. Raises Refused."""
    with house.store.transaction() as connection:
        begun = ceremonies.end(house, connection, exchange, kind, cookie=cookies.PASSKEY)
    if begun is None or not _is_asked(begun, who):
        raise Refused(passkeys.EXPIRED)
    facts: dict[str, str] = begun["facts"]
    return facts


def _is_asked(begun: RowMapping, who: Identity | None) -> bool:
    """Whether it is whoever answers who was asked, in this session."""
    asked = (begun["user_id"], begun["facts"]["session"])
    return asked == ((who.id, who.session) if who else (None, ""))


def _read(credential: str) -> Said:
    try:
        return answers.read(credential)
    except ValueError as error:
        raise Refused(errors.INVALID, fields={"credential": str(error)}) from None


def _used(house: House, said: Said, facts: dict[str, str], who: Identity | None = None) -> User:
    """The owner of a passkey that answered as it should; its use is written down. Raises Refused."""
    asked = _asked(house, facts)
    owner_id = who.id if who else ""
    try:
        with house.store.transaction() as connection:
            row = store.held(connection, said.credential_id)
            owner_id = owner_id or (row["user_id"] if row is not None else "")
            key = row["public_key"] if row is not None else None
            shown = answers.shown(asked, said, public_key=key)
            owner = _owner(connection, row, said, who) if row is not None else None
            if row is None or owner is None:
                raise Rejected("nobody's passkey")
            if shown.backup_eligible != row["backup_eligible"]:
                raise Rejected("it cannot have become one that is copied, or ceased to be one")
            copied = not answers.grown(row["sign_count"], shown.sign_count)
            refuse = copied and house.of(passkeys.Settings).counter == "refuse"
            if copied:
                _suspect(house, connection, row, shown.sign_count, refuse)
            if not refuse:
                store.change(
                    connection,
                    owner.id,
                    row["id"],
                    sign_count=max(shown.sign_count, row["sign_count"]),
                    backed_up=shown.backed_up,
                    used_at=house.now(),
                )
    except Rejected as rejected:
        _refused(house, "authn_passkey_fail", owner_id, str(rejected))
        raise Refused(passkeys.NOT_ACCEPTED) from None
    if refuse:
        raise Refused(passkeys.NOT_ACCEPTED)
    return owner


def _owner(connection: Connection, row: RowMapping, said: Said, who: Identity | None) -> User | None:
    """Whose passkey it is: the account's that the authenticator names, and of whoever was asked.

    WebAuthn Level 3 section 7.2, step 6: without an account being named before, it must be named now.
    """
    if who is None:
        named = said.user_handle == row["user_handle"]
    else:
        named = row["user_id"] == who.id and said.user_handle in ("", row["user_handle"])
    owner = users.by_id(connection, row["user_id"]) if named else None
    return owner if owner is not None and owner.disabled_at is None else None


def _suspect(house: House, connection: Connection, row: RowMapping, count: int, refuse: bool) -> None:
    """A counter did not grow: somebody may have a copy of the key (WebAuthn Level 3 section 6.1.1)."""
    audit.record(
        house,
        connection,
        action="authn_passkey_copied",
        outcome="refused" if refuse else "success",
        actor="",
        entity_type="user",
        entity_id=row["user_id"],
        changes={"passkey": row["id"], "counter": {"old": row["sign_count"], "new": count}},
    )
    log.warning("the counter of a passkey did not grow: user %s, passkey %s", row["user_id"], row["id"])


def _refused(house: House, action: str, user_id: str, why: str) -> None:
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action=action,
            outcome="refused",
            actor="",
            entity_type="user",
            entity_id=user_id,
            changes={"why": why[:_LONGEST_WHY]},
        )
