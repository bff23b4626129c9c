"""Looking into files once more: those that wait for a scanner, and all of them when its signatures change.

A chore. Each round is short, since mail and everything else waits for it. A file is claimed before it is
read, so that of many processes one looks; what is found is withdrawn in one transaction with its record and
the mails about it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from bylaw.controls import audit, malware, tokens
from bylaw.controls.malware import Scanned, Unscanned
from bylaw.house import House
from bylaw.operations import mailing
from bylaw.operations.files.reading import opened
from bylaw.quantities import spoken
from bylaw.reasons import Refused
from bylaw.store import scans, users
from bylaw.store.files import CLEAN, HELD, REFUSED, StoredFile

log = logging.getLogger("bylaw.malware")

EVERY: Final = 30
"""Seconds between two looks at what is to be done, where the last one found nothing."""
BATCH: Final = 20
"""Files of one round at most."""
ROUND: Final = 1.0
"""Seconds after which a round takes no further file: the other chores have their turn."""
LEASE: Final = 900
"""Seconds for which a file is its scanner's alone: longer than anybody may take for one (malware.seconds)."""
RELOOK: Final = 3600
"""Seconds after which a process looks for files of older signatures again, though it found none: another
process may have kept one that it had begun with before the change."""
LATER: Final = 86_400
"""Seconds after which a file is tried again that cannot be looked into for its own sake."""
TOLD: Final = 20
"""Administrators at most that are told of one file."""
DO_NOT_OPEN: Final = (
    "If you have it elsewhere, do not open it before your own virus scanner has looked at it, and tell "
    "whoever looks after your computer."
)
DOWNLOADED: Final = "The audit log says who has downloaded it (sensitive_read)."
GIVE_AGAIN: Final = "It could not be checked for too long. If it is still needed, please upload it again."
_VERSION: Final = re.compile(r"ClamAV (?P<engine>[0-9.]+)[^/]*/(?P<number>[0-9]+)(/.*)?")


@dataclass(slots=True)
class Rescanned:
    """What came of a round."""

    looked: int = 0
    """Files that were looked into."""
    released: int = 0
    """Held before, and clean."""
    withdrawn: int = 0
    """Something was found in them."""
    given_up: int = 0
    """Held for so long that they are refused."""
    away: str = ""
    """Why the scanner could not be asked."""


def chore(house: House) -> Callable[[], None]:
    """What `chores` calls every second."""
    at = [float("-inf")]
    settled: list[tuple[str, float]] = []
    """The signatures for which there was nothing left to do, and when."""

    def run() -> None:
        if house.now() - at[0] < EVERY:
            return
        version = settled[0][0] if settled and house.now() - settled[0][1] < RELOOK else ""
        done, at_last = _round(house, nothing_older_than=version)
        if done.looked:
            return  # there may be more: no pause
        at[0] = house.now()
        settled[:] = [(at_last, house.now())] if at_last else []

    return run


def everything(house: House) -> Rescanned:
    """Look into every file, whatever was said of it (`bylaw files rescan`). Ends when all are done, or the
    scanner cannot be asked."""
    if not malware.used(house.policy):
        return Rescanned(away="the policy names no scanner")
    with house.store.transaction() as connection:
        scans.forget(connection)
    return rounds(house)


def rounds(house: House) -> Rescanned:
    """As many rounds as there is something to do, or until the scanner cannot be asked."""
    total = Rescanned()
    while True:
        done, _ = _round(house)
        total.looked += done.looked
        total.released += done.released
        total.withdrawn += done.withdrawn
        total.given_up += done.given_up
        total.away = done.away
        if done.away or not done.looked:
            return total


def _round(house: House, nothing_older_than: str = "") -> tuple[Rescanned, str]:
    """Look into what is due, for about a second: what waits first, then what older signatures have passed.

    What came of it, and the signatures for which all is done now (empty where there may be more)."""
    done = Rescanned(given_up=_give_up(house))
    if not malware.used(house.policy):
        house.gauges.pop("scanner_answers", None)
        return done, ""
    try:
        version = malware.scanner(house).version()
        for file in _due(house, version, nothing_older_than):
            _look(house, file, done)
    except Unscanned as why:
        done.away = str(why)
        house.gauges["scanner_answers"] = {"": 0}
        log.warning("files wait for the virus scanner: %s", why)
        return done, ""
    house.gauges["scanner_answers"] = {"": 1}
    return done, "" if done.looked else version


def _due(house: House, version: str, settled: str) -> Iterator[StoredFile]:
    """Files to look into, for as long as a round lasts."""
    until = time.monotonic() + ROUND
    with house.store.reading() as connection:
        files = scans.waiting(connection, house.now(), BATCH)
        if len(files) < BATCH and settled != version:
            older = [by for by in scans.scanners(connection) if outdated(by, version)]
            files += scans.outdated(connection, older, house.now(), BATCH - len(files)) if older else []
    for file in files:
        yield file
        if time.monotonic() > until:
            return


def outdated(by: str, version: str) -> bool:
    """Whether what `by` passed is to be looked into by `version`: it is newer, or one cannot tell.

    Newer, and not just another: of two scanners behind one address neither undoes the other's work for ever.
    """
    old, new = _VERSION.fullmatch(by), _VERSION.fullmatch(version)
    if old is None or new is None:
        return by != version
    return _ranked(old) < _ranked(new)


def _ranked(found: re.Match[str]) -> tuple[int, tuple[int, ...]]:
    return int(found["number"]), tuple(int(part) for part in found["engine"].split(".") if part)


def _look(house: House, file: StoredFile, done: Rescanned) -> None:
    """Look into one file, unless another process does. Raises Unscanned where none could be looked into."""
    claimed = house.now() + LEASE
    with house.store.transaction() as connection:
        if not scans.claim(connection, file, now=house.now(), until=claimed):
            return
    done.looked += 1
    try:
        with closing(opened(house, file)) as found:
            seen = malware.scan(house, found.stream)
    except Refused:  # damaged or out of reach: said in the log, and `bylaw files verify` looks at it
        _postpone(house, file, claimed, LATER)
    except Unscanned:
        # A file that makes the scanner stumble must not be in the way of the others for ever.
        _postpone(house, file, claimed, malware.RETRY if file.state == HELD else LATER)
        malware.scanner(house).ping()
    else:
        _settle(house, file, claimed, seen, done)


def _postpone(house: House, file: StoredFile, claimed: float, seconds: float) -> None:
    with house.store.transaction() as connection:
        scans.postpone(connection, file, claimed, house.now() + seconds)


def _settle(house: House, file: StoredFile, claimed: float, seen: Scanned, done: Rescanned) -> None:
    """Write down what came of looking into a file."""
    by = {"scanned_by": seen.scanner[:120], "scanned_at": house.now()}
    with house.store.transaction() as connection:
        if not seen.clean:
            done.withdrawn += withdraw(house, connection, file, claimed, seen.name, **by)
        elif file.state == HELD:
            if scans.settle(connection, file, claimed, state=CLEAN, because="", **by):
                done.released += 1
                _record(house, connection, file, "success", {"state": _from(file, CLEAN)})
        else:
            scans.settle(connection, file, claimed, **by)


def withdraw(
    house: House, connection: Connection, file: StoredFile, claimed: float, name: str, **by: object
) -> bool:
    """Have nobody get a file any more in which something was found; whether it was there to be withdrawn."""
    because = f"the virus scanner found {name}"[:200]
    if not scans.settle(connection, file, claimed, state=REFUSED, because=because, **by):
        return False
    house.count("malware.withdrawn")
    log.error("file %s is withdrawn: %s", file.id, because)
    facts = {"state": _from(file, REFUSED), "found": name, "name": file.name, "subject": file.subject}
    _record(house, connection, file, "failure", facts)
    tell(house, connection, file, because, DO_NOT_OPEN)
    return True


def tell(house: House, connection: Connection, file: StoredFile, because: str, advice: str) -> None:
    """Have whoever gave the file and the administrators know. What was found is named to the latter alone."""
    app = house.policy.app.name
    owner = users.by_id(connection, file.user_id) if file.user_id else None
    what = f'The file "{file.name}", which was given to {app} on {_day(file.created_at)}'
    if owner is not None:
        mailing.post(
            house,
            connection,
            to=owner.email,
            subject=f"A file of yours was withdrawn at {app}",
            paragraphs=[
                f"{what}, was refused when it was checked. Nobody can download it.",
                advice,
            ],
        )
    giver = owner.email if owner is not None else "somebody without an account"
    for to in _administrators(house, connection):
        mailing.post(
            house,
            connection,
            to=to,
            subject=f"A file was withdrawn at {app}",
            paragraphs=[
                f"{what} by {giver}, is withdrawn: {because}.",
                f"Its id is {file.id}; it belongs to {file.subject or 'nothing yet'}. {DOWNLOADED}",
            ],
        )


def _administrators(house: House, connection: Connection) -> list[str]:
    """The addresses of those who may manage users."""
    found: dict[str, None] = {}
    for role in tokens.administrators(house.policy):
        for user in users.page(connection, users.Wanted(role=role), limit=TOLD).users:
            if user.disabled_at is None and not user.service:
                found[user.email] = None
    return list(found)[:TOLD]


def _give_up(house: House) -> int:
    """Refuse for good what no scanner has looked into for too long."""
    longest = house.policy.of(malware.Settings).held
    given_up = 0
    with house.store.reading() as connection:
        waiting = scans.waiting(connection, house.now(), BATCH)
    old = [file for file in waiting if house.now() - file.created_at > longest]
    for file in old:
        claimed = house.now() + LEASE
        because = f"no virus scanner looked into it within {spoken(longest)}"
        with house.store.transaction() as connection:
            if scans.claim(connection, file, now=house.now(), until=claimed) and scans.settle(
                connection, file, claimed, state=REFUSED, because=because
            ):
                given_up += 1
                facts = {"state": _from(file, REFUSED), "why": because, "name": file.name}
                _record(house, connection, file, "failure", facts)
                tell(house, connection, file, because, GIVE_AGAIN)
    return given_up


def _from(file: StoredFile, new: str) -> dict[str, str]:
    return {"old": file.state, "new": new}


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _record(
    house: House, connection: Connection, file: StoredFile, outcome: str, facts: Mapping[str, object]
) -> None:
    audit.record(
        house,
        connection,
        action="upload_validation",  # of the OWASP Logging Vocabulary
        actor="",
        outcome=outcome,
        entity_type="file",
        entity_id=file.id,
        changes=facts,
    )
