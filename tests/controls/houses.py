"""A policy at work without a framework: what the tables on a control's steps ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bylaw import policy as policies
from bylaw.controls import CONTROLS
from bylaw.errors import PolicyError
from bylaw.exchange import Block, Exchange, PairHeaders, Peek, Read, Verdict
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.ports import Ports
from bylaw.site import build
from bylaw.verify.fakes import FakeClock

OWN = "https://app.lab"
ENVIRON = {
    "BASE_URL": OWN,
    "SECRET_KEY": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


@dataclass(frozen=True)
class Builder:
    """Policies and houses from a text, with a database in `folder`."""

    folder: Path

    def policy(self, text: str = "", **environ: str) -> Policy:
        file = self.folder / "bylaw.toml"
        file.write_text(text, "utf-8")
        database = f"sqlite:///{self.folder / 'house.db'}"
        return policies.load(file, CONTROLS, {**ENVIRON, "DATABASE_URL": database, **environ})

    def house(self, text: str = "", **environ: str) -> House:
        return build(self.policy(text, **environ), Ports(clock=FakeClock()))

    def refusal(self, text: str, **environ: str) -> str:
        """What a start with this policy is refused with; empty when it is not."""
        try:
            self.policy(text, **environ)
        except PolicyError as error:
            return str(error)
        return ""


def exchange(method: str = "POST", path: str = "/", *pairs: tuple[str, str], **how: Any) -> Exchange:
    """A request with these header fields."""
    return Exchange(method=method, path=path, headers=PairHeaders(pairs), **how)


def given(**headers: str | None) -> Iterable[tuple[str, str]]:
    """Header fields from keywords; None leaves one out."""
    return [(k.replace("_", "-"), v) for k, v in headers.items() if v is not None]


def decided(step: Any, asked: Exchange, body: bytes = b"") -> Verdict:
    """The verdict of a step that may need the body; it is read as an adapter would read it."""
    deciding = step(asked)
    if isinstance(deciding, Verdict):
        return deciding
    answer: Any = None
    try:
        while True:
            match deciding.send(answer):
                case Block():
                    answer = None
                case Peek(limit):
                    answer = (body[:limit], len(body) <= limit)
                case Read(limit):
                    answer = body if len(body) <= limit else None
    except StopIteration as done:
        verdict: Verdict = done.value
        return verdict
