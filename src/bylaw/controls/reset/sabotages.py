"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import reset
from bylaw.store import devices, links, users
from bylaw.store.tables import password_resets


def _recovering() -> Any:
    return sys.modules["bylaw.operations.recovering"]


def _signing_in() -> Any:
    return sys.modules["bylaw.operations.signing_in"]


def _standing() -> Any:
    return sys.modules["bylaw.operations.standing"]


@sabotage
def accounts_are_worked_for(patch: Patch) -> None:
    """The mail is written while somebody waits, where there is an account."""
    this = _recovering()
    real = this.ask

    def ask(house: Any, **given: Any) -> None:
        real(house, **given)
        this.answer(house)

    patch(this, "ask", ask)


@sabotage
def disabled_accounts_get_links(patch: Patch) -> None:
    """Nobody looks whether the account is disabled."""
    this = _recovering()

    def answer(house: Any, connection: Any, user_id: str) -> bool:
        return bool(this.issue(house, connection, users.by_id(connection, user_id)))

    patch(this, "_answer", answer)


@sabotage
def links_are_not_used_up(patch: Patch) -> None:
    """A link that was used stays where it is."""
    patch(links, "redeem", links.find)
    patch(links, "end_of_user", lambda connection, table, user_id: 0)


@sabotage
def links_do_not_run_out(patch: Patch) -> None:
    """Nobody looks at the clock."""
    for name in ("find", "redeem"):
        real = getattr(links, name)
        patch(links, name, lambda c, table, key, now, real=real: real(c, table, key, 0.0))


@sabotage
def the_secret_is_kept(patch: Patch) -> None:
    """The table has what the mail has."""
    patch(_recovering(), "digest", lambda secret: secret)


@sabotage
def opening_uses_it_up(patch: Patch) -> None:
    """Whatever looks through mail first uses up the link."""
    this = _recovering()
    real = this.begin

    def begin(house: Any, exchange: Any, found: Any) -> None:
        real(house, exchange, found)
        with house.store.transaction() as connection:
            links.redeem(connection, password_resets, found.digest, house.now())

    patch(this, "begin", begin)


@sabotage
def the_request_says_where_links_lead(patch: Patch) -> None:
    """Links are made of the Host that somebody has sent."""
    this = _recovering()
    mailing, ask = sys.modules["bylaw.operations.mailing"], this.ask
    address_of = mailing.address_of
    said: list[str] = []

    def remember(house: Any, **given: Any) -> None:
        exchange = sys.modules["bylaw.exchange"].current()
        said[:] = exchange.headers.all("x-forwarded-host") or [house.policy.app.origin.partition("://")[2]]
        ask(house, **given)
        this.answer(house)

    def forged(house: Any, *path: str) -> str:
        real = house.policy.app.origin.partition("://")[2]
        return str(address_of(house, *path)).replace(real, said[0] if said else real, 1)

    patch(this, "ask", remember)
    patch(mailing, "address_of", forged)


@sabotage
def pages_tell_where_they_were(patch: Patch) -> None:
    """Other sites see the address of the page that a link led to."""
    patch(sys.modules["bylaw.pages.recovery"], "_NO_REFERRER", ())


@sabotage
def anything_opens_somebodys(patch: Patch) -> None:
    """What is not found is taken for the newest link that there is."""
    this = _recovering()
    real = this.opened

    def opened(house: Any, token: str) -> Any:
        with house.store.reading() as connection:
            rows = connection.execute(
                password_resets.select().order_by(password_resets.c.created_at.desc())
            ).mappings()
            newest = rows.first()
            user = newest and users.by_id(connection, newest["user_id"])
        found = real(house, token)
        return found or (this.Opened(newest["digest"], user, "reset") if user else None)

    patch(this, "opened", opened)


@sabotage
def the_form_is_enough(patch: Patch) -> None:
    """Whoever has asked for a link may choose the password without having opened it."""
    this = _recovering()

    def under_way(house: Any, exchange: Any) -> Any:
        with house.store.reading() as connection:
            newest = connection.execute(password_resets.select()).mappings().first()
            user = newest and users.by_id(connection, newest["user_id"])
        return this.Opened(newest["digest"], user, "reset") if user else None

    patch(this, "under_way", under_way)


@sabotage
def the_second_factor_steps_aside(patch: Patch) -> None:
    """Signing in asks for the password alone."""
    patch(_signing_in(), "_owed", lambda *given, **named: iter(()))


@sabotage
def nobody_is_told(patch: Patch) -> None:
    """The owner hears nothing of his new password."""
    mailing = sys.modules["bylaw.operations.mailing"]
    real = mailing.post

    def post(house: Any, connection: Any, **given: Any) -> bool:
        return "was set" in given["subject"] or bool(real(house, connection, **given))

    patch(mailing, "post", post)


@sabotage
def as_often_as_one_likes(patch: Patch) -> None:
    """Nobody counts who asks, nor for whom."""
    patch(_recovering(), "_enough", lambda house, connection, user: False)
    patch(reset, "pace", lambda house, address: None)


@sabotage
def an_event_says_nothing(patch: Patch) -> None:
    """Disabling an account shuts the door and leaves everything inside."""
    standing = _standing()
    real = standing.end

    def end(house: Any, connection: Any, user_id: str, event: Any, **named: Any) -> int:
        return (
            0 if event is standing.Event.DISABLED else int(real(house, connection, user_id, event, **named))
        )

    patch(standing, "end", end)


@sabotage
def a_change_under_way_survives(patch: Patch) -> None:
    """The link to another address that a thief's session asked for outlives the session."""
    patch(links, "end_changes", lambda connection, user_id: 0)


@sabotage
def everybodys_end(patch: Patch) -> None:
    """One person's event ends the devices of all."""
    patch(
        devices,
        "end_of_user",
        lambda connection, user_id, **named: connection.execute(_all_devices()).rowcount,
    )


def _all_devices() -> Any:
    from bylaw.store.tables import devices as table

    return table.delete()


@sabotage
def too_much_ends(patch: Patch) -> None:
    """A change of roles signs everybody out who has the account open."""
    standing = _standing()
    real = standing.end

    def end(house: Any, connection: Any, user_id: str, event: Any, **named: Any) -> int:
        table = standing.TABLE
        roles = standing.Event.ROLES_CHANGED
        standing.TABLE = {**table, roles: replace(table[roles], sessions="all")}
        try:
            return int(real(house, connection, user_id, event, **named))
        finally:
            standing.TABLE = table

    patch(standing, "end", end)


SABOTAGES: Final = (
    accounts_are_worked_for,
    disabled_accounts_get_links,
    links_are_not_used_up,
    links_do_not_run_out,
    the_secret_is_kept,
    opening_uses_it_up,
    the_request_says_where_links_lead,
    pages_tell_where_they_were,
    anything_opens_somebodys,
    the_form_is_enough,
    the_second_factor_steps_aside,
    nobody_is_told,
    as_often_as_one_likes,
    an_event_says_nothing,
    a_change_under_way_survives,
    everybodys_end,
    too_much_ends,
)
