"""Attacks on what the running application logs."""

from __future__ import annotations

import json
import logging
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import logs
from bylaw.controls.logs import output, records
from bylaw.hashing import SCHEMES

FORGED: Final = "2027-01-01T00:00:00.000Z INFO     bylaw.audit [-] user authentication user_id=root"
JWT: Final = "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canary-of-a-signature"
API_KEY: Final = "sk_" + "live_" + "canary0123456789"
CARD: Final = "4111 1111 1111 1111"
IBAN: Final = "DE89 3704 0044 0532 0130 00"
PHONE: Final = "+49 170 1234567"
_FEWER: Final = 10_000
_REPEATS: Final = 3 * records.A_MINUTE


class _Everything(logging.Handler):
    """A handler of an application's own, added late: it keeps whatever can be had from a record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []
        self.json: list[str] = []
        self.text: list[str] = []
        self.raw: list[str] = []
        self._json, self._text = output.formatter("json"), output.formatter("text")
        self.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.json.append(self._json.format(record))
        self.text.append(self._text.format(record))
        self.raw += (repr(record.__dict__), self.format(record))

    @property
    def all(self) -> str:
        return "\n".join([*self.json, *self.text, *self.raw])


@contextmanager
def _listening() -> Iterator[_Everything]:
    """Everything that is logged meanwhile, at the lowest level there is."""
    heard, root = _Everything(), logging.getLogger()
    level = root.level
    records.again()
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    try:
        yield heard
    finally:
        root.setLevel(level)
        root.removeHandler(heard)


def _absent(heard: _Everything, canaries: dict[str, str], what: str) -> None:
    if not heard.records:
        raise Broken(f"{what}: nothing was logged at all")
    for name, value in canaries.items():
        if value and value in heard.all:
            line = next(line for line in heard.all.splitlines() if value in line)
            raise Broken(f"{what}: {name} is in the log: {line.replace(value, '<' + name + '>')[:200]}")


@probe("critical", "S1-106", "S1-107", "S1-110", "S1-134", "S3-036", "S3-037", "S3-038", "S3-056", "C-14")
def secrets_reach_no_log(lab: Any) -> str:
    """Passwords, hashes, tokens, keys and cookies are in no log at any level, errors' texts included."""
    person = lab.person()
    wrong = "Canary " + secrets.token_urlsafe(8) + "-7!"
    canaries = {
        "the wrong password": wrong,
        "the right password": person.password,
        "the access token": person.access_token,
        "its hash": SCHEMES["argon2id"]().make(person.password),
        "a bearer token": JWT,
        "an API key": API_KEY,
        "a cookie": "canary-cookie-4711",
        "a token of a link": secrets.token_urlsafe(32),
    }
    sent = [
        ("Authorization", f"Bearer {JWT}"),
        ("X-API-Key", API_KEY),
        ("Cookie", f"{lab.cookie}={canaries['a cookie']}"),
    ]
    with _listening() as heard:
        lab.sign_in(person, wrong)
        lab.sign_in(person)
        canaries["the session"] = person.cookies.get(lab.cookie, "")
        canaries["the form token"] = person.token()
        for text in _sentences(canaries):
            with lab.raising(_failure(text)):
                lab.visitor().get(f"/?token={canaries['a token of a link']}", headers=sent)
    if not any("Traceback" in line for line in heard.raw):
        raise Broken("the application failed, and no traceback was logged")
    _absent(heard, canaries, "signing in and failing")
    return f"{len(canaries)} secrets, {len(heard.records)} records at DEBUG, each in four formats"


def _sentences(canaries: dict[str, str]) -> Iterator[str]:
    """How secrets come into texts."""
    wrong, hashed = canaries["the wrong password"], canaries["its hash"]
    yield f"login failed: {{'email': 'x', 'Password': {wrong!r}}}"
    yield f"body was {json.dumps({'user': {'new_password1': wrong, 'hash': hashed}})}"
    yield f"password={wrong.replace(' ', '+')}&token={JWT}\npassword: {wrong}"
    yield f"headers [(b'cookie', b'sid={canaries['a cookie']}'), ('X-API-Key', {API_KEY!r})]"
    yield f"stored {hashed} for {canaries['a token of a link']}"
    yield f"session {canaries['the session']} and {canaries['the form token']} do not fit"
    yield f"called with {API_KEY} and Bearer {JWT}"


def _failure(text: str) -> Exception:
    """An error with a secret in itself, in a note and in its cause."""
    error = RuntimeError(text)
    error.add_note(text)
    error.__cause__ = ValueError(text)
    return error


@probe("high", "S1-107", "S3-056", "S2-040")
def what_the_policy_knows_is_masked_by_value(lab: Any) -> str:
    """A secret that the policy took from the environment is masked wherever it stands, without a name."""
    known = {
        f"secret {n}": value for n, value in enumerate(logs.secrets_of(lab.policy)) if "sqlite:" not in value
    }
    with _listening() as heard:
        for value in known.values():
            logging.getLogger("app").warning("cannot connect with %s", value)
            logging.getLogger("app").error("odd: <%s>", value.encode(), extra={"detail": [value]})
    _absent(heard, known, "a value of the environment")
    return f"{len(known)} secrets of the policy, each without a name to know it by"


@probe("high", "S1-108", "S1-134", "S3-039", "C-28")
def people_are_shortened(lab: Any) -> str:
    """Mail addresses, telephone, card and account numbers come out shortened; clients' addresses stay."""
    canaries = {
        "a mail address": "erin.canary@people.test",
        "a card": CARD,
        "a card in one": CARD.replace(" ", ""),
        "an account": IBAN,
        "a telephone": PHONE,
        "a telephone by its name": "0170-7654321",
    }
    log = logging.getLogger("app")
    with _listening() as heard:
        log.info(
            "order of erin.canary@people.test, card %s, account %s, call %s from 198.51.100.7",
            CARD,
            IBAN,
            PHONE,
        )
        log.info("order", extra={"card_no": int(CARD.replace(" ", "")), "phone": "0170-7654321"})
        log.info('{"customer": {"mail": "erin.canary@people.test", "mobile": "%s"}}', PHONE)
        log.info("GET /?to=erin.canary%40people.test")
    _absent(heard, canaries, "personal data")
    for kept in ("e***@people.test", "e***%40people.test", "•••1111", "198.51.100.7"):
        if kept not in heard.all:
            raise Broken(f"{kept} should be left, so that two people can be told apart")
    return f"{len(canaries)} canaries of a person, none of them whole"


@probe("high", "S1-106", "S3-056", "C-14")
def every_handler_gets_what_is_safe(lab: Any) -> str:
    """Also a handler that the application adds later, with a format of its own, on a logger that keeps to
    itself: names in any spelling, nested values, errors without their frames."""
    canary = "canary-" + secrets.token_hex(6)
    heard, log = _Everything(), logging.getLogger(f"probe.{secrets.token_hex(4)}")
    log.propagate, log.level = False, logging.DEBUG
    log.addHandler(heard)
    names = (
        "Password",
        "passWord",
        "pwd",
        "new_password1",
        "client-secret",
        "apiKey",
        "authorization",
        "Set-Cookie",
    )
    for name in names:
        log.warning(
            "one", extra={name.replace("-", "_"): canary, "form": {"inner": [{name: canary}, (name, canary)]}}
        )
        log.warning("%s=%s&x=1", name, canary)
        log.warning(json.dumps([{"a": {name: canary}}]))
        log.warning({"event": "from structlog", name: canary})
        log.warning("%(user)s", {"user": "erin", name: canary})
    try:
        held = canary
        raise ValueError(f"password={held}")
    except ValueError:
        log.exception("failed")
    _absent(heard, {"a secret": canary}, "a handler that was added later")
    if heard.records[-1].exc_info is None or heard.records[-1].exc_info[2] is not None:
        raise Broken("a handler gets the frames of an error, with all local variables in them")
    return f"{len(names)} names, five ways to log each, on a handler of its own"


@probe("high", "S1-109")
def every_line_names_its_request(lab: Any) -> str:
    """Lines that were logged during a request bear the id that its answer names; no others do."""
    with _listening() as heard:
        logging.getLogger("app").info("before")
        ids = set()
        for _ in range(3):
            with lab.raising(RuntimeError("a probe")):
                ids.add(lab.visitor().get("/").header("x-request-id"))
    named = {record.request_id for record in heard.records if record.name == "bylaw.errors"}  # type: ignore[attr-defined]
    if len(ids) != 3 or named != ids:
        raise Broken(f"three requests {sorted(ids)}, and lines of {sorted(named)}")
    for line in heard.json:
        seen = json.loads(line)
        if (seen["request_id"] in ids) is not (seen["logger"] == "bylaw.errors"):
            raise Broken(f"a line of {seen['logger']} names the request {seen['request_id']!r}")
    return "three requests, each with its lines"


@probe("high", "S1-109")
def no_line_is_forged(lab: Any) -> str:
    """Whatever a request holds, an event is one line of JSON, or one that begins at the margin."""
    breaks = ("\n", "\r\n", "\r", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1b[2K\r", "\x1e")
    log = logging.getLogger("app")
    with _listening() as heard:
        for between in breaks:
            text = f"x{between}{FORGED}"
            log.warning("user %s", text, extra={"agent": text, text: 1})
            log.warning({"event": text, "name": text})
            with lab.raising(_failure(text)):
                lab.visitor().get("/%0d%0a" + FORGED.replace(" ", "%20"), headers=[("User-Agent", FORGED)])
    for line in heard.json:
        if len(line.splitlines()) != 1 or "event" not in json.loads(line):
            raise Broken(f"no line of JSON: {line[:200]!r}")
    for event in (*heard.text, *heard.raw):
        for line in event.splitlines()[1:]:
            if line.startswith(FORGED[:20]):
                raise Broken(f"a forged line: {line[:120]!r}")
    for event in heard.text:
        if any(not line.startswith("    | ") for line in event.splitlines()[1:]):
            raise Broken(f"a second line begins at the margin: {event[:200]!r}")
    return f"{len(breaks)} ways to break a line, {len(heard.records)} events on as many lines"


@probe("medium", "S1-109")
def an_id_is_taken_only_if_it_is_one(lab: Any) -> str:
    """A client's own id is taken where the policy says so and it is well-formed; nothing else is repeated."""
    settings = lab.policy.of(logs.Settings)
    header = settings.request_id_header or "X-Request-Id"
    good = "canary-7f3a.0815_x"
    reply = lab.visitor().get("/", headers=[(header, good)])
    if (reply.header("x-request-id") == good) is not (settings.request_id_header is not None):
        raise Broken(
            f"an id of a client's own: {reply.header('x-request-id')}, taken in {settings.request_id_header}"
        )
    bad = (
        "short",
        "x" * 65,
        "canary 7f3a",
        "canary;7f3a",
        "canary<b>7f3a",
        "canary\t7f3a",
        "canary\u00e47f3a",
        "",
    )
    for given in bad:
        reply = lab.visitor().get("/", headers=[(header, given)])
        if re.fullmatch(r"[0-9a-f]{16}", reply.header("x-request-id")) is None:
            raise Broken(f"the id {given!r} was taken: {reply.header('x-request-id')!r}")
    twice = lab.visitor().get("/", headers=[(header, good), (header, "other-" + good)])
    if re.fullmatch(r"[0-9a-f]{16}", twice.header("x-request-id")) is None:
        raise Broken(f"one of two ids was taken: {twice.header('x-request-id')!r}")
    return f"{len(bad) + 1} malformed ids, none of them taken"


@probe("medium", "S1-105")
def a_flood_is_counted(lab: Any) -> str:
    """A thousand alike are not a thousand lines, and one event is not endless."""
    with _listening() as heard:
        for _ in range(_REPEATS):
            with lab.raising(RuntimeError("the same again")):
                lab.visitor().get("/")
        logging.getLogger("app").warning("name %s", "a" * 5_000_000, extra={"agent": "b" * 1_000_000})
        logging.getLogger("app").warning("many", extra={"items": [{"n": "c" * 1000}] * 10_000})
    alike = [record for record in heard.records if record.name == "bylaw.errors"]
    if not 1 <= len(alike) <= records.A_MINUTE:
        raise Broken(f"{_REPEATS} failures alike were written {len(alike)} times")
    longest = max(len(line) for line in heard.json)
    if longest > output.LINE:
        raise Broken(f"a line of {longest} characters")
    return f"{_REPEATS} failures in {len(alike)} lines; the longest line has {longest} characters"


@probe("medium", "S1-105")
def the_file_begins_anew(lab: Any) -> str:
    """The log file never grows beyond its size, and no more of its predecessors are kept than named."""
    settings = lab.policy.of(logs.Settings)
    small = settings.model_copy(update={"file": settings.file or "app.log", "max_bytes": _FEWER})
    with tempfile.TemporaryDirectory(prefix="bylaw-logs-") as folder:
        name = Path(small.file).name
        file = logs.file_of(small.model_copy(update={"file": name}), Path(folder))
        if file is None:
            raise Broken("a file is named, and none is written")
        file.setFormatter(output.formatter(settings.format))
        written = 0
        for number in range((small.backups + 3) * _FEWER // 1_000):
            record = logging.makeLogRecord(
                {"name": "app", "msg": f"{number} " + "x y" * 330, "levelname": "INFO"}
            )
            records.clean(record)
            file.handle(record)
            written += 1
        file.close()
        sizes = {each.name: each.stat().st_size for each in Path(folder).glob(f"{name}*")}
    wanted = {name, *(f"{name}.{n}" for n in range(1, settings.backups + 1))}
    if set(sizes) != wanted or max(sizes.values()) > _FEWER:
        raise Broken(f"{written} kB of log in pieces of {_FEWER} bytes are {sizes}")
    return f"{written} kB written: {len(sizes)} files, none above its size"


@probe("high", "S3-070", "C-26")
def signing_in_is_logged(lab: Any) -> str:
    """Signing in is a record with user, action, address and time; failing to does not repeat the name."""
    person, stranger = lab.person(), lab.person()
    stranger.email = f"canary-{secrets.token_hex(6)}@people.test"
    confused = lab.person()
    confused.email = "Canary-" + secrets.token_hex(8) + "-as-a-name"
    for who in (stranger, confused):
        who.access_token = who.email  # typed into the one field that there may be
    with _listening() as heard:
        lab.sign_in(person)
        for who in (stranger, confused):
            lab.sign_in(who)
    said = [record.__dict__ for record in heard.records if record.name == "bylaw.audit"]
    done = [fields for fields in said if fields["outcome"] == "success"]
    wanted = {"user_id": person.id, "action": "login", "ip_address": person.peer}
    if len(done) != 1 or {key: done[0][key] for key in wanted} != wanted:
        raise Broken(f"signing in logged {[f.get('user_id') for f in done]}")
    if not str(done[0]["timestamp"]).endswith("+00:00"):
        raise Broken(f"the time of signing in is {done[0]['timestamp']}, not UTC")
    for who in (stranger, confused):
        if who.email in heard.all:
            raise Broken("a name that nobody has was logged as it was typed")
    return "one record with its four fields; two unknown names, neither of them written"


PROBES: Final = (
    secrets_reach_no_log,
    what_the_policy_knows_is_masked_by_value,
    people_are_shortened,
    every_handler_gets_what_is_safe,
    every_line_names_its_request,
    no_line_is_forged,
    an_id_is_taken_only_if_it_is_one,
    a_flood_is_counted,
    the_file_begins_anew,
    signing_in_is_logged,
)
