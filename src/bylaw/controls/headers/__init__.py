"""Response headers: what a browser may do with an answer, said on every one of them.

Threat: injected script, framing, sniffed types, leaked addresses, answers kept in caches
(OWASP HTTP Headers). Mechanism: a prepared block is added to every response, errors and refusals
too; a page's policy for scripts bears a nonce of its own; what is said to somebody signed in is
never stored. Source: ASVS 5.0.0 3.4.1 to 3.4.8 and 14.3.2, CSP Level 3.
It does not clean what the application writes into a page: templates escape, nonces contain.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final, Literal

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.controls.headers import probes, sabotages
from bylaw.exchange import Depart, Exchange, Head, HeaderBlock
from bylaw.house import House
from bylaw.policy import Policy, placeholder
from bylaw.quantities import Duration, spoken

NONCE_BYTES: Final = 16
PERSONAL: Final = "personal"
"""Noted on an exchange whose answer is for one visitor: it bears a token or the like."""

_OURS: Final = (
    "x-content-type-options",
    "strict-transport-security",
    "x-frame-options",
    "x-xss-protection",
    "server",
    "x-powered-by",
)
"""Not the application's to say: dropped before the policy's own are added."""
_POLICY: Final = "Content-Security-Policy"
_STORE_NOWHERE: Final = HeaderBlock(
    [("Cache-Control", "no-store")],
    drop=(
        "cache-control",
        "cdn-cache-control",
        "surrogate-control",
    ),
)
"""Whatever the application wished (A135), and what speaks to caches on the way alone (RFC 9213)."""
_CLOSE: Final = frozenset({"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"})
"""Referrer policies that tell another site no path, and nothing to one without https."""
_SOURCE: Final = re.compile(r"[!-+\--:<-~]+")  # visible ASCII without the two that end a source
_KEYWORDS: Final = frozenset(
    {
        "self",
        "none",
        "unsafe-inline",
        "unsafe-eval",
        "strict-dynamic",
        "unsafe-hashes",
        "wasm-unsafe-eval",
        "report-sample",
    }
)
_OPEN: Final = frozenset(
    {
        "'unsafe-inline'",
        "'unsafe-eval'",
        "'unsafe-hashes'",
        "*",
        "https:",
        "http:",
        "data:",
        "blob:",
        "filesystem:",
    }
)


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

    xss_protection: Literal["", "0", "1; mode=block"] = "0"
    """X-XSS-Protection. "0" switches off a filter that opened holes of its own; "" leaves it out."""

    def below_standard(self) -> Iterable[Below]:
        if self.xss_protection.startswith("1"):
            yield Below("xss_protection", self.xss_protection, 'none or "0"', "OWASP HTTP Headers")
        if self.hsts < 31_536_000:
            yield Below("hsts", spoken(self.hsts), "1 year or more", "ASVS 5.0.0 3.4.1")
        for key, standard, source in (
            ("script_src", "nonces, hashes and named hosts", "ASVS 5.0.0 3.4.3"),
            ("style_src", "nonces, hashes and named hosts", "ASVS 5.0.0 3.4.3"),
            ("connect_src", "named hosts", "ASVS 5.0.0 3.4.3"),
            ("frame_ancestors", "named hosts", "ASVS 5.0.0 3.4.6"),
        ):
            sources = getattr(self, key)
            if not _OPEN.isdisjoint(sources):
                yield Below(key, " ".join(sources), standard, source)


def nonce(exchange: Exchange) -> str:
    """The nonce of this response, for `<script nonce=…>`; made when a page first asks for it."""
    if exchange.nonce is None:
        exchange.nonce = secrets.token_urlsafe(NONCE_BYTES)
    return exchange.nonce


def page_policy(settings: Settings, page_nonce: str | None) -> str:
    """The Content-Security-Policy of a page."""
    ours = f" 'nonce-{page_nonce}'" if page_nonce else ""
    return "; ".join(
        (
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
            f"frame-ancestors {ancestors(settings)}",
        )
    )


def data_policy(settings: Settings) -> str:
    """The Content-Security-Policy of everything that is no page: opened as one, it can do nothing."""
    return f"default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors {ancestors(settings)}"


def ancestors(settings: Settings) -> str:
    return " ".join(settings.frame_ancestors) or "'none'"


def framed_by_anybody(settings: Settings) -> bool:
    """Whether sites may show the application in a frame that the policy does not name."""
    return not _OPEN.isdisjoint(settings.frame_ancestors)


def everywhere(settings: Settings, *, tls: bool) -> list[tuple[str, str]]:
    """What every answer bears, whatever the application says; over `tls`, or in the clear."""
    pairs = [("X-Content-Type-Options", "nosniff")]
    if tls and settings.hsts:  # in the clear it must not be said (RFC 6797 section 7.2)
        pairs.append(("Strict-Transport-Security", f"max-age={settings.hsts}; includeSubDomains"))
    if not settings.frame_ancestors:
        pairs.append(("X-Frame-Options", "DENY"))
    if settings.xss_protection:
        pairs.append(("X-XSS-Protection", settings.xss_protection))
    return pairs


def _blocks(settings: Settings, *, tls: bool) -> tuple[HeaderBlock, HeaderBlock]:
    """What a page gets besides its policy for content, and what everything else gets."""
    fixed = everywhere(settings, tls=tls)
    page = HeaderBlock(
        fixed,
        [
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
            ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ],
        drop=_OURS,
    )
    data = HeaderBlock(
        [*fixed, (_POLICY, data_policy(settings))],
        [
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ],
        drop=_OURS,
    )
    return page, data


def _depart(house: House) -> Depart:
    settings = house.policy.of(Settings)
    secure = house.policy.app.secure
    over_tls, in_clear = (
        (page, data, page.joined(_STORE_NOWHERE), data.joined(_STORE_NOWHERE))
        for page, data in (_blocks(settings, tls=secure), _blocks(settings, tls=False))
    )
    for_pages = page_policy(settings, None)

    def depart(exchange: Exchange, head: Head) -> None:
        if "referrer-policy" in head.names and not _close(head):
            head.remove("referrer-policy")
        kind = head.get("content-type")
        page, data, private_page, private_data = over_tls if exchange.scheme == "https" else in_clear
        # Added, never in the place of the application's own: a browser keeps both, so that ours
        # cannot be weakened by it (CSP Level 3 section 8.1).
        if kind is not None and kind.lower().startswith("text/html"):
            said = for_pages if exchange.nonce is None else page_policy(settings, exchange.nonce)
            head.complete(private_page if _personal(exchange, head) else page)
            head.add(_POLICY.lower(), said)
        else:
            head.complete(private_data if _personal(exchange, head) else data)

    return depart


def _close(head: Head) -> bool:
    """Whether the application's own referrer policy is one that tells no path."""
    return (head.get("referrer-policy") or "").lower() in _CLOSE


def _personal(exchange: Exchange, head: Head) -> bool:
    """Whether the answer is meant for one visitor: somebody signed in, or whose nonce, token or
    cookie it bears."""
    return (
        (exchange.identity is not None and not exchange.static)
        or exchange.nonce is not None
        or (exchange.notes is not None and PERSONAL in exchange.notes)
        or "set-cookie" in head.names
    )


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.xss_protection.startswith("1") and not settings.because:
        yield Conflict(
            "headers.xss_protection",
            "the filter that it switches on opened holes of its own",
            '"0", or because = "…" (it is printed in SECURITY.md)',
        )
    for key in ("frame_ancestors", "script_src", "style_src", "img_src", "connect_src"):
        for index, source in enumerate(getattr(settings, key)):
            wrong = _not_a_source(source)
            if wrong is None and policy.production and placeholder(source):
                wrong = "a published placeholder", 'the site itself: "https://intranet.acme.eu"'
            if wrong is not None:
                yield Conflict(f"headers.{key}.{index}", *wrong)


def _not_a_source(source: str) -> tuple[str, str] | None:
    """Why `source` is none, and what to write: a policy's value must not become a directive (A136)."""
    if not _SOURCE.fullmatch(source):
        return f"{source!r} is not one CSP source", 'one source each, e.g. "https://cdn.acme.eu"'
    if source.lower() in _KEYWORDS:
        return f"{source!r} would be a host of that name", f"a keyword in quotes: \"'{source}'\""
    if source.lower().startswith("'nonce-"):
        return "a nonce that is written down is known to everybody", "pages ask for theirs: csp_nonce()"
    return None


def _statement(policy: Policy) -> list[str]:
    settings, secure = policy.of(Settings), policy.app.secure
    fixed = ", ".join(f"`{name}: {value}`" for name, value in everywhere(settings, tls=secure))
    framed = ", ".join(settings.frame_ancestors) or "nobody"
    return [
        f"Every response, errors and refusals included, bears {fixed}, whatever the application says.",
        (
            f"Pages bear `Content-Security-Policy: {page_policy(settings, None)}`, with a nonce of "
            "their own where they have inline script or style. Everything else bears "
            f"`{data_policy(settings)}`."
        ),
        f"May show the application in a frame: {framed}.",
        (
            "What is said to somebody signed in, or bears a visitor's cookie, token or nonce, is "
            "`Cache-Control: no-store`; no answer of the application names its software."
        ),
    ]


CONTROL = Control(
    name="headers",
    title="Response headers",
    settings=Settings,
    statement=_statement,
    steps={"depart": _depart},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S3-062", "S3-063", "S3-064", "S3-065", "C-01", "C-36"),
    asvs=("3.4.1", "3.4.3", "3.4.4", "3.4.5", "3.4.6", "3.4.8", "13.4.6", "14.3.2"),
)
