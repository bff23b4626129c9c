"""What a control decides, and what it may need to decide."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bylaw.errors import MisuseError
from bylaw.reasons import Reason

if TYPE_CHECKING:
    from bylaw.exchange.request import Exchange


class Verdict:
    """What a control decides. Never true or false: a verdict must be matched, not tested."""

    __slots__ = ()

    def __bool__(self) -> bool:
        raise MisuseError("a verdict has no truth value: match Allow, Refuse or Answer")


class Allow(Verdict):
    """Let the exchange pass to the next step."""

    __slots__ = ()


ALLOW: Final = Allow()


@dataclass(frozen=True, slots=True)
class Refuse(Verdict):
    """Stop here, for a named reason. `status` where the policy names another than the reason."""

    reason: Reason
    detail: str = ""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Response:
    """A whole response: status, header pairs, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Answer(Verdict):
    """Stop here: the control itself answers (an account page, a preflight)."""

    response: Response


class Block:
    """A need: what follows waits for a database, a hash or the network.

    A WSGI adapter goes on; an ASGI adapter goes on in a worker thread.
    """

    __slots__ = ()


BLOCK: Final = Block()


@dataclass(frozen=True, slots=True)
class Peek:
    """A need: the first `limit` bytes of the body, which the application will read again.

    The adapter sends back (bytes, whether that was all of it).
    """

    limit: int


@dataclass(frozen=True, slots=True)
class Read:
    """A need: the whole body, at most `limit` bytes; the adapter sends None when it is longer."""

    limit: int


Need = Block | Peek | Read
Deciding = Generator[Need, Any, Verdict]
"""A step that could not decide from memory: it yields what it needs and returns its verdict."""

Step = Callable[["Exchange"], "Verdict | Deciding"]
"""A step of the gate: pure, it returns a verdict; in need of something, it returns a Deciding."""


def idle(exchange: Exchange) -> Verdict:
    """The step of a control that has nothing to do by this policy. The gate leaves it out."""
    return ALLOW


Build = TypeVar("Build", bound=Callable[..., Step])


def for_unsafe(build: Build) -> Build:
    """Mark what builds a step that looks at unsafe requests alone: the gate spares the others the call."""
    build.unsafe_only = True  # type: ignore[attr-defined]
    return build
