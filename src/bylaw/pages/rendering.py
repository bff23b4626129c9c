"""Pages for people: Jinja templates with escaping on, and the few words that all of them need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from bylaw.controls import csrf, email, headers, passkeys, passwords, tokens
from bylaw.exchange import Exchange, Refuse, Response
from bylaw.house import House
from bylaw.identity import ANONYMOUS

_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x1f\x7f\\]*")


def local_path(text: str, otherwise: str) -> str:
    """`text` where it is a path of this site, else `otherwise`: no redirect leaves the site.

    Encoded, as it goes into a header: what is encoded already stays as it is.
    """
    if len(text) > 2000 or not _LOCAL.fullmatch(text):
        return otherwise
    # A server or proxy on the way may decode once more: "/%5cevil.test", "/%2f%2fevil.test" (A125).
    if not all(_LOCAL.fullmatch(decoded) for decoded in _decoded(text)):
        return otherwise
    return quote(text, safe="/?#[]@!$&'()*+,;=:%-._~")  # RFC 3986 section 2.2, and "%"


def _decoded(text: str) -> Iterator[str]:
    """What the path of `text` is when it is decoded, and when that is decoded again."""
    path = re.split(r"[?#]", text, maxsplit=1)[0]
    for _ in range(3):
        path = unquote(path)
        yield path


@cache
def _templates() -> Environment:
    """Our templates, compiled once in a process: nothing in them is of one application."""
    made = Environment(
        loader=PackageLoader("bylaw.pages"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(moment=_moment, plain=_plain, address=_address, called=_called)
    return made


class Renderer:
    """Turns a template and what it needs into a response."""

    def __init__(self, house: House, urls: dict[str, str], static: str, version: str) -> None:
        self._house = house
        self._urls = urls
        self._static = static
        self._version = version
        self._templates = _templates()

    def page(self, exchange: Exchange, template: str, *, status: int = 200, **context: Any) -> Response:
        """The page `template`; never stored by a browser: it may hold a token or a name."""
        policy = self._house.policy
        text = self._templates.get_template(template).render(
            app=policy.app.name,
            home=policy.pages.home,
            urls=self._urls,
            static=lambda name: f"{self._static}{name}?v={self._version}",
            stylesheet=policy.pages.stylesheet,
            who=exchange.identity or ANONYMOUS,
            partial=exchange.partial is not None,
            development=not policy.production,
            csrf_field=lambda: field(self._house, exchange),
            csrf_header=policy.of(csrf.Settings).header,
            passwords_on=passwords.on(policy),
            tokens_on=tokens.used(policy),
            passkeys_for=passkeys.rp_id(policy),
            csrf_name=policy.of(csrf.Settings).field,
            csp_nonce=lambda: headers.nonce(exchange),
            **context,
        )
        return Response(
            status,
            [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")],
            text.encode(),
        )

    def refusal(self, exchange: Exchange, refuse: Refuse) -> Response:
        """A refusal for a person."""
        status = refuse.status or refuse.reason.status
        back = self._way_back(exchange)
        response = self.page(
            exchange,
            "refusal.html",
            status=status,
            title=refuse.reason.title,
            detail=refuse.detail,
            code=refuse.reason.code,
            request_id=exchange.request_id,
            fields=refuse.fields,
            problem_status=status,
            sign_in=f"{self._urls['sign_in']}?next={quote(back)}",
            back=back,
            sent=exchange.unsafe,
        )
        response.headers.extend(refuse.headers)
        return response

    def _way_back(self, exchange: Exchange) -> str:
        """The page that was asked for, or the one whose form was sent: that can be loaded again."""
        if exchange.notes is not None and "way_back" in exchange.notes:
            return str(exchange.notes["way_back"])
        if not exchange.unsafe:
            return exchange.address
        policy = self._house.policy
        referer = next(iter(exchange.headers.all("referer")), "")
        return local_path(referer.removeprefix(policy.app.origin), policy.pages.home)


def field(house: House, exchange: Exchange) -> Markup:
    """The hidden field with the token, for a form."""
    name = house.policy.of(csrf.Settings).field
    return Markup('<input type="hidden" name="{}" value="{}">').format(
        name, escape(csrf.token(house, exchange))
    )


def _plain(value: Any) -> str:
    """What a record holds, on one line."""
    return json.dumps(value, ensure_ascii=False)


def _address(address: str) -> str:
    """A mail address for people: what stands for none is nobody's to read."""
    return address if email.reachable(address) else "no mail address"


def _called(who: Any) -> str:
    """What somebody is shown as, an identity or an account: the address, or the name where there is none."""
    address, name = (who["email"], who["name"]) if isinstance(who, dict) else (who.email, who.name)
    return address if email.reachable(address) else name or "no mail address"


def _moment(at: float) -> Markup:
    """A time for people and programs alike."""
    when = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(timespec="seconds"), when.strftime("%-d %B %Y, %H:%M UTC")
    )
