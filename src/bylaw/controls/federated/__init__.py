"""Federated sign-in: with an account at Google, or at any provider of OpenID Connect.

Threat: a code or token of another sign-in, browser, client or issuer (CWE-352, RFC 9700 section 4); a
forged or borrowed id_token (CWE-347); an account taken over because somebody's provider says he has its
address (pre-hijacking, CVE-2026-9084); a second way in that its owner does not know of. Mechanism: the
authorization code flow with PKCE (S256), state and nonce, bound to one browser by a cookie of ten minutes
that is used once; the id_token's signature, issuer, audience and times; an account is found by provider
and subject alone, and linked to another only by whoever is signed in to that. Source: OpenID Connect Core
1.0, RFC 9700, RFC 9207, ASVS 5.0.0 chapter 10; C-09, C-30, C-42.
It does not sign anybody out when he signs out at the provider, and keeps no token of the provider's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from pydantic import Field, SecretStr

from bylaw import control, oidc
from bylaw.control import Conflict, Control, Section
from bylaw.controls import outbound, signup
from bylaw.controls.federated import probes, sabotages
from bylaw.house import House
from bylaw.policy import Policy, placeholder
from bylaw.reasons import Reason

log = logging.getLogger("bylaw.federated")

STATE = Reason(
    "federated.state",
    403,
    "This sign-in was not begun here, or was finished already. Begin again.",
    "No sign-in is under way in this browser, or the answer's state is not the one that was sent with it. "
    "Each is good for ten minutes and one answer (RFC 9700 section 4.7).",
)
UNTRUSTED = Reason(
    "federated.untrusted",
    401,
    "The answer could not be trusted. Nobody was signed in.",
    "What the provider answered does not hold: the code, the id_token's signature, issuer, audience, nonce "
    "or times. What was wrong is logged as a warning of `bylaw.federated`.",
)
DECLINED = Reason(
    "federated.declined",
    403,
    "The other account was not used. Nobody was signed in.",
    "The person did not agree at the provider, or the provider refused: it answered with an error, which is "
    "never shown.",
)
UNAVAILABLE = Reason(
    "federated.unavailable",
    503,
    "The provider cannot be reached at the moment. Try again shortly, or sign in another way.",
    "The provider's discovery document, keys or tokens could not be had in time. The log says which.",
)
NOBODY = Reason(
    "federated.nobody",
    403,
    "No account here opens with that one. Sign in another way, then link it on your account's page.",
    "Nobody is linked with that account of the provider's and sign-up is closed, or the account is disabled.",
)
UNVERIFIED = Reason(
    "federated.unverified",
    403,
    "The provider does not vouch for your mail address, so no account was made.",
    "The provider gave no mail address, or did not say email_verified = true. Whoever has an account here "
    "links the other one on the account's page, for which no address is needed.",
)
TAKEN = Reason(
    "federated.taken",
    409,
    "There is an account with your address already. Sign in to it, then link the other one on its page.",
    "An account is never linked because two addresses are equal: its owner does it, signed in to it.",
)
LINKED = Reason(
    "federated.linked",
    409,
    "One of the two is linked already. Unlink it first.",
    "That account of the provider's opens another account here, or this one is linked with another account "
    "of the same provider.",
)
LAST = Reason(
    "federated.last",
    409,
    "Nothing else opens your account. Choose a password or add a passkey first.",
    "Unlinking would leave an account without a password, a passkey or another link: nobody could sign in.",
)

METHOD: Final = "federated"
"""How a session says that it was opened this way."""
CEREMONY: Final = "federated"
_KNOWN: Final = {"google": ("https://accounts.google.com", "Google")}
"""Providers that need no issuer in the policy: (issuer, label)."""
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_REFERENCE: Final = re.compile("(env|file):")


class Provider(Section):
    """A provider of accounts."""

    issuer: str | None = Field(None, examples=["https://login.example.com"])
    """Its issuer, exactly as its discovery document spells it. `google` needs none."""

    label: str | None = Field(None, min_length=1, max_length=40)
    """What people call it: the button says "Continue with …"."""

    client_id: str | None = Field(None, min_length=1, max_length=255)
    """How it knows this application; `env:NAME?` where the provider is off without it."""

    client_secret: SecretStr | None = None
    """Its secret for this application: `env:NAME`, `env:NAME?` or `file:/path`."""


class Settings(control.Settings, extra="allow"):
    """Providers by name, each a table: `[federated.google]`, `[federated.<name>]` with an issuer."""

    EACH: ClassVar[type[Section] | None] = Provider

    __pydantic_extra__: dict[str, Provider] = Field(init=False)

    @property
    def providers(self) -> dict[str, Provider]:
        """The providers as written, by name."""
        return self.__pydantic_extra__


@dataclass(frozen=True, slots=True)
class Offered:
    """A provider that people may sign in with here and now."""

    name: str
    label: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)


def issuer_of(name: str, provider: Provider) -> str:
    return provider.issuer or _KNOWN.get(name, ("", ""))[0]


def label_of(name: str, provider: Provider) -> str:
    return provider.label or _KNOWN.get(name, ("", name.title()))[1]


def offered(policy: Policy) -> dict[str, Offered]:
    """The providers that are on, by name: with a client id and a secret, or all of them under TESTING."""
    settings = policy.of(Settings)
    if settings.off:
        return {}
    return {
        name: Offered(
            name,
            label_of(name, provider),
            issuer_of(name, provider),
            provider.client_id or "",
            provider.client_secret.get_secret_value() if provider.client_secret else "",
        )
        for name, provider in settings.providers.items()
        if policy.testing or (provider.client_id and provider.client_secret)
    }


def callback(policy: Policy, name: str) -> str:
    """The address that a provider sends the browser back to: of the policy, whatever Host a request
    names (S1-020)."""
    return f"{policy.app.base_url}{policy.pages.prefix}/callback/{name}"


def provider(house: House, offer: Offered) -> oidc.Provider:
    """What this process knows of the issuer, which it asks when it must."""
    known = house.issuers.get(offer.issuer)
    if known is None:
        fresh = oidc.Provider(
            offer.issuer,
            network=outbound.network(house, offer.issuer),
            clock=house.now,
            plain=_plain(house.policy),
        )
        known = house.issuers.setdefault(offer.issuer, fresh)
    return known


def _plain(policy: Policy) -> bool:
    """Whether an issuer on this very machine may be asked in the clear."""
    return not policy.production


# The policy


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    issuers: dict[str, str] = {}
    for name, each in settings.providers.items():
        key = f"federated.{name}"
        issuer = issuer_of(name, each)
        if not _NAME.fullmatch(name):
            yield Conflict(
                key,
                "no name of a provider: it stands in addresses",
                "lower-case letters, digits and -, at most 32, a letter first",
            )
        if not issuer:
            yield Conflict(
                f"{key}.issuer", "not written", 'the provider\'s issuer, e.g. "https://login.example.com"'
            )
        elif not oidc.safe(issuer, plain=_plain(policy)) or "?" in issuer:
            yield Conflict(
                f"{key}.issuer",
                "no issuer: its answers could be forged on the way, or it is no address",
                "an https address without a query; http is for this machine itself, in development",
            )
        elif issuer in issuers:
            yield Conflict(
                f"{key}.issuer",
                f"it is {issuers[issuer]}'s too: one person would be two",
                "one table for each issuer",
            )
        issuers.setdefault(issuer, name)
        yield from _credentials(policy, name, each)


def _credentials(policy: Policy, name: str, each: Provider) -> Iterable[Conflict]:
    """Both or neither, and no secret where everybody reads it."""
    key = f"federated.{name}"
    both = "both of client_id and client_secret; without either the provider is off"
    if each.client_id and not each.client_secret:
        yield Conflict(f"{key}.client_secret", "not set, while client_id is", both)
    if each.client_secret and not each.client_id:
        yield Conflict(f"{key}.client_id", "not set, while client_secret is", both)
    written = _written(policy.written, name)
    if isinstance(written, str) and not _REFERENCE.match(written):
        yield Conflict(
            f"{key}.client_secret", "written out, where everybody reads it", '"env:NAME" or "file:/path"'
        )
    elif each.client_secret and placeholder(each.client_secret.get_secret_value()):
        yield Conflict(f"{key}.client_secret", "a published placeholder", "what the provider gave out")
    if each.client_id and placeholder(each.client_id):
        yield Conflict(f"{key}.client_id", "a published placeholder", "what the provider gave out")


def _written(tables: dict[str, Any], name: str) -> object:
    section = tables.get("federated", {})
    table = section.get(name, {}) if isinstance(section, dict) else {}
    return table.get("client_secret") if isinstance(table, dict) else None


def _start(house: House) -> Iterable[Conflict]:
    """Say which providers are off, and that they are played under TESTING: nobody shall have to guess."""
    policy = house.policy
    on = offered(policy)
    for name, each in policy.of(Settings).providers.items():
        if name not in on:
            log.warning("%s is off: its client_id and client_secret are not set", label_of(name, each))
    if policy.testing and on:
        log.warning("TESTING is set: %s is played, and signs in a test user", ", ".join(sorted(on)))
    return ()


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    if not settings.providers:
        return ["Nobody signs in with an account of another provider."]
    named = ", ".join(
        f"{label_of(name, each)} (`{issuer_of(name, each)}`)"
        for name, each in sorted(settings.providers.items())
    )
    rules = policy.of(signup.Settings)
    role = f"the role `{rules.role}`" if rules.role else "no role"
    made = (
        f"Whoever signs in for the first time gets an account with {role}, whatever the provider says of "
        "him, if the provider vouches for his address (`email_verified`)."
        if rules.open and not rules.off
        else "Only accounts that are linked already sign in this way: nobody can sign up."
    )
    return [
        (
            f"People may sign in with {named}. A provider whose client id and secret are not set is off; "
            "with one of them alone the application does not start."
        ),
        (
            "By the authorization code flow with PKCE (S256), state and nonce, each made for one sign-in and "
            "bound to its browser by a cookie of ten minutes. An answer counts once, whatever comes of it; "
            f"it comes back to `{{BASE_URL}}{policy.pages.prefix}/callback/…` alone."
        ),
        (
            "An id_token is believed if it is signed by a key that the issuer publishes, with an asymmetric "
            "algorithm, and its issuer, audience, nonce and times are those of this sign-in."
        ),
        made,
        (
            "An account is found by provider and subject, never by its address. Another one is linked by its "
            "owner, who has shown just now that it is he; he is told by mail, also when one is unlinked. The "
            "last way to sign in cannot be unlinked."
        ),
        "A second factor is asked for all the same. No token of the provider's is kept.",
    ]


CONTROL = Control(
    name="federated",
    title="Federated sign-in",
    settings=Settings,
    statement=_statement,
    reasons=(STATE, UNTRUSTED, DECLINED, UNAVAILABLE, NOBODY, UNVERIFIED, TAKEN, LINKED, LAST),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    start=_start,
    requirements=(
        "S1-018",
        "S1-019",
        "S1-020",
        "S1-021",
        "S1-022",
        "S1-023",
        "S1-024",
        "S1-025",
        "S1-026",
        "C-09",
        "C-30",
        "C-42",
    ),
    asvs=("6.8.1", "6.8.2", "6.8.4", "10.1.2", "10.2.1", "10.2.2", "10.5.1", "10.5.2", "10.5.3", "10.5.4"),
)
