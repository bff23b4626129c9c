"""Time, randomness, mail and the network as arguments: a test hands in its own, nothing reads the globals."""

from __future__ import annotations

import secrets
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol
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


class Refusal(OSError):
    """A server's answer that another try will not change: this message is for nobody there, or not taken."""


class Deferred(OSError):
    """A server's answer that it does not take this message now, though it may take others."""


class Unanswered(OSError):
    """The whole message was sent, and no answer came: it may have arrived."""


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """Sends over SMTP: `smtp://host:587` with STARTTLS, `smtps://host:465` (RFC 5321, 3207, 8314).

    `user` and `password` may stand in the URL as well. Raises Refusal where another try is of no use,
    Deferred where this message has to wait, Unanswered where it may have arrived, and OSError where the
    server cannot be used now.
    """

    url: str = field(repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    seconds: float = 20.0
    """How long the server may take for each answer."""

    def __call__(self, message: EmailMessage) -> None:
        server = self._connected()
        try:
            self._hand_over(server, message)
            # What comes after the server has taken the message is no reason to send it again.
            with suppress(OSError):
                server.quit()
        finally:
            server.close()

    def _connected(self) -> smtplib.SMTP:
        parts = urlsplit(self.url)
        host, secure = parts.hostname or "localhost", parts.scheme == "smtps"
        port = parts.port or (465 if secure else 587)
        user, password = unquote(parts.username or "") or self.user, unquote(parts.password or "")
        context = ssl.create_default_context()
        # Named, since a machine that does not know its own name would ask the network for it.
        how: dict[str, Any] = {"timeout": self.seconds, "local_hostname": "localhost"}
        server = (
            smtplib.SMTP_SSL(host, port, context=context, **how)
            if secure
            else smtplib.SMTP(host, port, **how)
        )
        try:
            server.ehlo_or_helo_if_needed()
            # A password never goes in the clear, whatever somebody on the line left out.
            if not secure and (user or server.has_extn("starttls")):
                server.starttls(context=context)
                server.ehlo()
            if user:
                server.login(user, password or self.password)
        except BaseException:
            server.close()
            raise
        return server

    @staticmethod
    def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> None:
        """The conversation about one message, step by step: what a failure means depends on where it is."""
        sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
        code, said = server.mail(sender)
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, said, sender)
        code, said = server.rcpt(recipient)
        if code not in (250, 251):
            raise _refusal(code)
        try:
            code, said = server.data(message.as_bytes(policy=message.policy.clone(linesep="\r\n")))
        except smtplib.SMTPDataError as error:  # no 354: nothing was sent
            raise _refusal(error.smtp_code) from None
        except OSError as error:
            raise Unanswered(type(error).__name__) from error
        if code != 250:
            raise _refusal(code)


def _refusal(code: int) -> OSError:
    """What an answer to a recipient or a message means (RFC 5321 section 4.2.1): 5xx is for good. 530, 535
    and the like are about the login, which the operator mends, and 421 ends the conversation."""
    text = f"the mail server said {code}"
    if 500 <= code < 600 and code not in (530, 534, 535, 538):
        return Refusal(text)
    return Deferred(text) if 400 <= code < 500 and code != 421 else OSError(text)


def nowhere(message: EmailMessage) -> None:
    """The mailer of a policy that names none: whatever is mailed waits."""
    raise OSError("no mail server is configured ([mail] server)")


@dataclass(frozen=True, slots=True)
class Received:
    """What another server answered: its status, the body's media type and the body."""

    status: int
    kind: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    url: str = ""
    """Who answered: another address than was asked, where redirects were followed."""

    def header(self, name: str) -> str:
        """The first field of this name, in whatever case; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Network(Protocol):
    """Asks somebody else's server once, following no redirect. Raises OSError.

    `limit` is how many bytes of a body are taken at most.
    """

    def __call__(
        self,
        method: str,
        url: str,
        /,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int = 65_536,
    ) -> Received: ...


class Resolver(Protocol):
    """The addresses that a name leads to, as text. Raises OSError."""

    def __call__(self, host: str, port: int, /) -> list[str]: ...


def resolved(host: str, port: int) -> list[str]:
    """As the system says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(address[0]) for *_, address in found]


class Dialler(Protocol):
    """A connection to an address, which is no name, within `seconds`. Raises OSError."""

    def __call__(self, address: str, port: int, seconds: float, /) -> socket.socket: ...


def dialled(address: str, port: int, seconds: float) -> socket.socket:
    """By TCP."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.settimeout(seconds)
        made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return made


@dataclass(frozen=True, slots=True)
class Ports:
    """The world as one value. `mail` and `network` are what the policy names, unless they are given."""

    clock: Clock = time.time
    entropy: Entropy = secrets.token_bytes
    mail: Mailer | None = None
    network: Network | None = None
    """A laboratory's network, in the place of the guarded client of bylaw.outbound."""
    resolver: Resolver = resolved
    """Where names lead."""
    dial: Dialler = dialled
    """How an address is connected to."""
    database: str | None = field(default=None, repr=False)
    """A laboratory's database, in the place of the one that the policy names."""
    counters: str | None = field(default=None, repr=False)
    """Where a laboratory counts requests (`memory`, or a URL), in the place of what the policy names."""
    files: str | None = None
    """Where a laboratory keeps files (a directory), in the place of what the policy names."""
    scanner: Callable[[str, float], socket.socket] | None = None
    """How a laboratory reaches a malware scanner (its address, seconds), in the place of the network."""
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    """A laboratory's environment, in the place of the process's."""

    def mailer(self, configured: Mailer | None) -> Mailer:
        return self.mail or configured or nowhere


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
