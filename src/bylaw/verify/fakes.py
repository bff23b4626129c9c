"""A laboratory's own world: a clock that is turned by hand, a mailbox, and whatever is logged."""

from __future__ import annotations

import logging
from email.contentmanager import ContentManager, raw_data_manager
from email.message import EmailMessage
from email.policy import EmailPolicy


class FakeClock:
    """A clock that stands still until it is turned."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += seconds


_READ = ContentManager()
"""How a laboratory reads mail: of what is there as text and as HTML, `get_content` is the text."""
for _kind in ("text", "message/rfc822", "multipart/alternative"):
    _READ.add_get_handler(
        _kind,
        lambda message, *how, **more: (message.get_body(("plain",)) or message).get_content(
            *how, content_manager=raw_data_manager, **more
        ),
    )


class Mailbox:
    """Takes every message."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    def __call__(self, message: EmailMessage) -> None:
        message.policy = EmailPolicy(content_manager=_READ)
        self.messages.append(message)

    def to(self, address: str) -> list[EmailMessage]:
        return [m for m in self.messages if m["To"] == address]


class Logs(logging.Handler):
    """Everything that is logged, as text with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
