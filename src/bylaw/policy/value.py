"""The policy as one frozen value: what the application promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from bylaw import toml_lines
from bylaw.control import Below, Settings
from bylaw.policy.sections import Access, App, Mail, Pages, Store

Environment = Literal["production", "development"]


S = TypeVar("S", bound=Settings)


class Unread(LookupError):
    """A section is asked for that could not be read, while the other problems are gathered."""


class Missing:
    """Stands where a section could not be read."""

    def __getattr__(self, name: str) -> Any:
        raise Unread(name)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the application promises, ready to be enforced, probed and printed."""

    file: Path
    environment: Environment
    app: App
    store: Store
    mail: Mail
    pages: Pages
    access: Access
    controls: dict[str, Settings]
    written: dict[str, Any] = field(repr=False)
    """The tables as written (references unresolved), for the document."""
    where: toml_lines.Lines = field(repr=False)
    idle: frozenset[str] = frozenset()
    """Controls that are off because the one that they belong to is: nothing is lost by that."""
    older: dict[str, str] = field(default_factory=dict)
    """Variables that were read by an earlier name, which is in their place here."""
    testing: bool = False
    """Whether TESTING is set: other providers' sign-in is played, and asks nobody. Never in production."""

    @property
    def production(self) -> bool:
        return self.environment == "production"

    def of(self, settings: type[S]) -> S:
        """The settings of a control, by their type."""
        for found in self.controls.values():
            if type(found) is settings:
                return found
        raise Unread(settings.__module__)

    def below_standard(self) -> Iterator[tuple[str, Below, str | None]]:
        """Every value below today's standard: (section, what, because)."""
        for below in self.store.below_standard():
            yield "store", below, None
        for name, settings in self.controls.items():
            for below in () if name in self.idle else settings.below_standard():
                yield name, below, settings.because
