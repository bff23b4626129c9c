"""Mail and addresses: mail leaves once it is true, and an address counts once its owner has said so.

Threat: somebody signs up with another's address, and the owner's click on the mailed link makes the
stranger's password good for it (pre-hijacking; CWE-640); a mail that never leaves, leaves for what was never
kept, or fills a mailbox on a stranger's word (CWE-799); a header or a recipient smuggled in with a name
(CWE-93). Mechanism: mail is written, encrypted, in the transaction of what it announces, and sent by a chore
that tries again until a server has taken it; a link does nothing until whoever opens it is signed in to the
account that it is about; a change of address takes both mailboxes' knowledge. Source: OWASP Email Validation
and Verification; RFC 5321, 3834 and 8314; ASVS 5.0.0 1.3.11, 6.3.7 and 6.3.8; S1-067, C-10.
It does not prove who reads a mailbox: mail is no second factor (NIST SP 800-63B-4 section 3.1.3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.controls.email import probes, sabotages
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.reasons import Reason

LINK = Reason(
    "email.link",
    400,
    "This link does not open anything.",
    "It was used, is too old, a newer one was mailed, or it is about another account than the one that is "
    "signed in; or somebody else has taken the address meanwhile. Sign in and have another mail sent.",
)
SAME = Reason(
    "email.same",
    422,
    "That is the address that the account has already.",
    "The new address is the old one, however it is spelt. Nothing was mailed.",
)


class Settings(control.Settings):
    """How addresses are confirmed, and how much mail one gets."""

    confirm: bool = True
    """Whether somebody who signed up must show that the address is his before he is signed in."""

    lifetime: Duration = Field(86400, ge=300, le=86400)
    """How long a link that confirms an address can be used."""

    per_recipient: int = Field(5, ge=1, le=60)
    """Mails an hour of one kind (with one subject) to one address; what is over is dropped, with a record."""

    def below_standard(self) -> Iterable[Below]:
        if not self.confirm:
            yield Below("confirm", "false", "true", "OWASP Email Validation and Verification")


NOWHERE: Final = "@no-address.invalid"
"""What stands in the place of a mail address where an account has none (RFC 2606: it is nobody's, ever)."""


def unaddressed(user_id: str) -> str:
    """What stands in the place of the address of an account without one."""
    return user_id + NOWHERE


def reachable(address: str) -> bool:
    """Whether there is anywhere that mail for it could go."""
    return not address.endswith(NOWHERE)


def on(policy: Policy) -> bool:
    """Whether people confirm and change their addresses themselves."""
    return not policy.of(Settings).off


def must_confirm(policy: Policy) -> bool:
    """Whether an address counts only once its owner has confirmed it."""
    settings = policy.of(Settings)
    return settings.confirm and not settings.off


def _conflicts(policy: Policy) -> Iterator[Conflict]:
    mail = policy.mail
    if not _is_sender(mail.sender):
        yield Conflict("mail.sender", "is not one address", 'e.g. "MTC <no-reply@mtc.acme.eu>"')
    if mail.server is None:
        return
    parts = _server(mail.server.get_secret_value())
    if parts is None:
        yield Conflict(
            "mail.server", "is not a mail server's address", "smtp://host:587 (STARTTLS) or smtps://host:465"
        )
        return
    name, known = parts.username or mail.user, parts.password or mail.password
    if name and not known:
        yield Conflict(
            "mail.password",
            "is not set, and the mail server wants a login",
            "set SMTP_PASSWORD (mail.password)",
        )
    elif known and not name:
        yield Conflict("mail.user", "is not written, and there is a password to log in with", 'user = "…"')


def _is_sender(text: str) -> bool:
    """Whether mail can come from it: one address, with a name before it or none."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = text
        header = message["From"]
        found = header.addresses if isinstance(header, AddressHeader) else ()
        return len(found) == 1 and bool(found[0].username and found[0].domain) and not header.defects
    except (ValueError, IndexError):
        return False


def _server(url: str) -> SplitResult | None:
    """The parts of a mail server's URL; None where it is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if good else None


def _statement(policy: Policy) -> list[str]:
    settings, mail = policy.of(Settings), policy.mail
    sentences = [
        (
            "Mail is written in the transaction of what it announces, encrypted until it leaves, and tried "
            "for two days; a second copy after an interruption has the same Message-ID and says that it may "
            "be one. What a server refuses for good is given up with a record."
        ),
    ]
    if mail.server is not None:
        implicit = mail.server.get_secret_value().startswith("smtps:")
        how = (
            "TLS from the first byte"
            if implicit
            else "STARTTLS wherever there is a login or the server has it"
        )
        sentences.append(f"It leaves by SMTP with {how}; the certificate is checked.")
    if settings.off:
        return [*sentences, "Addresses are not confirmed, and no address is spared mail."]
    if settings.confirm:
        sentences.append(
            "Whoever signs up is not signed in before the address is confirmed: with a mailed link "
            f"({spoken(settings.lifetime)}, one use, SHA-256 kept) and the account's password. Neither alone "
            "does it, and opening a link changes nothing."
        )
    sentences += [
        (
            "An address changes once a link that was mailed to the new one is opened in a session of the "
            "account. The old one is told when it is asked for and when it happens; all other sessions end."
        ),
        (
            f"One address gets {settings.per_recipient} mails of a kind an hour; what is over that is "
            "dropped with a record."
        ),
    ]
    return sentences


CONTROL = Control(
    name="email",
    title="Mail and addresses",
    settings=Settings,
    statement=_statement,
    reasons=(LINK, SAME),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S1-067", "S1-090", "C-10", "C-40", "C-41"),
    asvs=("1.3.11", "6.3.6", "6.3.7", "6.3.8", "6.6.2"),
)
