"""What follows a proof, whatever it was: the session's cookie, what is still owed, and where to go on."""

from __future__ import annotations

from urllib.parse import quote

from bylaw.controls import cookies
from bylaw.controls.sessions import Opened, owing
from bylaw.operations import devices, signing_in
from bylaw.pages.endpoints import Call, Done
from bylaw.pages.rendering import local_path


def back(call: Call) -> str:
    """Where somebody wanted to go, if it is of this site."""
    home = call.house.policy.pages.home
    return local_path(str(call.values.get("next") or call.query("next")), home)


def arrived(call: Call, opened: Opened, *, to: str) -> Done:
    """Somebody has proven who he is, by whatever means: the session's cookie, and where he goes on.

    That is `to`, or the page on which he does what he still owes. The device is known from now on, and
    its owner is told of a new one.
    """
    leave(call)
    devices.arrived(call.house, call.exchange, opened)  # first: should it fail, no session's cookie leaves
    return went_on(call, opened, to=to)


def went_on(call: Call, opened: Opened, *, to: str) -> Done:
    """A session goes on under a new id: its cookie, and `to` or the page of what it owes next."""
    call.exchange.set_cookie(cookies.make(call.house.policy, cookies.SESSION, opened.secret))
    if opened.owes:
        page = owing.PAGES[owing.first(opened.owes)]
        return Done(
            f"{call.urls[page]}?next={quote(to)}", {"session": opened.id, "owes": opened.owes.split()}
        )
    return Done(to, {"session": opened.id})


def agent(call: Call) -> str:
    """What the browser calls itself."""
    agents = call.exchange.headers.all("user-agent")
    return agents[0] if agents else ""


def leave(call: Call) -> None:
    """End the session that was there before: signing in anew replaces it."""
    session = call.exchange.session
    if session is not None:
        signing_in.sign_out(call.house, session.identity, session.digest)
    call.exchange.session = None
    call.exchange.identity = None
