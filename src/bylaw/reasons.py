"""Why a request is refused: a closed set of names that clients, logs and documents share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """A named cause of refusal, e.g. `csrf.cross_site`.

    `code` begins with its control's name; `status` is the HTTP status unless the policy names
    another; `title` is the public sentence (it never varies, RFC 9457 section 3.1.3); `help` tells
    the operator what it means and what to do.
    """

    code: str
    status: int
    title: str
    help: str

    @property
    def control(self) -> str:
        return self.code.partition(".")[0]


class Refused(Exception):
    """Raised by functions that an application or an operation calls directly.

    Nothing can ignore it by forgetting to look at a return value. Adapters and pages turn it into
    the same answer as a refusing verdict.

    `fields` maps a field's name to what is wrong with it: never to the value that was given.
    """

    def __init__(
        self,
        reason: Reason,
        *,
        detail: str = "",
        status: int | None = None,
        fields: Mapping[str, str] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(reason.code)
        self.reason = reason
        self.detail = detail
        self.status = status or reason.status
        self.fields = dict(fields or {})
        self.headers = headers
