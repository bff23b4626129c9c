"""How the policy has passwords kept: by which hash, at which cost, under which pepper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from bylaw import hashing
from bylaw.hashing import Peppers

if TYPE_CHECKING:
    from bylaw.controls.passwords import Settings


def scheme(settings: Settings) -> hashing.Scheme:
    """How new passwords are kept."""
    if settings.hash == "argon2id":
        made: hashing.Scheme = hashing.Argon2id(settings.argon2_memory // 1024, settings.argon2_passes)
    else:
        made = hashing.SCHEMES[settings.hash]()
    keys = peppers(settings)
    return hashing.Peppered(made, keys) if keys else made


def peppers(settings: Settings) -> Peppers:
    """The policy's peppers, the current one first."""
    keys = [secret.get_secret_value().strip().encode() for _, secret in named_peppers(settings)]
    return Peppers(keys, current=settings.pepper is not None)


def named_peppers(settings: Settings) -> list[tuple[str, SecretStr]]:
    """The same as they are written, each with its key in the policy."""
    current = [] if settings.pepper is None else [("passwords.pepper", settings.pepper)]
    earlier = [(f"passwords.previous_peppers.{i}", s) for i, s in enumerate(settings.previous_peppers)]
    return [*current, *earlier]


def described(settings: Settings) -> str:
    """Hash, cost and pepper, in words."""
    kept = {
        "argon2id": f"Argon2id (m={settings.argon2_memory // 1024**2} MiB, t={settings.argon2_passes}, p=1)",
        "pbkdf2-sha256": f"PBKDF2-SHA256 ({hashing.PBKDF2_ROUNDS:,} rounds, Werkzeug's format)",
    }[settings.hash]
    return f"{kept} under a pepper, a key that the database does not hold" if settings.pepper else kept
