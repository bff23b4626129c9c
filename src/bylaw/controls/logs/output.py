"""Where records go: one event is one line, of JSON or of text, on stderr and in a file that rotates."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, Literal

import structlog
from structlog.typing import EventDict, Processor

from bylaw.controls.logs import records, redaction, scrubbing

if sys.platform != "win32":
    import fcntl

LINE: Final = 65_536
"""Characters of a line at most."""
_FIRST: Final = ("timestamp", "level", "logger", "event", "request_id")
_META: Final = frozenset({"_record", "_from_structlog", "_logger", "_name"})
_BAR: Final = "    | "
"""Before each line of a traceback in text: no event begins with it."""


# One line


def formatter(style: Literal["json", "text"]) -> logging.Formatter:
    """Gives records of logging and of structlog the same form."""
    render: Processor = _as_json if style == "json" else _as_text
    return structlog.stdlib.ProcessorFormatter(processors=[_facts, render], keep_exc_info=False)


def _facts(logger: Any, method: str, event: EventDict) -> EventDict:
    """What is known of an event, the same fields first whoever logged it."""
    record: logging.LogRecord = event["_record"]
    stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    facts: EventDict = {
        "timestamp": stamp.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event.get("event", ""),
        "request_id": getattr(record, "request_id", ""),
    }
    more = {k: v for k, v in event.items() if k not in _META and k not in _FIRST and k != "exc_info"}
    facts.update(more)
    for name, value in record.__dict__.items():
        if (
            name not in records.STANDARD
            and name not in _META
            and name not in facts
            and name != records.TRACED
        ):
            facts[name] = value
    given = record.__dict__.get("timestamp") or event.get("timestamp")
    if isinstance(given, str):
        facts["timestamp"] = given
    if getattr(record, records.TRACED, None):
        facts["exception"] = getattr(record, records.TRACED)
    return facts


def _as_json(logger: Any, method: str, facts: MutableMapping[str, Any]) -> str:
    said = _dumped(_plain(facts))
    if len(said) > LINE:
        said = _dumped({name: _plain(facts[name]) for name in _FIRST} | {"cut": len(said)})
    return said


def _as_text(logger: Any, method: str, facts: MutableMapping[str, Any]) -> str:
    """`time LEVEL logger [request] message key=value`, and below it the traceback behind its bars."""
    traced = str(facts.pop("exception", ""))
    stamp, level, name, event, request = (str(facts.pop(key)) for key in _FIRST)
    rest = "".join(f" {redaction.line(str(k))}={_value(v)}" for k, v in facts.items() if k != "stack_info")
    said = f"{stamp} {level.upper():8} {name} [{request or '-'}] {redaction.line(event)}{rest}"[:LINE]
    below = [*str(facts.get("stack_info", "")).splitlines(), *traced.splitlines()]
    return "\n".join([said, *(_BAR + redaction.line(line) for line in below)])


def _value(value: Any) -> str:
    if isinstance(value, str) and value and not set(value) & set(" =\"'"):
        return redaction.line(value)
    return redaction.line(_dumped(_plain(value), ascii_only=False))


def _dumped(value: Any, *, ascii_only: bool = True) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)


def _plain(value: Any, depth: int = 0) -> Any:
    """What JSON can hold of a value that was scrubbed, and so is neither deep nor endless."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, Mapping) and depth < scrubbing.DEPTH + 2:
        return {
            k if isinstance(k, str) else records.printed(k): _plain(v, depth + 1) for k, v in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < scrubbing.DEPTH + 2:
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and value - value == 0:  # neither NaN nor endless
        return value
    return records.printed(value)[: redaction.FIELD]


# Handlers


class Stderr(logging.StreamHandler[Any]):
    """The standard error stream, as it is when something is written: a server may replace it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class File(RotatingFileHandler):
    """A file that begins anew at `max_bytes`, with so many of its predecessors kept.

    Several workers write the same file: each takes a lock for its line, and looks whether another has
    begun a new file since. Without it two that rotate at once lose what the other has kept.
    """

    def __init__(self, file: Path, *, max_bytes: int, backups: int) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = file.with_name(f".{file.name}.lock")
        super().__init__(
            file,
            maxBytes=max_bytes,
            backupCount=backups,
            encoding="utf-8",
            delay=True,
            errors="backslashreplace",
        )

    def _open(self) -> Any:
        # Not for everybody on this machine: addresses of people are in it (C-28).
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding, errors=self.errors)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            with self._alone():
                self._follow()
                super().emit(record)
        except OSError:
            self.handleError(record)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - logging's name
        """Whether the record's line has no room left; logging itself counts letters, not bytes."""
        if self.stream is None:
            self.stream = self._open()
        size = os.fstat(self.stream.fileno()).st_size
        return size > 0 and size + len(self.format(record).encode("utf-8", "replace")) + 1 > self.maxBytes

    def try_out(self) -> None:
        """Raises OSError where nothing can be written."""
        with self._alone():
            self._open().close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if sys.platform == "win32":  # pragma: no cover - where one process writes one file
            yield
            return
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _follow(self) -> None:
        """Go on in the file that another worker has begun."""
        if self.stream is None:
            return
        try:
            there = Path(self.baseFilename).stat()
            mine = os.fstat(self.stream.fileno())
            same = (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
        except OSError:
            same = False
        if not same:
            self.stream.close()
            self.stream = None


def speak(*, level: str, style: Literal["json", "text"], file: File | None) -> None:
    """Give the root logger this level and bylaw's handlers, once. Those of the application stay."""
    root = logging.getLogger()
    root.setLevel(level)
    chatty = logging.getLogger("alembic")  # tells at each start which database it talks to
    if chatty.level == logging.NOTSET:
        chatty.setLevel(logging.WARNING)
    others = [h for h in root.handlers if not isinstance(h, Stderr | File)]
    if not others and not any(isinstance(h, Stderr) for h in root.handlers):
        root.addHandler(Stderr())
    if file is not None and not any(
        isinstance(h, File) and h.baseFilename == file.baseFilename for h in root.handlers
    ):
        root.addHandler(file)
    for handler in root.handlers:
        if isinstance(handler, Stderr | File):
            handler.setFormatter(formatter(style))
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.PositionalArgumentsFormatter(),
                _without_frames,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )


def _without_frames(logger: Any, method: str, event: EventDict) -> EventDict:
    """What structlog calls `exc_info`, as the traceback of every other record."""
    given = event.pop("exc_info", None)
    if given:
        error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else None
        error = error or sys.exc_info()[1]
        if error is not None:
            event["exception"] = records.traced(error)
    return event
