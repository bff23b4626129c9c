"""Attacks on what waiting tells a stranger, and on what is told of it."""

from __future__ import annotations

from typing import Any

from bylaw.control import Broken, probe
from bylaw.controls.lockout.probes.common import WRONG, fail, hashing_done, settings_of, try_password


@probe("high", "C-41", "A020")
def waiting_tells_nothing(lab: Any) -> str:
    """An account that does not exist waits like one that does: the same answers, the same work."""
    settings, person = settings_of(lab), lab.person()
    people = {"an account": person.email, "no account": f"x{person.email}"}
    seen: dict[str, list[Any]] = {}
    with lab.paced():
        for name, email in people.items():
            seen[name] = []
            for _ in range(settings.free + 2):
                with hashing_done() as hashed:
                    reply = try_password(lab, email, WRONG)
                body = {k: v for k, v in reply.json().items() if k != "instance"}
                headers = sorted(key.lower() for key, _ in reply.headers)
                seen[name].append((reply.status, body, reply.header("retry-after"), headers, len(hashed)))
            lab.clock.advance(settings.longest)
            fail(lab, email, times=1)
            reply = try_password(lab, email, WRONG)
            seen[name].append((reply.status, reply.code, reply.header("retry-after")))
    for number, (known, unknown) in enumerate(zip(*seen.values(), strict=True), 1):
        if known != unknown:
            raise Broken(f"answer {number} to an account: {known}, to none: {unknown}")
    return f"{settings.free + 3} answers, the same for both"


@probe("medium", "S1-138")
def slowing_down_is_told_once(lab: Any) -> str:
    """The failure that begins the waiting raises an alarm; a flood behind it adds nothing to the log."""
    settings, person = settings_of(lab), lab.person()
    with lab.paced():
        fail(lab, person.email, times=settings.free)
        lab.clock.advance(1)
        before = len(lab.audit(limit=1000))
        for _ in range(2 * settings.free):
            fail(lab, person.email)
        flood = len(lab.audit(limit=1000)) - before
    alarms = lab.audit(action="authn_login_lock", entity_id=person.id)
    logged = [line for line in lab.logs.lines if "bylaw.lockout" in line and person.id in line]
    if len(alarms) != 1 or len(logged) != 1 or not logged[0].startswith("WARNING"):
        raise Broken(f"{len(alarms)} records and {len(logged)} warnings of {settings.free} failures")
    if flood or person.email in logged[0]:
        raise Broken(f"{flood} records of tries that were not taken, or the log names the address")
    return f"{settings.free} failures: one record, one warning; {2 * settings.free} refused tries: none"
