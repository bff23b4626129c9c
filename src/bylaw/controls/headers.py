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
from typing import Any, Final, Literal

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Broken, Conflict, Control, CouldNotLook, Duration, Patch, probe
from bylaw.control import sabotage, spoken
from bylaw.exchange import Depart, Exchange, Head, HeaderBlock
from bylaw.house import House
from bylaw.policy import Policy

NONCE_BYTES: Final = 16
PERSONAL: Final = "personal"
"""Noted on an exchange whose answer is for one visitor: it bears a token or the like."""

_OURS: Final = ("x-content-type-options", "strict-transport-security", "x-frame-options",
                "x-xss-protection", "server", "x-powered-by")
"""Not the application's to say: dropped before the policy's own are added."""
_CLOSE: Final = frozenset({"no-referrer", "same-origin", "strict-origin",
                           "strict-origin-when-cross-origin"})
"""Referrer policies that tell another site no path, and nothing to one without https."""
_SOURCE: Final = re.compile(r"[!-+\--:<-~]+")  # visible ASCII without the two that end a source
_KEYWORDS: Final = frozenset({"self", "none", "unsafe-inline", "unsafe-eval", "strict-dynamic",
                              "unsafe-hashes", "wasm-unsafe-eval", "report-sample"})
_OPEN: Final = frozenset({"'unsafe-inline'", "'unsafe-eval'", "'unsafe-hashes'", "*", "https:",
                          "http:", "data:", "blob:", "filesystem:"})


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
        f"frame-ancestors {_ancestors(settings)}",
    ))


def data_policy(settings: Settings) -> str:
    """The Content-Security-Policy of everything that is no page: opened as one, it can do nothing."""
    return ("default-src 'none'; form-action 'none'; base-uri 'none'; "
            f"frame-ancestors {_ancestors(settings)}")


def _ancestors(settings: Settings) -> str:
    return " ".join(settings.frame_ancestors) or "'none'"


def _everywhere(policy: Policy, settings: Settings) -> list[tuple[str, str]]:
    """What every answer bears, whatever the application says."""
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
    """What a page gets, and what everything else gets, besides a policy for content."""
    everywhere = _everywhere(policy, settings)
    page = HeaderBlock([
        *everywhere,
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ])
    data = HeaderBlock([
        *everywhere,
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ])
    return page, data


def _depart(house: House) -> Depart:
    settings = house.policy.of(Settings)
    page, data = _blocks(house.policy, settings)
    for_pages, for_data = page_policy(settings, None), data_policy(settings)

    def depart(exchange: Exchange, head: Head) -> None:
        for name in _OURS:
            head.remove(name)
        if (head.get("referrer-policy") or "no-referrer").lower() not in _CLOSE:
            head.remove("referrer-policy")
        kind = head.get("content-type")
        # Added, never in the place of the application's own: a browser keeps both, so that ours
        # cannot be weakened by it (CSP Level 3 section 8.1).
        if kind is not None and kind.lower().startswith("text/html"):
            said = for_pages if exchange.nonce is None else page_policy(settings, exchange.nonce)
            head.complete(page)
        else:
            said = for_data
            head.complete(data)
        head.add("content-security-policy", said)
        if _personal(exchange, head):
            _store_nowhere(head)

    return depart


def _personal(exchange: Exchange, head: Head) -> bool:
    """Whether the answer is meant for one visitor: somebody signed in, or whose nonce, token or
    cookie it bears."""
    return (
        (exchange.identity is not None and not exchange.static)
        or exchange.nonce is not None
        or (exchange.notes is not None and PERSONAL in exchange.notes)
        or head.get("set-cookie") is not None
    )


def _store_nowhere(head: Head) -> None:
    """Whatever the application wished (A135), and what speaks to caches on the way alone (RFC 9213)."""
    head.set("cache-control", "no-store")
    head.remove("cdn-cache-control")
    head.remove("surrogate-control")


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.xss_protection.startswith("1") and not settings.because:
        yield Conflict("headers.xss_protection", "the filter that it switches on opened holes of its own",
                       '"0", or because = "…" (it is printed in SECURITY.md)')
    for key in ("frame_ancestors", "script_src", "style_src", "img_src", "connect_src"):
        for index, source in enumerate(getattr(settings, key)):
            wrong = _not_a_source(source)
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


# Probes


@probe("high", "S3-062", "S3-063", "S3-064", "S3-065", "C-01", "C-36")
def every_answer_bears_the_headers(lab: Any) -> str:
    """Whatever is answered, errors and refusals too, bears the headers that the policy says."""
    settings = lab.policy.of(Settings)
    replies = _answers(lab)
    for what, reply in replies.items():
        for name, value in _everywhere(lab.policy, settings):
            if reply.all(name) != [value]:
                raise Broken(f"{what} ({reply.status}) bears {name}: {reply.all(name)}, not {value}")
        said = reply.all("content-security-policy")
        if not any(f"frame-ancestors {_ancestors(settings)}" in one for one in said):
            raise Broken(f"{what} ({reply.status}) does not say who may frame it: {said}")
        if not reply.header("referrer-policy"):
            raise Broken(f"{what} ({reply.status}) has no Referrer-Policy")
        for name in ("server", "x-powered-by"):
            if reply.header(name):
                raise Broken(f"{what} names its software: {name}: {reply.header(name)}")
    return f"{len(replies)} answers: {', '.join(f'{w} {r.status}' for w, r in replies.items())}"


def _answers(lab: Any) -> dict[str, Any]:
    """One of each kind of answer that an application gives."""
    visitor, person = lab.visitor(), lab.client()
    html = [("Content-Type", "text/html; charset=utf-8"), ("Server", "stub/1"), ("X-Powered-By", "stub")]
    nowhere = "/no/such/path-7f3a"
    replies = {
        "a page": visitor.page(lab.url("sign_in")),
        "a page, signed in": person.page(lab.url("sessions")),
        "data": person.get(lab.api("me")),
        "a stylesheet": visitor.get(lab.url("stylesheet")),
        "nothing there": visitor.get(nowhere),
        "not that way": visitor.send("DELETE", lab.url("stylesheet"), headers=visitor.from_here),
        "a refusal": visitor.send("POST", lab.api("sign_out"), headers=[("Origin", "null")]),
        "a refusal, to a person": visitor.send("POST", lab.api("sign_out"),
                                               headers=[("Origin", "null"), ("Accept", "text/html")]),
        "nobody": visitor.get(lab.api("me")),
        "not acceptable": person.act("POST", lab.api("change_password"), json={"nothing": 1}),
        "to the sign-in page": visitor.page(lab.url("sessions")),
        "head": visitor.send("HEAD", lab.url("sign_in")),
        "options": visitor.send("OPTIONS", lab.url("sign_in"), headers=[
            ("Origin", "https://elsewhere.invalid"), ("Access-Control-Request-Method", "PUT")]),
    }
    with lab.raising(RuntimeError("a probe")):
        replies["an error"] = visitor.get(nowhere)
    for status in (200, 204, 301, 304, 418, 503):
        with lab.answering(status, html, b""):
            replies[f"the application's {status}"] = visitor.get(nowhere)
    return replies


@probe("high", "S3-062", "S3-063")
def the_application_cannot_weaken_them(lab: Any) -> str:
    """Headers of the application stand beside the policy's, and never in their place."""
    settings = lab.policy.of(Settings)
    weak = [("X-Content-Type-Options", "sniff"), ("X-Frame-Options", "ALLOWALL"),
            ("Strict-Transport-Security", "max-age=0"), ("X-XSS-Protection", "1"),
            ("Referrer-Policy", "unsafe-url"), ("Content-Security-Policy", "default-src *")]
    for kind in ("text/html", "Text/HTML; charset=utf-8", "application/json"):
        with lab.answering(200, [("Content-Type", kind), *weak]):
            reply = lab.visitor().get("/")
        for name, value in _everywhere(lab.policy, settings):
            if reply.all(name) != [value]:
                raise Broken(f"the application says {name}: {reply.all(name)}")
        html = kind.lower().startswith("text/html")
        ours = page_policy(settings, None) if html else data_policy(settings)
        if ours not in reply.all("content-security-policy"):
            raise Broken(f"{kind} leaves with {reply.all('content-security-policy')}")
        if "unsafe-url" in reply.header("referrer-policy"):
            raise Broken("the application tells every site its whole addresses")
    return "six weak headers on three types: the policy's are all there"


@probe("high", "S3-065")
def every_page_has_a_nonce_of_its_own(lab: Any) -> str:
    """A script's nonce is new on each answer, in its policy, and in no cache."""
    seen = set()
    with lab.answering(200, [("Content-Type", "text/html"), ("Cache-Control", "public, max-age=60")]):
        with lab.instead(_asking_for_a_nonce(lab.gated.application)):
            for _ in range(8):
                reply = lab.visitor().get("/")
                found = re.findall(r"script-src [^;]*'nonce-([\w-]{22,})'",
                                   reply.header("content-security-policy"))
                if len(found) != 1 or reply.header("cache-control") != "no-store":
                    raise Broken(f"a page with a nonce left with {reply.headers}")
                seen.add(found[0])
    if len(seen) != 8:
        raise Broken(f"eight pages had {len(seen)} nonces")
    return "eight pages, eight nonces, none stored"


def _asking_for_a_nonce(application: Any) -> Any:
    """The application, with a template that has asked for the nonce."""

    def asking(environ_or_scope: Any, *rest: Any) -> Any:
        nonce(environ_or_scope["bylaw.exchange"])
        return application(environ_or_scope, *rest)

    return asking


@probe("high", "S3-065")
def what_is_said_to_somebody_is_not_stored(lab: Any) -> str:
    """An answer to somebody signed in, and one that sets a cookie, is no-store whatever it says itself."""
    person = lab.client()
    cacheable = [("Content-Type", "text/css"), ("Cache-Control", "public, max-age=31536000"),
                 ("CDN-Cache-Control", "max-age=600"), ("Surrogate-Control", "max-age=600")]
    account = lab.url("me")
    tricks = [f"{account}{end}" for end in ("/x.css", ";x.js", "%2fx.png", "/..%2fstatic/x.css", "?x.css")]
    answers = [(f"GET {path}", person.get(path)) for path in (lab.api("me"), account, *tricks)]
    with lab.answering(200, cacheable):
        answers += [(f"the application at {path}", person.get(path)) for path in ("/", "/x.css")]
    with lab.answering(200, [*cacheable, ("Set-Cookie", "a=b")]):
        answers.append(("a cookie for somebody unknown", lab.visitor().get("/x.css")))
    for what, reply in answers:
        kept = [name for name in ("cdn-cache-control", "surrogate-control") if reply.header(name)]
        if reply.all("cache-control") != ["no-store"] or kept:
            raise Broken(f"{what} ({reply.status}): {reply.all('cache-control')} {kept}")
    return f"{len(answers)} answers, all no-store"


@probe("high", "S3-065")
def no_value_becomes_a_header(lab: Any) -> str:
    """A line break in a header's value is answered with an error, not with one more header."""
    for gap in ("\r\n", "\n", "\r", "\0"):
        for name in ("Location", "Set-Cookie", "Content-Disposition", "Content-Security-Policy"):
            with lab.answering(200, [(name, f"a=b{gap}X-Planted: 1")]):
                reply = lab.visitor().get("/")
            if reply.status != 500 or any(
                "planted" in value.lower() or set(value) & set("\r\n\0")
                for pair in reply.headers for value in pair
            ):
                raise Broken(f"{name} with {gap!r}: {reply.status} {reply.headers}")
    return "four breaks in four headers: 500 each, and nothing planted"


@probe("medium", "S3-063")
def the_policy_cannot_be_made_to_say_more(lab: Any) -> str:
    """A source that would end its directive, or is a keyword without quotes, refuses to start."""
    try:
        text = lab.policy.file.read_text("utf-8")
    except OSError as error:
        raise CouldNotLook(f"the policy's file cannot be read: {error.strerror}") from None
    if re.search(r"^\s*\[headers\]|^\s*headers\.", text, re.MULTILINE):
        text = re.sub(r"^\s*\[headers\].*?(?=^\s*\[|\Z)|^\s*headers\..*?$", "", text,
                      flags=re.MULTILINE | re.DOTALL)
    for source in ("https://a.test; script-src *", "a.test b.test", "a.test,b.test", "a\\nb", "ä.test",
                   "self", "'nonce-abc'", ""):
        error = lab.refuses_to_start(policy=f'{text}\n[headers]\nimg_src = ["{source}"]\n')
        if error is None or "img_src" not in str(error):
            raise Broken(f"img_src = [{source!r}] started ({error})")
    return "eight sources that are none, all refused"


# Sabotages


@sabotage
def only_pages_bear_them(patch: Patch) -> None:
    """What is no page leaves without headers."""
    before = _blocks
    patch(_this(), "_blocks", lambda policy, settings: (before(policy, settings)[0], HeaderBlock([])))


@sabotage
def the_application_has_the_last_word(patch: Patch) -> None:
    """What the application says stands in the policy's place."""
    patch(_this(), "_OURS", ())


@sabotage
def the_nonce_is_always_the_same(patch: Patch) -> None:
    """Whoever has seen one page knows the nonce of the next."""

    def fixed(exchange: Exchange) -> str:
        exchange.nonce = "A" * 22
        return exchange.nonce

    patch(_this(), "nonce", fixed)


@sabotage
def pages_may_run_anything(patch: Patch) -> None:
    """The policy of pages leaves frames and scripts open."""
    patch(_this(), "page_policy", lambda settings, page_nonce: "script-src * 'unsafe-inline'")


@sabotage
def answers_may_be_stored(patch: Patch) -> None:
    """What is said to somebody signed in may be kept by caches."""
    patch(_this(), "_personal", lambda exchange, head: False)


@sabotage
def any_text_is_a_source(patch: Patch) -> None:
    """A value of the policy may end its directive and begin another."""
    patch(_this(), "_not_a_source", lambda source: None)


def _this() -> Any:
    import bylaw.controls.headers as this

    return this


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    fixed = ", ".join(f"`{name}: {value}`" for name, value in _everywhere(policy, settings))
    framed = ", ".join(settings.frame_ancestors) or "nobody"
    return [
        f"Every response, errors and refusals included, bears {fixed}, whatever the application says.",
        f"Pages bear `Content-Security-Policy: {page_policy(settings, None)}`, with a nonce of their "
        f"own where they have inline script or style. Everything else bears `{data_policy(settings)}`.",
        f"May show the application in a frame: {framed}.",
        "What is said to somebody signed in, or bears a visitor's cookie, token or nonce, is "
        "`Cache-Control: no-store`; no answer of the application names its software.",
    ]


CONTROL = Control(
    name="headers",
    title="Response headers",
    settings=Settings,
    statement=_statement,
    steps={"depart": _depart},
    probes=(
        every_answer_bears_the_headers,
        the_application_cannot_weaken_them,
        every_page_has_a_nonce_of_its_own,
        what_is_said_to_somebody_is_not_stored,
        no_value_becomes_a_header,
        the_policy_cannot_be_made_to_say_more,
    ),
    sabotages=(
        only_pages_bear_them,
        the_application_has_the_last_word,
        the_nonce_is_always_the_same,
        pages_may_run_anything,
        answers_may_be_stored,
        any_text_is_a_source,
    ),
    conflicts=_conflicts,
    requirements=("S3-062", "S3-063", "S3-064", "S3-065", "C-01", "C-36"),
    asvs=("3.4.1", "3.4.3", "3.4.4", "3.4.5", "3.4.6", "3.4.8", "13.4.6", "14.3.2"),
)
