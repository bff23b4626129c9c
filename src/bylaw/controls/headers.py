"""Response headers: what a browser may do with an answer, said on every one of them.

Threat: injected script, framing, sniffed types, leaked addresses, answers kept in caches
(OWASP HTTP Headers). Mechanism: a prepared block is added to every response, errors and refusals
too; a page's policy for scripts bears a nonce of its own; what is said to somebody signed in is
never stored. Source: ASVS 5.0.0 3.4.1 to 3.4.8 and 14.3.2, CSP Level 3.
It does not clean what the application writes into a page: templates escape, nonces contain.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control, Duration, spoken
from bylaw.exchange import Depart, Exchange, Head, HeaderBlock
from bylaw.house import House
from bylaw.policy import Policy

NONCE_BYTES = 16


class Settings(control.Settings):
    """What browsers are told."""

    hsts: Duration = Field(63_072_000, ge=0)
    """Seconds for which browsers come back by https alone; 0 leaves it out."""

    frame_ancestors: tuple[str, ...] = ()
    """Sites that may show the application in a frame. Nobody by default."""

    script_src: tuple[str, ...] = ("'self'",)
    """Where pages may load scripts from, besides those that bear the page's nonce."""

    style_src: tuple[str, ...] = ("'self'",)
    """Where pages may load styles from, besides those that bear the page's nonce."""

    img_src: tuple[str, ...] = ("'self'", "data:")
    """Where pages may load images from."""

    connect_src: tuple[str, ...] = ("'self'",)
    """Where scripts may send requests to."""

    xss_protection: Literal["", "0", "1; mode=block"] = ""
    """X-XSS-Protection, for scanners that insist. "" leaves it out, as it should be (C-01)."""

    def below_standard(self) -> Iterable[Below]:
        if self.xss_protection.startswith("1"):
            yield Below("xss_protection", self.xss_protection, 'none or "0"', "OWASP HTTP Headers")
        if self.hsts < 31_536_000:
            yield Below("hsts", spoken(self.hsts), "1 year or more", "ASVS 5.0.0 3.4.1")
        for key, sources in (("script_src", self.script_src), ("style_src", self.style_src)):
            if set(sources) & {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "data:"}:
                yield Below(key, " ".join(sources), "nonces, hashes and named hosts",
                            "ASVS 5.0.0 3.4.3")


def nonce(exchange: Exchange) -> str:
    """The nonce of this response, for `<script nonce=…>`; made when a page first asks for it."""
    if exchange.nonce is None:
        exchange.nonce = secrets.token_urlsafe(NONCE_BYTES)
    return exchange.nonce


def page_policy(settings: Settings, page_nonce: str | None) -> str:
    """The Content-Security-Policy of a page."""
    ours = f" 'nonce-{page_nonce}'" if page_nonce else ""
    ancestors = " ".join(settings.frame_ancestors) or "'none'"
    return "; ".join((
        "default-src 'none'",
        f"script-src {' '.join(settings.script_src)}{ours}",
        f"style-src {' '.join(settings.style_src)}{ours}",
        f"img-src {' '.join(settings.img_src)}",
        f"connect-src {' '.join(settings.connect_src)}",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        f"frame-ancestors {ancestors}",
    ))


def _everywhere(policy: Policy, settings: Settings) -> list[tuple[str, str]]:
    pairs = [("X-Content-Type-Options", "nosniff")]
    if policy.app.secure and settings.hsts:
        pairs.append(
            ("Strict-Transport-Security", f"max-age={settings.hsts}; includeSubDomains")
        )
    if not settings.frame_ancestors:
        pairs.append(("X-Frame-Options", "DENY"))
    if settings.xss_protection:
        pairs.append(("X-XSS-Protection", settings.xss_protection))
    return pairs


def _blocks(policy: Policy, settings: Settings) -> tuple[HeaderBlock, HeaderBlock]:
    """What a page gets, and what everything else gets."""
    everywhere = _everywhere(policy, settings)
    page = HeaderBlock([
        *everywhere,
        ("Content-Security-Policy", page_policy(settings, None)),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ])
    ancestors = " ".join(settings.frame_ancestors) or "'none'"
    data = HeaderBlock([
        *everywhere,
        ("Content-Security-Policy", f"default-src 'none'; frame-ancestors {ancestors}"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ])
    return page, data


def _depart(house: House) -> Depart:
    settings = house.policy.of(Settings)
    page, data = _blocks(house.policy, settings)

    def depart(exchange: Exchange, head: Head) -> None:
        kind = head.get("content-type")
        html = kind is not None and kind.startswith("text/html")
        if exchange.nonce is not None and html:
            head.set("content-security-policy", page_policy(settings, exchange.nonce))
        head.complete(page if html else data)
        if exchange.identity is not None and not exchange.static:
            # Said to one person: no cache may keep it, whatever the application wished (A135).
            head.set("cache-control", "no-store")
        head.remove("server")
        head.remove("x-powered-by")

    return depart


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    for key in ("frame_ancestors", "script_src", "style_src", "img_src", "connect_src"):
        for index, source in enumerate(getattr(settings, key)):
            if set(source) & set(";,\r\n\0 ") or not source.isascii() or not source:
                yield Conflict(f"headers.{key}.{index}", f"{source!r} is not one CSP source",
                               'one source each, e.g. "https://cdn.acme.eu"')


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    fixed = ", ".join(f"`{name}: {value}`" for name, value in _everywhere(policy, settings))
    framed = ", ".join(settings.frame_ancestors) or "nobody"
    return [
        f"Every response, errors and refusals included, bears {fixed}.",
        f"Pages bear `Content-Security-Policy: {page_policy(settings, None)}`, with a nonce of their "
        "own where they have inline script or style. Everything else bears "
        "`default-src 'none'`.",
        f"May show the application in a frame: {framed}.",
        "What is said to somebody signed in is `Cache-Control: no-store`; no answer names the "
        "server's software.",
    ]


CONTROL = Control(
    name="headers",
    title="Response headers",
    settings=Settings,
    statement=_statement,
    steps={"depart": _depart},
    conflicts=_conflicts,
    requirements=("S3-062", "S3-063", "S3-065", "C-01", "C-36"),
    asvs=("3.4.1", "3.4.3", "3.4.4", "3.4.5", "3.4.6", "3.4.8", "13.4.6", "14.3.2"),
)
