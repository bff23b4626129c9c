"""Flask's own session, as a cookie that is bound to whoever put something into it."""

from __future__ import annotations

from flask import Flask, Request
from flask import Response as FlaskResponse
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from bylaw.controls.sessions import long_exchanges
from bylaw.exchange import Exchange, current
from bylaw.house import House
from bylaw.site import identity


class Sessions(SecureCookieSessionInterface):
    """Flask's own session, opened for whoever brings one; everybody else begins with an empty one.

    With a SECRET_KEY, which the policy always sets, Flask parses every cookie and derives its key anew on
    each request: 25 to 30 µs, half as much as it takes for all the rest.

    It is a cookie, which no server can end (CWE-613). So it says whose it is: what somebody has put there
    opens for nobody else, nor for a copy of it after signing out. And a slow request that began before the
    sign-out does not write it back: whoever comes next to that browser would find it.
    """

    OWNER = "_bylaw"
    """Whose it is; nobody's, until somebody who is signed in changes it."""

    def __init__(self, house: House) -> None:
        self._house = house

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if app.config["SESSION_COOKIE_NAME"] in request.environ.get("HTTP_COOKIE", ""):
            found = super().open_session(app, request)
            if found is None or found.get(self.OWNER, "") in ("", identity().id):
                return found
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: FlaskResponse) -> None:
        if session.modified:
            exchange = current()
            if exchange is not None and not self._stands(exchange):
                return
            if exchange is not None and exchange.identity is not None and set(session) - {self.OWNER}:
                session[self.OWNER] = exchange.identity.id
            elif set(session) == {self.OWNER}:
                session.clear()
        if session or session.modified or session.accessed:
            super().save_session(app, session, response)

    def _stands(self, exchange: Exchange) -> bool:
        """Whether the session that the request began with is still there."""
        return long_exchanges.remembered(self._house, exchange) or long_exchanges.stands(
            self._house, exchange
        )
