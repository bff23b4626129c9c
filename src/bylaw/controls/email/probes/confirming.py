"""Attacks on what confirms an address."""

from __future__ import annotations

from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls.email.probes.common import (
    account,
    control,
    mailed_secret,
    new_address,
    sign_in,
    sign_up,
    standard,
    use_link,
)
from bylaw.keys import digest

_BLANK: Final[tuple[object, ...]] = ("", " ", None, 0, True, [], {}, "null")


def _signed_up(lab: Any) -> tuple[Any, str]:
    """The same, having given the right password, and the secret that was mailed to him."""
    who = sign_up(lab, new_address())
    secret = mailed_secret(lab, who.email)
    sign_in(lab, who)
    return who, secret


def _confirmed(lab: Any, email: str) -> bool:
    return account(lab, email).confirmed_at is not None


@probe("critical", "C-10", "A088")
def an_unconfirmed_account_opens_nothing(lab: Any) -> str:
    """Whoever signed up is nobody to the application until the address is confirmed."""
    with standard(lab):
        who, secret = _signed_up(lab)
        for what, reply in {
            "who he is": lab.whoami(who),
            "his sessions": who.get(lab.api("sessions")),
            "changing the address": who.act("POST", lab.api("change_email"), json={"email": new_address()}),
        }.items():
            if reply.status != 401:
                raise Broken(f"without confirming, {what}: {reply}")
        reply = use_link(lab, who, secret)
        if reply.status != 200 or lab.whoami(who).status != 200 or not _confirmed(lab, who.email):
            raise Broken(f"with the mailed link and the password: {reply}")
    return "three doors shut before, and open after the mailed link and the password together"


@probe("critical", "C-10")
def opening_a_link_confirms_nothing(lab: Any) -> str:
    """An owner's click, or a mail scanner's, does not make a stranger's password good for the address."""
    with standard(lab):
        stranger, secret = _signed_up(lab)
        page = f"{lab.url('confirm_email')}/{secret}"
        owner, neighbour = lab.visitor(), lab.ordinary()
        for number in range(3):
            for method, client in (("GET", owner), ("HEAD", owner), ("GET", neighbour)):
                reply = client.send(method, page, headers=[("Accept", "text/html")])
                where = reply.header("location").partition("?")[0]
                if reply.status != 303 or secret in where or not where.startswith("/"):
                    raise Broken(f"opening it ({number + 1}): {reply} to {where}")
        if _confirmed(lab, stranger.email) or lab.whoami(stranger).status != 401:
            raise Broken("looking at the link has confirmed the account")
        for what, client in (("nobody", owner), ("somebody else", neighbour)):
            headers = client.from_here
            if client is neighbour:
                headers = [*headers, (client.token_header, client.token())]
            body = {"token": secret}
            reply = client.send("POST", lab.api("confirm_email"), headers=headers, json=body)
            if reply.status < 400 or _confirmed(lab, stranger.email):
                raise Broken(f"{what} used the link: {reply}")
        if use_link(lab, stranger, secret).status != 200:
            raise Broken("after all this the link does not open its own account any more")
    return "nine looks and two tries by others changed nothing; the link still opened its own account"


@probe("high", "C-40", "A010", "A013")
def a_link_opens_once_and_not_for_ever(lab: Any) -> str:
    """A link that was used, is too old or was followed by a newer one opens nothing; nor does a blank one."""
    with standard(lab) as settings:
        used, first = _signed_up(lab)
        replies = [use_link(lab, used, first) for _ in range(2)]
        if [reply.status for reply in replies] != [200, control().LINK.status]:
            raise Broken(f"used twice: {replies[0]}, {replies[1]}")
        late, second = _signed_up(lab)
        lab.clock.advance(settings.lifetime)
        for client in (used, late):  # no session lives for as long
            sign_in(lab, client)
        newer, third = _signed_up(lab)
        newer.act("POST", lab.api("send_confirmation"), json={})
        fourth = mailed_secret(lab, newer.email)
        for what, client, secret in (
            ("a link that was used long ago", used, first),
            ("a link that is too old", late, second),
            ("a link before the newest", newer, third),
            ("a link of its digest", newer, digest(fourth)),
        ):
            reply = use_link(lab, client, secret)
            if reply.code != control().LINK.code:
                raise Broken(f"{what}: {reply}")
        for blank in _BLANK:
            reply = use_link(lab, newer, blank)
            if not 400 <= reply.status < 500:
                raise Broken(f"the token {blank!r}: {reply}")
        if _confirmed(lab, late.email) or _confirmed(lab, newer.email):
            raise Broken("an account is confirmed after all")
        if use_link(lab, newer, fourth).status != 200:
            raise Broken("the newest link does not open its account")
    return "used, too old, superseded, hashed and eight blank ones: refused; the newest: taken"
