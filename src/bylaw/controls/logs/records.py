"""What happens to a log record before any handler sees it, whoever has added the handler.

The one place that all of them share is `Logger.callHandlers`: a filter on a logger does not see what
its children log, a filter on a handler is missing on the next one, and a record factory is called
before `extra=` is there. Error reporters hook in at the same place (Sentry's `LoggingIntegration`).
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Final

from bylaw.controls.logs import redaction, scrubbing
from bylaw.exchange import current

MESSAGE: Final = 8_192
"""Characters of a message at most."""
TRACE: Final = 32_768
"""Characters of a traceback at most."""
A_MINUTE: Final = 60
"""How often one message of bylaw's own is written in a minute; what comes after is counted."""
_MESSAGES: Final = 1_000
_CHAIN: Final = 10
"""Causes of causes, and errors of a group, that are followed."""
STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""The names that every record has: what else it has, somebody gave it by `extra=`."""
TRACED: Final = "bylaw_traceback"
"""Where a record's traceback stands as text, for bylaw's own handlers."""

_through = logging.Logger.callHandlers
_lock: Final = threading.Lock()
_seen: dict[tuple[object, ...], list[float]] = {}
"""By message: when its minute began, and how often it came since."""


def attach() -> None:
    """Have every record of this process pass here, once."""
    if not getattr(logging.Logger.callHandlers, "bylaw", False):
        logging.Logger.callHandlers = _call_handlers  # type: ignore[method-assign]


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    if admit(record):
        clean(record)
        _through(self, record)


_call_handlers.bylaw = True  # type: ignore[attr-defined]


# How often


def admit(record: logging.LogRecord) -> bool:
    """Whether this record is written. A thousand alike say no more than sixty and their number do."""
    if not record.name.startswith("bylaw."):
        return True
    key = (record.name, record.msg if isinstance(record.msg, str) else "", _whence(record.exc_info))
    with _lock:
        if len(_seen) >= _MESSAGES:
            _seen.clear()
        known = _seen.get(key)
        if known is None or not 0 <= record.created - known[0] < 60:
            _seen[key] = [record.created, 1]
            if known is not None and known[1] > A_MINUTE:
                _add(record, f"({known[1] - A_MINUTE:.0f} more like this since it was last written)")
            return True
        known[1] += 1
        if known[1] == A_MINUTE:
            _add(record, "(more like this are counted for the rest of the minute)")
        return known[1] <= A_MINUTE


def again() -> None:
    """Begin to count anew."""
    with _lock:
        _seen.clear()


def _whence(exc_info: Any) -> object:
    """The kind of an error and the line that raised it: another cause is another message."""
    if not exc_info or exc_info[2] is None:
        return None
    last: TracebackType = exc_info[2]
    while last.tb_next is not None:
        last = last.tb_next
    return exc_info[0], last.tb_frame.f_code, last.tb_lineno


def _add(record: logging.LogRecord, words: str) -> None:
    record.msg = f"{record.msg} {words}"


# What is in it


def clean(record: logging.LogRecord) -> None:
    """Mask secrets and line breaks in a record, with all that hangs on it. Never raises."""
    try:
        _name_request(record)
        _clean_message(record)
        for name in [name for name in record.__dict__ if name not in STANDARD and name != "request_id"]:
            record.__dict__[name] = _extra(name, record.__dict__[name])
        if record.stack_info:
            record.stack_info = _lines(record.stack_info)
        if record.exc_text and not record.exc_info:
            record.exc_text = _lines(record.exc_text)
        if record.exc_info:
            _clean_error(record)
    except Exception as error:  # noqa: BLE001 - what cannot be made safe is not written
        for name in [name for name in record.__dict__ if name not in STANDARD]:
            del record.__dict__[name]
        record.msg = f"a record is not shown, it could not be made safe: {type(error).__name__}"
        record.args, record.exc_info, record.exc_text, record.stack_info = (), None, None, None
        record.request_id = ""


def _name_request(record: logging.LogRecord) -> None:
    """Every record bears the request that it was made in, so that any format may show it."""
    given = getattr(record, "request_id", None)
    if not isinstance(given, str):
        exchange = current()
        given = "" if exchange is None else exchange.request_id
    record.request_id = redaction.line(given[:64])


def message(text: str) -> str:
    return redaction.line(redaction.text(text, MESSAGE))


def _clean_message(record: logging.LogRecord) -> None:
    if isinstance(record.msg, Mapping) and not record.args:
        # structlog's event, not rendered yet
        trace = record.msg.get("exception")
        record.msg = scrubbing.scrub(record.msg)
        if isinstance(trace, str) and isinstance(record.msg, dict):
            record.msg["exception"] = _lines(trace)
        return
    try:
        whole = record.getMessage()
    except Exception:  # noqa: BLE001 - wrong arguments: the handler would print them as they are
        whole = f"{printed(record.msg)} {printed(record.args)}"
        record.msg, record.args = message(whole), ()
        return
    said = message(whole)
    args = record.args
    if args:
        args = scrubbing.scrub(args) if isinstance(args, Mapping) else tuple(map(_argument, args))
    if said == whole:
        # The arguments are kept: a server's own format of its access log asks for each of them.
        record.args = args
        return
    if args and _formatted(record.msg, args) == said:
        record.args = args
        return
    record.msg, record.args = said, ()


def _argument(value: Any) -> Any:
    value = scrubbing.scrub(value)
    return redaction.line(value) if isinstance(value, str) else value


def _formatted(text: Any, args: Any) -> str | None:
    try:
        said: str = str(text) % args
    except Exception:  # noqa: BLE001 - a masked number is no number
        return None
    return said


def _extra(name: str, value: Any) -> Any:
    value = scrubbing.scrub(value, name)
    return redaction.line(value) if isinstance(value, str) else value


def printed(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - whatever an object's own text raises
        return f"({type(value).__name__} is not shown: {type(error).__name__})"


def _lines(text: str) -> str:
    """Several lines that the program itself has laid out, such as a traceback."""
    if len(text) > TRACE:
        text = f"{text[: TRACE // 4]}\n… {len(text)} characters …\n{text[-TRACE // 2 :]}"
    return "\n".join(redaction.line(redaction.text(line)) for line in text.split("\n"))


# Errors


def _clean_error(record: logging.LogRecord) -> None:
    """A stand-in for an error, and its traceback as text: no frame, and so no local variable, is handed
    on; what the error says is masked and one line, with its notes, its causes and those of its group."""
    kind, error, trace = record.exc_info or (None, None, None)
    if error is None:
        record.exc_info = None
        return
    stand_in = _stand_in(error, trace, {}, 0)
    record.exc_text = _shown(stand_in)
    record.exc_info = (kind or type(error), stand_in, None)
    setattr(record, TRACED, record.exc_text)


def traced(error: BaseException) -> str:
    """The traceback of an error as it may be logged."""
    return _shown(_stand_in(error, error.__traceback__, {}, 0))


def _shown(stand_in: BaseException) -> str:
    try:
        return _lines("".join(traceback.format_exception(stand_in)).rstrip("\n"))
    finally:
        _forget_frames(stand_in, set())


def _stand_in(
    error: BaseException, trace: TracebackType | None, made: dict[int, BaseException], depth: int
) -> BaseException:
    if id(error) in made:
        return made[id(error)]
    copy = _copy(error, made, depth)
    made[id(error)] = copy
    copy.__traceback__ = trace
    for note in list(getattr(error, "__notes__", ()))[:_CHAIN]:
        copy.add_note(message(printed(note)))
    if depth < _CHAIN:
        for name in ("__cause__", "__context__"):
            other = getattr(error, name)
            if other is not None:
                setattr(copy, name, _stand_in(other, other.__traceback__, made, depth + 1))
    copy.__suppress_context__ = error.__suppress_context__  # a cause that is set would set it
    return copy


def _copy(error: BaseException, made: dict[int, BaseException], depth: int) -> BaseException:
    said = message(printed(error))
    if isinstance(error, BaseExceptionGroup):
        return _group(error, made, depth)
    try:
        original: Any = type(error)
        kind: Any = _class_of(original)
        copy: BaseException = kind.__new__(kind)
        copy.args = (said,)
        if str(copy) == said:
            return copy
    except Exception:  # noqa: BLE001, S110 - a class that cannot be made like that is named in the text
        pass
    return RuntimeError(f"{type(error).__qualname__}: {said}")


def _group(error: BaseExceptionGroup[Any], made: dict[int, BaseException], depth: int) -> BaseException:
    inner: list[Any] = [Exception("…")]
    if depth < _CHAIN:
        inner = [_stand_in(e, e.__traceback__, made, depth + 1) for e in error.exceptions[:_CHAIN]]
    return BaseExceptionGroup(message(printed(error.message)), inner)  # an ExceptionGroup where it may be


@lru_cache(maxsize=256)
def _class_of(kind: Any) -> type[BaseException]:
    """A class that is called like `kind` and is one, and shows its text alone."""
    name, module = kind.__qualname__, kind.__module__
    shown = {
        "__str__": lambda self: str(self.args[0]),
        "__repr__": lambda self: f"{name}({self.args[0]!r})",
        "__init__": lambda self, *args, **kwargs: None,
        "__module__": module,
        "__qualname__": name,
    }
    # traceback asks a SyntaxError for its file and its line, which a stand-in does not have.
    base = Exception if issubclass(kind, SyntaxError) else kind
    return type(name, (base,), shown)


def _forget_frames(error: BaseException | None, seen: set[int]) -> None:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    error.__traceback__ = None
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        _forget_frames(other, seen)
