"""The three kinds of failure, told apart by who can mend them.

A refusal of a request is not among them: that is a verdict with a reason (`bylaw.reasons`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps a policy from being kept.

    `where` is `file:line`, a variable's name or a route; `what` the key as found; `why` what it
    would lead to; `accepted` what to write instead. None of them ever carries a secret's value.
    """

    where: str
    what: str
    why: str
    accepted: str = ""

    def __str__(self) -> str:
        lines = [f"{self.where}  {self.what}" if self.where else self.what]
        lines += [f"    {line}" for line in (self.why, self.accepted) if line]
        return "\n".join(lines)


class PolicyError(Exception):
    """The operator's: the policy, its secrets or the routes cannot be kept; nothing was started.

    `subject` is the sentence above the problems.
    """

    def __init__(self, subject: str, problems: Iterable[Problem]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        super().__init__(str(self))

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.subject} ({count} problem{'s' if count != 1 else ''})"
        body = "\n".join("  " + str(problem).replace("\n", "\n  ") for problem in self.problems)
        return f"{head}\n\n{body}\n"


class MisuseError(Exception):
    """The developer's: bylaw was called in a way that would make a promise untrue."""


class StoreError(Exception):
    """The world's: the database, a queue or another process did not do its part."""
