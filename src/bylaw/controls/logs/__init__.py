"""Logs: what happened can be found by the request's id, and holds no secret and no forged line.

Threat: a password, a token or a person's data in a file that many may read (CWE-532); a line break in a
user name that writes an entry of its own (CWE-117); a flood that pushes out what matters (CWE-779).
Mechanism: every record is cleaned before any handler sees it, handlers that an application adds later
too: secrets by their name and by their shape, errors' texts with their causes, and whatever this policy
took from the environment. Source: OWASP Logging, ASVS 5.0.0 16.1 to 16.4; S1-105 to S1-110; C-14, C-28.
It does not see what is printed, or written by a process of its own: a web server's access log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field, SecretStr

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls.logs import output, probes, records, redaction, sabotages
from bylaw.controls.logs.scrubbing import scrub
from bylaw.exchange import ALLOW, Exchange, HeaderNames, Step, Verdict, idle
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.quantities import Size, weighed

__all__ = ["CONTROL", "Settings", "install", "scrub", "uninstall"]

WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""What may be the id of a request that somebody else has made up: it stands in headers, files, mails."""


class Settings(control.Settings):
    """What is logged, where to, and for how long."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is logged at least. No level shows a secret."""

    format: Literal["json", "text"] = "json"
    """JSON for programs, one object a line; text for people."""

    file: str | None = Field(None, min_length=1, examples=["logs/app.log"])
    """A file for all of it, besides stderr; its folder is made."""

    max_bytes: Size = Field(10 * 1024**2, ge=10_000)
    """The file's size at which a new one is begun."""

    backups: int = Field(5, ge=1, le=1_000)
    """How many earlier files are kept: `app.log.1` is the newest."""

    request_id_header: str | None = Field(None, pattern=r"^[A-Za-z0-9-]+$", examples=["X-Request-Id"])
    """A header whose id a request is logged under, where it is well-formed; a proxy's, which drops its
    clients' own. Otherwise each request gets one here."""


# Installing


def install(house: House) -> None:
    """Have every record of this process cleaned from now on, and this policy's secrets known."""
    if house.policy.of(Settings).off:
        return
    records.attach()
    records.again()
    redaction.know(id(house), secrets_of(house.policy))


def uninstall(house: House) -> None:
    """Forget this policy's secrets. Records go on being cleaned."""
    redaction.forget(id(house))


def _start(house: House) -> Iterable[Conflict]:
    """Write the log, in a process that serves. A laboratory writes none, a command's is its terminal."""
    settings = house.policy.of(Settings)
    if house.ports.database is not None:
        return
    try:
        file = file_of(settings)
        if file is not None:
            file.try_out()
    except OSError as error:
        yield Conflict(
            "logs.file",
            f"it cannot be written ({error.strerror})",
            "a file in a folder that this process may write to, or leave it out and take what stderr has",
        )
        return
    output.speak(level=settings.level, style=settings.format, file=file)


def file_of(settings: Settings, folder: Path | None = None) -> output.File | None:
    """The rotating file that the policy names, below `folder` where it is not absolute."""
    if settings.file is None:
        return None
    place = (folder or Path.cwd()) / settings.file
    return output.File(place, max_bytes=settings.max_bytes, backups=settings.backups)


def secrets_of(policy: Policy) -> Iterator[str]:
    """Every secret that the policy took from somewhere, and the passwords inside of addresses."""
    for section in (policy.app, policy.store, policy.mail, policy.pages, *policy.controls.values()):
        for secret in _secrets(section):
            try:
                password = urlsplit(secret).password
            except ValueError:
                password = secret
            if "://" not in secret or password is not None:  # an address without a password is none
                yield from {secret, password or secret, unquote(password or secret)}


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _secrets(each)


# A request


def _arrive(house: House) -> Step:
    """Take the id that the policy's header brings, where it is one."""
    header = house.policy.of(Settings).request_id_header
    if header is None:
        return idle  # no id is taken from anybody
    name, names = header.lower(), HeaderNames(header.lower())

    def step(exchange: Exchange) -> Verdict:
        if not exchange.headers.lack(names):
            given = exchange.headers.all(name)
            if len(given) == 1 and well_formed(given[0]):
                exchange.request_id = given[0]
        return ALLOW

    return step


def well_formed(given: str) -> bool:
    return WELL_FORMED.fullmatch(given) is not None


# The policy


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    header = (settings.request_id_header or "").lower()
    if header and redaction.is_secret(header):
        yield Conflict(
            "logs.request_id_header",
            "a secret would be every line's id",
            'a header of its own: "X-Request-Id"',
        )


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    where = "stderr"
    if settings.file is not None:
        where = (
            f"stderr and `{settings.file}`, which begins anew at {weighed(settings.max_bytes)} and keeps "
            f"{settings.backups} earlier files"
        )
    form = "a line of JSON" if settings.format == "json" else "a line of text"
    taken = "is given here"
    if settings.request_id_header is not None:
        taken = f"is the one in `{settings.request_id_header}` where it is well-formed, else given here"
    return [
        f"Each event is {form}, from {settings.level} upwards, written to {where}.",
        (
            "Passwords, tokens, keys, cookies and connection strings are masked in every record before any "
            "handler sees it, by name, by shape and by value: in messages, fields, errors and their causes. "
            "Tracebacks hold no local variables."
        ),
        (
            "Mail addresses, telephone, card and account numbers are shortened. Clients' addresses are "
            "logged as they are, and kept as long as the files."
        ),
        f"Every line of a request bears its id, which the answer names (`X-Request-Id`) and {taken}.",
        (
            "Signing in and failing to is logged with user id, client address and time (UTC), and never with "
            "the name that was typed."
        ),
        (
            "Line breaks and control characters are spelled out, fields and lines have a longest length, "
            f"and a message of bylaw's own is written {records.A_MINUTE} times a minute at most; the rest is "
            "counted."
        ),
    ]


CONTROL = Control(
    name="logs",
    title="Logs",
    settings=Settings,
    statement=_statement,
    steps={"arrive": _arrive},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    start=_start,
    requirements=(
        *(f"S1-{number}" for number in (105, 106, 107, 108, 109, 110, 134)),
        "S2-040",
        *(f"S3-0{number}" for number in (36, 37, 38, 39, 56, 70)),
        "C-14",
        "C-26",
        "C-28",
    ),
    asvs=("16.1.1", "16.2.3", "16.2.4", "16.2.5", "16.4.1"),
)
