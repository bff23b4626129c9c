"""Time, randomness and mail as arguments: a test hands in its own, nothing reads the globals."""

from __future__ import annotations

import secrets
import smtplib
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit


class Clock(Protocol):
    """The time, as seconds since 1970 (UTC)."""

    def __call__(self) -> float: ...


class Entropy(Protocol):
    """`n` bytes that nobody can guess."""

    def __call__(self, n: int, /) -> bytes: ...


class Mailer(Protocol):
    """Takes a message and returns once somebody else is responsible for it; raises OSError."""

    def __call__(self, message: EmailMessage, /) -> None: ...


@dataclass(frozen=True, slots=True)
class DirectoryMailer:
    """Writes every message as a file `.eml`, for development."""

    directory: Path

    def __call__(self, message: EmailMessage) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        (self.directory / f"{stamp}-{secrets.token_hex(4)}.eml").write_bytes(message.as_bytes())


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """Sends over SMTP: `smtp://user:password@host:587` with STARTTLS, `smtps://host:465`."""

    url: str = field(repr=False)

    def __call__(self, message: EmailMessage) -> None:
        parts = urlsplit(self.url)
        host = parts.hostname or "localhost"
        secure = parts.scheme == "smtps"
        port = parts.port or (465 if secure else 587)
        context = ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(host, port, timeout=20, context=context)
            if secure
            else smtplib.SMTP(host, port, timeout=20)
        ) as server:
            if not secure:
                server.ehlo()
                # A password never goes in the clear, whatever somebody on the line left out.
                if parts.username or server.has_extn("starttls"):
                    server.starttls(context=context)
                    server.ehlo()
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)


def _nowhere(message: EmailMessage) -> None:
    raise OSError("no mail server is configured ([mail] server)")


@dataclass(frozen=True, slots=True)
class Ports:
    """The world as one value. `mail` is replaced by what the policy's [mail] names."""

    clock: Clock = time.time
    entropy: Entropy = secrets.token_bytes
    mail: Mailer | None = None
    database: str | None = field(default=None, repr=False)
    """A laboratory's database, in the place of the one that the policy names."""
    counters: str | None = field(default=None, repr=False)
    """Where a laboratory counts requests (`memory`, or a URL), in the place of what the policy names."""
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    """A laboratory's environment, in the place of the process's."""

    def mailer(self, configured: Mailer | None) -> Mailer:
        return self.mail or configured or _nowhere


_current: ContextVar[Ports] = ContextVar("bylaw_ports")


def ports() -> Ports:
    """The ports that an application constructed here and now gets."""
    return _current.get(Ports())


@contextmanager
def using(**changes: object) -> Iterator[Ports]:
    """Give applications constructed inside the block other ports (a laboratory's clock, mailbox)."""
    changed = replace(ports(), **changes)  # type: ignore[arg-type]
    token = _current.set(changed)
    try:
        yield changed
    finally:
        _current.reset(token)
