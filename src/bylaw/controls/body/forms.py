"""Multipart forms: what they may bring, by the route that they are for. Those that may bring no file are
looked through before the application runs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from bylaw.controls import uploads
from bylaw.controls.body import streams
from bylaw.exchange import ALLOW, BLOCK, Deciding, Peek
from bylaw.policy import Policy
from bylaw.reasons import Refused
from bylaw.routes import Taking

if TYPE_CHECKING:
    from bylaw.controls.body import Rule, Rules, Settings

_QUICK: Final = 32 * 1024
"""Bytes that are looked through on the event loop, in a millisecond or two; the rest goes to a worker."""


class Forms:
    """What multipart forms may bring, by the route that they are for."""

    def __init__(self, policy: Policy, rules: Rules, settings: Settings) -> None:
        self._settings = settings
        self._uploads = policy.of(uploads.Settings)
        self._rules = rules

    def files(self, taking: Taking | None) -> streams.Files | None:
        """The files that may be in one; None where none may."""
        if self._uploads.off:
            return streams.Files(None, sys.maxsize, sys.maxsize)
        if taking is None:
            return None
        fields = frozenset(field.encode() for field in taking.fields)
        return streams.Files(fields, taking.most, self._uploads.size)

    def meter(self, boundary: bytes, rule: Rule, length: int | None, taking: Taking | None) -> streams.Form:
        settings = self._settings
        return streams.Form(
            boundary,
            rule.size if taking is None else self._rules.with_files(taking),
            length,
            parts=settings.parts,
            text=rule.form,
            files=self.files(taking),
        )


def looked_through(form: streams.Form) -> Deciding:
    """Look through a form that may bring no file, before anybody acts on it: whether or not the application
    would have read it, a file is refused. It is at most as long as the JSON that is taken there."""
    seen = 0
    while form.refused is None:
        body, complete = yield Peek(max(2 * seen, _QUICK))
        try:
            if len(body) > seen:
                form.take(body[seen:])
            if complete or len(body) == seen:
                form.take(b"")
                return ALLOW
        except Refused:
            break
        seen = len(body)
        yield BLOCK
    return ALLOW if form.refused is None else form.refused
