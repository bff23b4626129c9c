"""What bylaw's own endpoints are made of, and how one is answered.

One table serves people (a page with a form) and programs (its JSON twin): both read the same
fields, call the same operation and are refused for the same reasons.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from bylaw.controls import body as bodies
from bylaw.controls import errors
from bylaw.controls.sessions import owing
from bylaw.exchange import BLOCK, Answer, Deciding, Exchange, Read, Response
from bylaw.house import House
from bylaw.identity import PUBLIC, SIGNED_IN, STEP_UP, AccessRule, Identity
from bylaw.pages import forms
from bylaw.pages.rendering import Renderer
from bylaw.policy import Policy
from bylaw.reasons import Refused

if TYPE_CHECKING:
    from bylaw.gate import Gate


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an endpoint: who asks, with which values."""

    house: House
    exchange: Exchange
    values: forms.Values
    argument: str
    """The last part of the path, for an endpoint about one thing (`/users/<argument>`)."""
    urls: dict[str, str]
    api: bool

    @property
    def who(self) -> Identity:
        """Whoever asks, though he may still owe something where the endpoint's rule is OWING; the rule has
        seen to it that there is somebody."""
        who = self.exchange.identity or self.exchange.partial
        if who is None:
            raise RuntimeError("a public endpoint has nobody to ask for")
        return who

    @property
    def owes(self) -> str:
        """What whoever asks still owes before he is signed in."""
        return self.exchange.session.owes if self.exchange.session is not None else ""

    def query(self, name: str) -> str:
        """A parameter of the address, empty when absent; the first where it came twice."""
        return next((v for k, v in parse_qsl(self.exchange.query) if k == name), "")

    def parameters(self, known: tuple[str, ...]) -> dict[str, str]:
        """The parameters of the address, each at most as long as an address. Raises Refused for others: no
        column can be asked for by its name (A097)."""
        unknown = {k for k, _ in parse_qsl(self.exchange.query, keep_blank_values=True)} - {*known, "notice"}
        if unknown:
            listed = ", ".join(name for name in known if name != "notice") or "none"
            raise Refused(errors.INVALID, status=400, detail=f"Known: {listed}.")
        return {name: self.query(name)[:254].strip() for name in known}


@dataclass(frozen=True, slots=True)
class Show:
    """A page's template and what it shows; `data` is what a program gets instead.

    An endpoint that has no page names no template.
    """

    template: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    data: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """It is done: people go to `to`, programs get `data` with `status`."""

    to: str
    data: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file for people, to be kept by the name."""

    name: str
    type: str
    body: bytes


Handler = Callable[[Call], Show | Done | File]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of the table.

    `page` and `api` are paths below the prefix, empty where there is none; one that ends in `/` has
    an argument after it. `show` answers GET, `do` answers POST with the values of `fields`.
    """

    name: str
    page: str = ""
    api: str = ""
    rule: AccessRule = PUBLIC
    show: Handler | None = None
    do: Handler | None = None
    fields: tuple[forms.Field, ...] = ()
    title: str = ""
    finishes: tuple[str, ...] = ("enrol", "password", "confirm")
    """Where the rule is OWING: what of sessions.owing must be due next for somebody who has only begun to
    sign in to be let in. The second factor comes before all else: whoever has the password alone must not
    change it, nor set up a factor of his own."""

    development: bool = False
    """Whether it is there in development alone."""
    like: str = ""
    """The endpoint whose limits and lists of addresses hold here, too: the other door to the same room."""
    refused: Callable[[Call, Refused], Show | None] | None = None
    """How refusals are told where a protocol has words for them: such an endpoint takes forms as well as
    JSON, and leaves alone what it does not know (RFC 6749 section 3.2)."""

    needs: Callable[[Policy], bool] | None = None
    """What the policy must have for it to be there at all, e.g. `passwords.on`."""

    takes: Callable[[Policy], bool] | None = None
    """The same for what is sent to it: without that its page is there to be read, and no more."""

    def under(self, policy: Policy) -> Endpoint | None:
        """The endpoint as the policy has it; None where it is not there."""
        if (self.development and policy.production) or (self.needs and not self.needs(policy)):
            return None
        if self.takes and not self.takes(policy):
            return replace(self, api="", do=None, fields=())
        return self

    @property
    def methods(self) -> tuple[str, ...]:
        reading = ("GET", "HEAD") if self.show else ()
        return (*reading, *(("POST",) if self.do else ()))


def answer(
    gate: Gate,
    renderer: Renderer,
    endpoint: Endpoint,
    exchange: Exchange,
    *,
    argument: str,
    urls: dict[str, str],
    api: bool,
    token_field: str,
) -> Deciding:
    """Answer one call: the access rule, the method, the values, the operation, the rendering."""
    if exchange.method not in endpoint.methods:
        raise Refused(errors.METHOD, headers=(("Allow", ", ".join(endpoint.methods)),))
    if not gate.allows(exchange, endpoint.rule):
        return (yield from gate.permit(exchange, endpoint.rule))
    if _too_early(endpoint, exchange):
        return gate.unauthenticated(exchange)
    _himself(endpoint, exchange)
    values: forms.Values = {}
    call = Call(gate.house, exchange, values, argument, urls, api)
    handler = endpoint.show
    try:
        if exchange.method == "POST":
            handler = endpoint.do
            body = yield Read(bodies.OWN)
            if body and exchange.meter is not None:  # what is measured while it passes, passes here
                exchange.meter.take(body)
                exchange.meter.take(b"")
            fields = endpoint.fields if api else (*endpoint.fields, forms.Field(token_field, required=False))
            kind = exchange.headers.one("content-type") or ""
            take = forms.read if endpoint.refused is None else forms.read_either
            values.update(take(body, kind, fields, api=api, given=values))
        yield BLOCK
        gate.house.store.feed.follow()  # a process that signs people up also sends its mail
        if handler is None:
            raise Refused(errors.METHOD)
        result = handler(call)
    except Refused as refused:
        if refused.reason is STEP_UP and not api:
            here = exchange.address if endpoint.show is not None else ""
            return gate.stepping_up(exchange, getattr(refused, "rule", SIGNED_IN), here)
        told = None if endpoint.refused is None else endpoint.refused(call, refused)
        if told is not None:
            gate.house.count(refused.reason.code)
            return Answer(_rendered(renderer, exchange, told, api=api))
        if api or exchange.method != "POST" or endpoint.show is None or refused.status >= 500:
            raise  # 503 says when to come back, which a form would not
        result = _again(endpoint, call, refused)
    return Answer(_rendered(renderer, exchange, result, api=api))


def _too_early(endpoint: Endpoint, exchange: Exchange) -> bool:
    """Whether somebody who has only begun to sign in owes something else first."""
    session = exchange.session
    if exchange.partial is None or session is None or endpoint.rule.kind != "owing":
        return False
    return owing.first(session.owes) not in endpoint.finishes


def _himself(endpoint: Endpoint, exchange: Exchange) -> None:
    """Refuse whatever these pages change to somebody who acts as another person, so that no page of a later
    day is forgotten: they are all about that person's own account. He may look, and stop."""
    who = exchange.identity
    if who is not None and exchange.method == "POST" and endpoint.name != "sign_out":
        who.demand_self()


def _again(endpoint: Endpoint, call: Call, refused: Refused) -> Show:
    """The form once more, with what was wrong and what was given (but no secret)."""
    if endpoint.show is None:
        raise refused
    try:
        shown = endpoint.show(call)
    except Refused:  # no form to show: what was wrong with this body is what there is to say
        raise refused from None
    if not isinstance(shown, Show):
        raise refused
    given = {
        f.name: call.values.get(f.name) or ([] if f.many else "") for f in endpoint.fields if not f.secret
    }
    context = {
        **shown.context,
        "given": given,
        "faults": refused.fields,
        "fault": refused.detail or refused.reason.title,
        "refusal": refused.reason.code,
    }
    headers = (*shown.headers, *refused.headers)
    return Show(shown.template, context, status=refused.status, headers=headers)


def _rendered(renderer: Renderer, exchange: Exchange, result: Show | Done | File, *, api: bool) -> Response:
    match result:
        case Show(template, context, data, status, headers):
            if api:
                told = _json(data, status)
                told.headers.extend(headers)
                return told
            defaults = {"given": {}, "faults": {}, "fault": "", "refusal": ""}
            shown = renderer.page(exchange, template, status=status, **{**defaults, **context})
            shown.headers.extend(headers)
            return shown
        case File(name, kind, body):
            disposition = f'attachment; filename="{name}"'
            named = [
                ("Content-Type", kind),
                ("Content-Disposition", disposition),
                ("Cache-Control", "no-store"),
            ]
            return Response(200, named, body)
        case Done(to, data, status, headers):
            if api:
                response = _json(data, status)
            else:
                # 303: the browser comes back with GET and does not repeat a password (RFC 9700).
                response = Response(303, [("Location", to), ("Cache-Control", "no-store")])
            response.headers.extend(headers)
            return response


def _json(data: Any, status: int) -> Response:
    return Response(
        status,
        [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        json.dumps(data, ensure_ascii=False).encode(),
    )
