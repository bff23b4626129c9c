"""Attacks on the end of a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import cookies, sessions
from bylaw.controls.sessions.probes.common import MANY, administer, as_somebody, asking_with, demand_done
from bylaw.keys import digest
from bylaw.store import sessions as store


@probe("critical", "C-32")
def a_copied_cookie_ends_with_the_session(lab: Any) -> str:
    """Signing out, here and everywhere, a new password, ending the others and being disabled reach every
    copy."""
    ways = _endings(lab)
    people = {what: lab.person() for what in ways}
    copies = {what: lab.open_session(person) for what, person in people.items()}
    if not all(as_somebody(lab, copy) for copy in copies.values()):
        raise Broken("a copied cookie was not good before")
    for what, (_, end) in ways.items():
        end(people[what])
    for what, copy in copies.items():
        if as_somebody(lab, copy):
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
        return lambda person: demand_done(person.act("POST", lab.api(name), json=sent), name)

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
            lambda person: administer(lab, person, {"action": "disable", "reason": "an attack"}),
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
        if settings.idle * 2 < settings.absolute and not as_somebody(lab, secret):
            raise Broken(f"used every {pause} seconds, the session ended before its time")
    lab.clock.advance(settings.idle)
    if as_somebody(lab, secret):
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
        if as_somebody(lab, secret) is not alive:
            raise Broken(
                f"{age} seconds after signing in the session is {'over' if alive else 'still there'}"
            )
    return f"ended after {settings.idle} s without use, and after {settings.absolute} s of use"


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
            return asking_with(lab, secret)

        replies = lab.burst(ask, MANY + 1)
        demand_done(replies[MANY // 2], "signing out among others")
        sessions.write_seen(house)
        if as_somebody(lab, secret) or _kept(lab, person) or house.store.memory.get(digest(secret)):
            raise Broken("the session is back")
        given = {c.partition(";")[0] for r in replies for c in r.all("set-cookie")}
        if given - {f"{lab.cookie}="}:
            raise Broken(f"a request that was under way was given a session: {len(given)}")
    return f"three sign-outs among {MANY} requests each: nothing left"


@probe("medium", "S1-003")
def signing_out_clears_the_browser(lab: Any) -> str:
    """Signing out clears what the browser kept and ends its cookies, except that the device is known."""
    person = lab.person()
    if lab.sign_in(person).status != 200:
        raise CouldNotLook("nobody can sign in")
    person.cookies["left-behind"] = "1"
    reply = person.act("POST", lab.api("sign_out"), json={})
    demand_done(reply, "signing out")
    cleared = reply.header("clear-site-data")
    ended = {cookie.partition("=")[0] for cookie in reply.all("set-cookie") if "Max-Age=0" in cookie}
    if '"cache"' not in cleared or '"storage"' not in cleared or not {lab.cookie, "left-behind"} <= ended:
        raise Broken(f"the browser keeps something: Clear-Site-Data {cleared!r}, ended {sorted(ended)}")
    if '"cookies"' in cleared or cookies.name(lab.policy, cookies.DEVICE) not in person.cookies:
        raise Broken("whoever signs out is a stranger to the lockout from then on")
    return f"{cleared}; ended {', '.join(sorted(ended))}; the device is still known"


def _kept(lab: Any, person: Any) -> list[Any]:
    with lab.site.house.store.reading() as connection:
        return store.of_user(connection, person.id)
