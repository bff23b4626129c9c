"""Settings of passwords that cannot be kept, or that contradict other controls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bylaw import hashing
from bylaw.control import Conflict
from bylaw.controls import secrets
from bylaw.controls.passwords import keeping
from bylaw.oidc import safe
from bylaw.policy import Policy
from bylaw.quantities import weighed

if TYPE_CHECKING:
    from bylaw.controls.passwords import Settings


def found(policy: Policy, settings: Settings) -> Iterable[Conflict]:
    """Values that lock everybody out, are below the minimum, or keep no secret."""
    if settings.off:
        if not _other_ways(policy):
            yield Conflict(
                "passwords.off",
                "nobody could sign in: there are neither access tokens nor other providers",
                "leave the key out, or tokens.sign_in = true, or a provider in [federated]",
            )
        return
    if settings.min_length_with_second_factor > settings.min_length:
        yield Conflict(
            "passwords.min_length_with_second_factor",
            "more than min_length: a second factor would ask for a longer password",
            f"{settings.min_length} or less",
        )
    mebibytes = -(-settings.argon2_memory // 1024**2)
    if settings.hash == "argon2id" and hashing.weak(settings.argon2_memory // 1024, settings.argon2_passes):
        equal = ", ".join(f"{kib // 1024}MB with {n}" for kib, n in hashing.ARGON2_LEAST)
        yield Conflict(
            "passwords.argon2_memory",
            f"{weighed(settings.argon2_memory)} with {settings.argon2_passes} passes: below OWASP's minimum",
            f"at least one of {equal}",
        )
    if settings.hash == "argon2id" and mebibytes > settings.memory:
        yield Conflict(
            "passwords.memory", f"has no room for one hash of {mebibytes} MiB", f"{mebibytes} or more"
        )
    yield from _unsafe_peppers(policy, settings)
    if settings.looks_up and not _private(settings.breach_lookup):
        yield Conflict(
            "passwords.breach_lookup",
            "no address of a service that may be asked",
            '"off", or e.g. "https://api.pwnedpasswords.com/range/"',
        )


def _other_ways(policy: Policy) -> bool:
    """Whether somebody without a password gets in. Passkeys alone do not count: who sets up the first one is
    signed in already."""
    by_name = policy.controls
    tokens, providers = by_name.get("tokens"), by_name.get("federated")
    return bool(
        (tokens is not None and not tokens.off and getattr(tokens, "sign_in", False))
        or (providers is not None and not providers.off and getattr(providers, "providers", None))
    )


def _unsafe_peppers(policy: Policy, settings: Settings) -> Iterable[Conflict]:
    seen = set(secrets.ring(policy))
    for key, secret in keeping.named_peppers(settings):
        value = secret.get_secret_value().strip()
        weak = secrets.weakness(value)
        if weak is not None:
            yield Conflict(key, weak, "make one: bylaw secrets new")
        elif value.encode() in seen:
            yield Conflict(key, "the application's secret, or another pepper", "a secret of its own for each")
        seen.add(value.encode())


def _private(url: str) -> bool:
    """Whether nobody on the way to the service can listen, or answer in its place."""
    return safe(url, plain=True) and "?" not in url
