"""What a rule of MTC says no with. Each message is one sentence for the person who asked."""

from __future__ import annotations


class MtcError(Exception):
    """Base of all refusals; ``str(error)`` may be shown to the person."""


class MissingError(MtcError):
    """There is no such thing (or not for this person)."""


class ConflictError(MtcError):
    """The request is well-formed but the present state does not allow it."""


class RejectedError(MtcError):
    """A value refers to something that does not exist or does not fit; ``field`` names it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
