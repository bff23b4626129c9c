"""The gate: the controls of a policy, compiled into one path that every exchange passes.

Synchronous, and memory first. `enter` gives its verdict, or a generator that yields what it needs (a
worker thread, a piece of the body) and returns the verdict; an adapter drives it and has no opinions of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from types import GeneratorType
from typing import Any, cast
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError

from bylaw import bearer, order
from bylaw.control import Control
from bylaw.controls import audit, cookies, errors, roles
from bylaw.controls.sessions import owing
from bylaw.exchange import (
    ALLOW,
    BLOCK,
    Allow,
    Answer,
    Deciding,
    Depart,
    Exchange,
    Head,
    Malformed,
    Need,
    Refuse,
    Response,
    Step,
    TextHead,
    Verdict,
    idle,
)
from bylaw.house import House
from bylaw.identity import (
    ANONYMOUS,
    FORBIDDEN,
    SIGNED_IN,
    STEP_UP,
    UNAUTHENTICATED,
    UNFINISHED,
    AccessRule,
)
from bylaw.reasons import Refused
from bylaw.rules import PathRules

Endpoints = Callable[["Gate", Exchange], "Deciding | None"]
"""bylaw's own pages: what answers an exchange, None where the application does."""
Render = Callable[[Exchange, Refuse], Response]
"""How a refusal is shown to a person."""


class Gate:
    """The compiled path. One per application; it keeps nothing about a request."""

    def __init__(
        self,
        house: House,
        controls: tuple[Control, ...],
        *,
        endpoints: Endpoints,
        render: Render,
        urls: Mapping[str, str],
        by_path: PathRules | None = None,
    ) -> None:
        self.house = house
        self._endpoints = endpoints
        self._render = render
        self._urls = urls
        self._clock = house.ports.clock
        self.by_path = by_path
        """The policy's rules by path, where the application declares none in its code."""
        by_name = {c.name: c for c in controls if not house.policy.controls[c.name].off}
        builds = [
            by_name[name].steps[phase]
            for phase, name, _ in order.ENTER
            if name in by_name and phase in by_name[name].steps
        ]
        made = [
            (step, hasattr(build, "unsafe_only")) for build in builds if (step := build(house)) is not idle
        ]
        self._enter: tuple[tuple[Step, ...], tuple[Step, ...]] = (
            tuple(step for step, unsafe_only in made if not unsafe_only),
            tuple(step for step, _ in made),
        )
        """The way of a safe request, and of an unsafe one."""
        self._depart: tuple[Depart, ...] = tuple(
            by_name[name].steps[phase](house)
            for phase, name, _ in order.DEPART
            if name in by_name and phase in by_name[name].steps
        )

    # On the way in

    def enter(self, exchange: Exchange) -> Verdict | Deciding:
        """Decide whether the application may see the exchange.

        Most requests are decided from memory and get their verdict at once. What needs something
        gets the rest of its way as a generator, which the adapter drives.
        """
        steps = iter(self._enter[exchange.unsafe])
        try:
            if not exchange.query.isascii():
                _readable(exchange.query)
            answering = self._endpoints(self, exchange)
            for step in steps:
                decided = step(exchange)
                if decided is not ALLOW:
                    if type(decided) is GeneratorType:
                        return self._go_on(exchange, decided, steps, answering)
                    return decided
            if answering is None:
                return ALLOW if self.by_path is None else self._permitted(exchange, self.by_path)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the visitor
            return self._stumbled(exchange, error)
        return self._go_on(exchange, None, steps, answering)

    def deciding(self, exchange: Exchange) -> Deciding:
        """The same, always as a generator: for whoever drives it by hand."""
        decided = self.enter(exchange)
        return (yield from decided) if isinstance(decided, GeneratorType) else cast(Verdict, decided)

    def _go_on(
        self, exchange: Exchange, deciding: Deciding | None, steps: Iterator[Step], answering: Deciding | None
    ) -> Deciding:
        """The rest of the way, from a step that has not decided yet."""
        try:
            if deciding is not None:
                decided: Verdict | Deciding = yield from deciding
                if decided is not ALLOW:
                    return cast(Verdict, decided)
            for step in steps:
                decided = step(exchange)
                if isinstance(decided, GeneratorType):
                    decided = yield from decided
                if decided is not ALLOW:
                    return cast(Verdict, decided)
            if answering is not None:
                exchange.permitted = True
                return (yield from answering)
            if self.by_path is not None:
                decided = self._permitted(exchange, self.by_path)
                return (yield from decided) if isinstance(decided, GeneratorType) else cast(Verdict, decided)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the visitor
            return self._stumbled(exchange, error)
        return ALLOW

    def _stumbled(self, exchange: Exchange, error: Exception) -> Verdict:
        """The verdict where a step raised."""
        match error:
            case Malformed():
                return Refuse(errors.MALFORMED, detail=str(error))
            case Refused():
                return self.refused(exchange, error)
            case _:
                return errors.failed(exchange, error)

    def _permitted(self, exchange: Exchange, by_path: PathRules) -> Verdict | Deciding:
        """Decide by the policy's rules for paths, where no framework says what the route is."""
        rules = by_path.at(exchange.path)
        if rules is None:
            # Whether the application has something there or not: nobody has said who may see it.
            return Refuse(errors.NOT_FOUND)
        rule = rules.get("WEBSOCKET" if exchange.websocket else exchange.method)
        if rule is None:
            return Refuse(errors.METHOD, headers=(("Allow", ", ".join(sorted(rules))),))
        if self.allows(exchange, rule):
            return ALLOW
        return self.permit(exchange, rule)

    def permit(self, exchange: Exchange, rule: AccessRule) -> Generator[Need, Any, Verdict]:
        """Decide by the matched route's access rule; a refusal of somebody known is recorded."""
        exchange.permitted = True
        reason = rule.decide(exchange.asker(rule), self._clock(), _parts(exchange, rule))
        if reason is None:
            return ALLOW
        if reason is UNAUTHENTICATED:
            return self.unauthenticated(exchange)
        if reason is STEP_UP:
            return self.step_up(exchange, rule)
        yield BLOCK
        return self.forbidden(exchange, str(rule), rule.refusal)

    def allows(self, exchange: Exchange, rule: AccessRule) -> bool:
        """The short way of `permit` for the usual case."""
        exchange.permitted = True
        now = self._clock() if rule.max_age else 0.0
        return rule.decide(exchange.asker(rule), now, _parts(exchange, rule)) is None

    def unauthenticated(self, exchange: Exchange) -> Refuse | Answer:
        """401 with a challenge for a program, the way to the sign-in page for a person."""
        if bearer.only(exchange):
            return Refuse(UNAUTHENTICATED, headers=(("WWW-Authenticate", bearer.CHALLENGE),))
        owed = exchange.session.owes if exchange.partial is not None else ""
        if exchange.method == "GET" and exchange.wants_html():
            page = owing.PAGES[owing.first(owed)] if owed else "sign_in"
            # What was owed under another policy has no page under this one: whoever owes it begins anew.
            # Whoever comes with a session that is over was signed in, and is told why he has to do it again.
            over = not owed and exchange.cookie(cookies.name(self.house.policy, cookies.SESSION))
            more = "&notice=session-ended" if over else ""
            return self._sent(exchange, page if page in self._urls else "sign_in", more=more)
        challenge = (("WWW-Authenticate", roles.CHALLENGE),)
        if owed:
            return Refuse(UNFINISHED, detail=owing.OWED[owing.first(owed)], headers=challenge)
        return Refuse(UNAUTHENTICATED, headers=challenge)

    def step_up(self, exchange: Exchange, rule: AccessRule) -> Refuse | Answer:
        """The same where somebody is signed in and the rule asks for more (RFC 9470 section 3)."""
        borne = bearer.only(exchange)
        if exchange.wants_html() and not borne:
            return self.stepping_up(exchange, rule)
        factors = ', acr_values="aal2"' if rule.assurance > 1 else ""
        age = f', max_age="{rule.max_age}"' if rule.max_age else ""
        scheme = bearer.CHALLENGE if borne else roles.CHALLENGE
        challenge = f'{scheme}, error="insufficient_user_authentication"{factors}{age}'
        return Refuse(STEP_UP, headers=(("WWW-Authenticate", challenge),))

    def stepping_up(self, exchange: Exchange, rule: AccessRule, back: str = "") -> Answer:
        """The way to the step-up page, and from there to `back`: also for a form, which is sent anew then."""
        who = exchange.identity or exchange.partial
        second = who is not None and rule.assurance > who.assurance
        return self._sent(exchange, "step_up", back, "&wants=second" if second else "")

    def _sent(self, exchange: Exchange, page: str, back: str = "", more: str = "") -> Answer:
        """A person is sent to one of bylaw's pages, and from there back to where he was."""
        to = f"{self._urls[page]}?next={quote(back or self._back(exchange))}{more}"
        return Answer(Response(303, [("Location", to), ("Cache-Control", "no-store")]))

    def _back(self, exchange: Exchange) -> str:
        """The page that was asked for, or the one whose form was sent: that can be loaded again.

        Whoever sends somebody there looks whether it is of this site (pages.rendering.local_path).
        """
        if not exchange.unsafe:
            return exchange.address
        referer = next(iter(exchange.headers.all("referer")), "")
        origin = f"{self.house.policy.app.origin}/"
        return referer[len(origin) - 1 :] if referer.startswith(origin) else self.house.policy.pages.home

    def forbidden(self, exchange: Exchange, wanted: str, detail: str = "") -> Refuse:
        """403, with its record and the application's words for it. A refusal stays one when it cannot be
        recorded."""
        try:
            with self.house.store.transaction() as connection:
                audit.record(
                    self.house,
                    connection,
                    action="authz_fail",
                    outcome="refused",
                    actor=exchange.identity or ANONYMOUS,
                    entity_type="route",
                    entity_id=audit.printable(exchange.path, 80),
                    changes={"method": exchange.method, "needed": wanted},
                )
        except SQLAlchemyError as error:
            errors.failed(exchange, error)
        return Refuse(FORBIDDEN, detail)

    def refused(self, exchange: Exchange, refused: Refused) -> Refuse | Answer:
        """The verdict of an exception that an operation or the application raised.

        May write a record: to be called where waiting is allowed.
        """
        metered = self._metered(exchange)
        if metered is not None:
            return metered  # what it makes of a body that it was not let read on
        if refused.reason is FORBIDDEN:
            return self.forbidden(exchange, "the operation's permission", refused.detail)
        if refused.reason is UNAUTHENTICATED:
            return self.unauthenticated(exchange)
        if refused.reason is STEP_UP:
            return self.step_up(exchange, getattr(refused, "rule", SIGNED_IN))
        return Refuse(refused.reason, refused.detail, refused.status, refused.headers, refused.fields)

    def failed(self, exchange: Exchange, error: Exception) -> Refuse:
        """The verdict of an error that the application raised; logged, unless it was kept from reading on."""
        metered = self._metered(exchange)
        return errors.failed(exchange, error) if metered is None else metered

    @staticmethod
    def _metered(exchange: Exchange) -> Refuse | None:
        return None if exchange.meter is None else exchange.meter.refused

    # On the way out

    def depart(self, exchange: Exchange, head: Head) -> None:
        """Let every control have its say about the response's head."""
        for step in self._depart:
            step(exchange, head)

    def withheld(self, exchange: Exchange, status: int) -> Refuse | None:
        """Why an answer of the application must not leave, None when it may.

        A 5xx body is the application's inside; an answer that no access rule was asked for is a
        hole (only 404 and 405, which say nothing, may come from nowhere).
        """
        metered = self._metered(exchange)
        if metered is not None and status != (metered.status or metered.reason.status):
            return metered  # whatever the application made of it
        if exchange.notes is not None and exchange.notes.get("refused") == status:
            return None  # bylaw's own refusal, rendered inside the framework
        if metered is not None:
            return metered
        if status >= 500:
            return Refuse(errors.by_status(status), status=status)
        if not exchange.permitted and status not in (400, 404, 405) and not 300 <= status < 400:
            return Refuse(roles.UNDECLARED)
        return None

    def rendered(self, exchange: Exchange, verdict: Refuse | Answer) -> Response:
        """The response to a verdict that ends the exchange, before the controls have seen its head."""
        match verdict:
            case Answer(response):
                return response
            case Refuse():
                self.house.count(verdict.reason.code)
                response = self._refusal(exchange, verdict)
                exchange.note("refused", response.status)
                return response

    def response(self, exchange: Exchange, verdict: Refuse | Answer) -> Response:
        """The whole response to a verdict that ends the exchange, its head departed."""
        response = self.rendered(exchange, verdict)
        head = TextHead(response.status, response.headers)
        self.depart(exchange, head)
        response.headers = head.pairs
        if exchange.method != "HEAD":
            head.set("content-length", str(len(response.body)))
        return response

    def _refusal(self, exchange: Exchange, refuse: Refuse) -> Response:
        if exchange.wants_html():
            try:
                return self._render(exchange, refuse)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the visitor
                errors.failed(exchange, error)  # a page that cannot be shown must not hide why
        return errors.problem(exchange, refuse)


def _parts(exchange: Exchange, rule: AccessRule) -> Mapping[str, object] | None:
    """The parts of the path that the framework has matched, where the rule is about one of them."""
    return exchange.notes.get("parts") if rule.within and exchange.notes is not None else None


def _readable(query: str) -> None:
    """Raise Malformed where the bytes of an address's query are no UTF-8: one framework makes
    something else of them, another fails at them (RFC 3986 section 2.5)."""
    try:
        query.encode("latin-1").decode()
    except UnicodeError:
        raise Malformed("the query is not UTF-8") from None


__all__ = ["Allow", "Gate"]
