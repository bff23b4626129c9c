"""What must not stand in a log, and what stands there instead.

Two ways to know a secret: by the name of the field that it is in, and by its own shape. Text is looked
through for both, since most of what is logged is text. It is better to mask too much than too little:
a log that is short of a word is still read, a password in it is a breach.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import quote

MASK: Final = "•••"
FIELD: Final = 4_096
"""Characters of one field at most."""
_SHORTEST: Final = 6
"""Characters of a known secret at least: two letters would be masked all over the text."""

# Names


_SECRET_NAMES: Final = re.compile(
    r"passw|passphrase|passcode|kennwort|pwd|secret|token|credential|authorization|cookie|session|csrf|xsrf"
    r"|apikey|accesskey|privatekey|signingkey|encryptionkey|masterkey|recoverycode|backupcode|securitycode"
    r"|cardnumber|creditcard|connectionstring|databaseurl|redisurl|smtpurl"
)
"""What a name holds that was written in one: `api-key`, `apiKey` and `api_key` are all `apikey`."""
_SECRET_WORDS: Final = frozenset(
    [
        "pass",
        "pw",
        "otp",
        "totp",
        "pin",
        "sid",
        "auth",
        "jwt",
        "bearer",
        "cvv",
        "cvc",
        "pan",
        "ssn",
        "hash",
        "dsn",
        "sig",
    ]
)
"""Short words that count only as a whole: `otp` is also in `footprint`."""
_PERSONAL_WORDS: Final = frozenset(
    ["phone", "telephone", "tel", "mobile", "fax", "iban", "birthdate", "birthday"]
)
_IN_A_QUERY: Final = frozenset(
    ["code", "state", "key", "signature", "ticket", "assertion", "samlresponse", "nonce"]
)
"""Names that say something secret in an address, and nothing elsewhere."""
_TO_THE_END: Final = frozenset({"authorization", "proxyauthorization", "cookie", "setcookie"})
"""Fields whose whole line is theirs: `Cookie: a=b; sid=c`."""
_SEVERAL_WORDS: Final = re.compile(r"passw|passphrase|kennwort|pwd|secret")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether what is called so must not be seen."""
    if _SECRET_NAMES.search(_plain(name)):
        return True
    return not _SECRET_WORDS.isdisjoint(_words(name))


@lru_cache(maxsize=4096)
def is_personal(name: str) -> bool:
    """Whether what is called so is a person's own, and shown in part."""
    return not _PERSONAL_WORDS.isdisjoint(_words(name))


def _words(name: str) -> set[str]:
    """The words of a name in any spelling, without the number behind it: `userPin2` is user and pin."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


# Values that this process knows


_known: dict[object, frozenset[str]] = {}
_pattern: re.Pattern[str] | None = None


def know(owner: object, values: Iterable[str]) -> None:
    """Mask these values wherever they appear, for as long as `owner` does not forget them."""
    spellings = {s for v in values if len(v) >= _SHORTEST for s in (v, quote(v, safe=""), repr(v)[1:-1])}
    _known[owner] = frozenset(spellings)
    _compile()


def forget(owner: object) -> None:
    if _known.pop(owner, None) is not None:
        _compile()


def _compile() -> None:
    global _pattern  # noqa: PLW0603 - one log per process, whatever it serves
    every = sorted(frozenset().union(*_known.values()), key=len, reverse=True)  # a part must not go first
    _pattern = re.compile("|".join(map(re.escape, every))) if every else None


# Shapes

_B64: Final = "A-Za-z0-9_-"
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_SHAPES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    # A JSON Web Token, signed or encrypted; Flask's signed session, which looks the same (RFC 7519).
    ("eyJ", re.compile(rf"(?<![{_B64}])\.?eyJ[{_B64}]{{6,}}+(?:\.[{_B64}]*+){{1,4}}")),
    (".eJ", re.compile(rf"(?<![{_B64}])\.eJ[{_B64}]{{10,}}+(?:\.[{_B64}]*+){{1,2}}")),
    # Passwords, hashed: modular crypt format, and Werkzeug's.
    ("$", re.compile(r"\$(?:argon2(?:id|i|d)|2[abxy]|[56y]|scrypt|pbkdf2[a-z0-9-]*)\$[\w$./+=,-]{8,}+")),
    ("$", re.compile(r"\b(?:pbkdf2:sha\d+(?::\d+)?|scrypt:\d+:\d+:\d+)\$[^\s'\"$]*+\$[0-9a-fA-F]+")),
    # An API key of bylaw's own, also where it was cut off, encoded, or stands in the middle of a word.
    ("bylaw", re.compile(r"bylaw(?:_|%5[Ff])key(?:_|%5[Ff])[0-9A-Za-z]{11}(?:_|%5[Ff])[0-9A-Za-z]{4,}+")),
    # Keys that say whose they are.
    (
        "",
        re.compile(
            r"(?<![A-Za-z0-9])(?:gh[opsur]_|github_pat_|gl(?:pat|dt|rt)-|xox[abeoprs]-|xapp-|GOCSPX-|A[KS]IA"
            r"|AIza|ya29\.|SG\.|whsec_|[spr]k_(?:live|test)_|shp(?:at|ca|pa|ss)_|do[opr]_v1_"
            r"|AGE-SECRET-KEY-1)[A-Za-z0-9_.-]{8,}+|(?<![A-Za-z0-9])(?:sk-|npm_|pypi-|hf_|bylaw_)[\w-]{20,}+"
        ),
    ),
    # A form's token of bylaw's own.
    (
        ".",
        re.compile(
            rf"(?<![.{_B64}])(?=[{_B64}]{{8}}\.[{_B64}]{{22}}(?![{_B64}]))(?=[.{_B64}]*[a-z])(?=[.{_B64}]*[A-Z])"
            rf"[.{_B64}]{{31}}"
        ),
    ),
    # A session's or a link's; and whatever else is long and of all kinds of letters: nobody writes it.
    (
        "",
        re.compile(
            rf"(?<![{_B64}])(?=[{_B64}]{{32}})(?=[{_B64}]*[a-z])(?=[{_B64}]*[A-Z])"
            rf"(?:[{_B64}]{{43}}|(?=[{_B64}]*[0-9])[{_B64}]{{32,}}+)(?![{_B64}])"
        ),
    ),
    ("=", re.compile(r"(?<![A-Za-z0-9+])[A-Za-z0-9+/]{24,}+={1,2}(?![A-Za-z0-9=])")),
)
"""What a secret looks like, each with letters that are then in the text: a look for them is quick."""
_SCHEME: Final = re.compile(
    r"\b(bearer|basic|digest|negotiate|apikey)([ \t]++|%20|\+)"
    r"(?!auth(?:entication|orization)?\b|realm\b|tokens?\b|schemes?\b|credentials?\b|•)"
    r"[A-Za-z0-9._~+/=-]{6,}+",
    re.IGNORECASE,
)
_USER_INFO: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}+://)([^\s/:@\"'<>]*+)(:?)([^\s\"'<>]{0,512})@")
_STATEMENT: Final = re.compile(r"(\[parameters: )[^\n]*")
"""What SQLAlchemy says of a statement that failed: values, without their names."""
_INPUT: Final = re.compile(r"(input_value=).*?(?=, input_type=|\Z)", re.DOTALL)
"""What pydantic says of a value that it refused: the value."""
_CARD: Final = re.compile(r"(?<![\w.])[2-6](?:[ -]?\d){12,18}(?![\w])")
_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)"
    r"(?![A-Za-z0-9])"
)
_EMAIL: Final = re.compile(
    r"(?<![\w.%+*-])(?<!\w')([\w.%+-])(?:[\w.%+-]|(?<=\w)'(?=\w))*?(@|%40)(?=[\w-]+(?:\.[\w-]+)*)"
)
_PHONE: Final = re.compile(r"(?<![\w+])\+\d(?:[ ().-]{0,2}\d){7,14}(?!\d)")
_OPTION: Final = re.compile(r"(?<!\S)(-{1,2}([A-Za-z][\w-]*+)[ \t]++)([^\s-]\S*+)")
_NAMED: Final = re.compile(
    r"""(?<![\w.$\[-])
    (?P<name>[\w.$\[-]++)
    (?P<close>\\*+["']?(?:\]|%5[Dd])*+)
    (?P<sign>[ \t]*+(?:=>|:=|={1,2}|:|%3[Dd])[ \t]*+ | (?<=["'])[ \t]*+,[ \t]*+)
    """,
    re.VERBOSE,
)
_WHOLE_WORD: Final = re.compile(r"(?:None|null|nil|True|False|true|false)(?=[\s,;)\]}&]|\Z)")
_BARE: Final = re.compile(r"(?:[^\s&]|&(?![\w.%\[\]-]{1,64}=))*+")
_LINE: Final = re.compile(r"(?:(?!\\[rn])[^\r\n])*+")
_MORE_WORDS: Final = re.compile(r"(?:[ \t]++(?![\w.\[\]-]++[\"']?[ \t]*+[=:])[^\s,;|)\]}\"'<>&]++)*+")


def text(value: str, limit: int = FIELD) -> str:
    """`value` without secrets, and with no more of a person than is needed to tell two of them apart."""
    if len(value) > 2 * limit:
        # What is cut in two is no longer known by its shape: the last word goes as a whole.
        value = re.sub(r"\S{0,512}\Z", "", value[: 2 * limit]) + f"… ({len(value)} characters)"
    if _pattern is not None:
        value = _pattern.sub(MASK, value)
    if "-----BEGIN" in value:
        value = _PEM.sub(MASK, value)
    if "[parameters: " in value:
        value = _STATEMENT.sub(rf"\1{MASK}]", value)
    if "input_value=" in value:
        value = _INPUT.sub(rf"\1{MASK}", value)
    if "://" in value:
        value = _USER_INFO.sub(_without_password, value)
    value = _named(value)
    value = _OPTION.sub(_option, value)
    value = _SCHEME.sub(rf"\1\2{MASK}", value)
    for sign, shape in _SHAPES:
        if sign in value:
            value = shape.sub(MASK, value)
    value = _CARD.sub(_card, value)
    value = _IBAN.sub(_iban, value)
    if "@" in value or "%40" in value:
        value = _EMAIL.sub(r"\1***\2", value)
    if "+" in value:
        value = _PHONE.sub(lambda m: f"{m[0][:3]}{MASK}{m[0][-2:]}", value)
    return value if len(value) <= limit else f"{value[: limit - 30]}… (cut)"


def _named(value: str) -> str:
    """Mask what follows a secret's name in running text: `k=v`, `"k": "v"`, headers, forms, tuples."""
    out: list[str] = []
    at = done = 0
    while (found := _NAMED.search(value, at)) is not None:
        name, sign, at = found["name"], found["sign"].strip(), found.end()
        if sign == "," and not re.search(
            r"[(\[]\s*+b?\\*+[\"']\Z", value[max(0, found.start() - 6) : found.start()]
        ):
            continue  # two words of a list, and not a name with its value
        asked = value[found.start() - 1 : found.start()] in ("?", "&")
        if not (is_secret(name) or (asked and _plain(name) in _IN_A_QUERY)):
            continue
        begin, end = _extent(value, at, name)
        if begin < end:
            out += (value[done:begin], MASK)
            at = done = end
    return "".join([*out, value[done:]])


def _extent(value: str, at: int, name: str) -> tuple[int, int]:
    """Where the value begins and ends that stands at `at` under this name."""
    if _WHOLE_WORD.match(value, at):
        return at, at
    if value[at : at + 1] in "bru" and value[at + 1 : at + 2] in ("'", '"'):
        at += 1
    opening = re.compile(r"(\\*+)([\"'])").match(value, at)
    if opening is not None:
        slashes, mark = len(opening[1]), opening[2]
        closing = re.compile(rf"(?<!\\)\\{{{slashes}}}{mark}" if slashes else rf"(?<!\\)(?:\\\\)*{mark}")
        closed = closing.search(value, opening.end())
        return opening.end(), len(value) if closed is None else closed.end() - slashes - 1
    if value[at : at + 1] in ("[", "{", "("):
        return at, _balanced(value, at)
    if _plain(name) in _TO_THE_END:
        return at, _end(_LINE, value, at)
    end = _end(_BARE, value, at)
    if end > at and _SEVERAL_WORDS.search(_plain(name)) and value[end - 1] not in ",;|)]}>":
        end = _end(_MORE_WORDS, value, end)
    while end > at and value[end - 1] in ",;)]}>\"'":
        end -= 1
    return at, end


def _end(pattern: re.Pattern[str], value: str, at: int) -> int:
    found = pattern.match(value, at)
    return at if found is None else found.end()


def _balanced(value: str, at: int) -> int:
    """Where the bracket at `at` is closed again; the end of the text where it is not."""
    depth, quoted = 0, ""
    for place in range(at, len(value)):
        char = value[place]
        if quoted:
            if char == quoted and value[place - 1] != "\\":
                quoted = ""
        elif char in "\"'":
            quoted = char
        elif char in "[{(":
            depth += 1
        elif char in "]})":
            depth -= 1
            if depth == 0:
                return place + 1
    return len(value)


def _without_password(found: re.Match[str]) -> str:
    scheme, user, colon, password = found.groups()
    if not colon and len(user) < 16:
        return found[0] if not password else f"{scheme}{MASK}@"
    return f"{scheme}{user}:{MASK}@" if colon and len(user) < 32 else f"{scheme}{MASK}@"


def _option(found: re.Match[str]) -> str:
    return found[1] + MASK if is_secret(found[2]) else found[0]


def _card(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[0])
    return f"{MASK}{digits[-4:]}" if _luhn(digits) else found[0]


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _iban(found: re.Match[str]) -> str:
    whole = found[0]
    while len(whole) >= 15:
        plain = whole.replace(" ", "")
        if int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1:  # ISO 13616
            return f"{plain[:2]}{MASK}{plain[-2:]}{found[0][len(whole) :]}"
        whole = whole.rpartition(" ")[0]  # a word behind it looked like its last group
    return found[0]


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def line(value: str) -> str:
    """`value` on one line: what would begin another, move the cursor or turn the text is spelled out."""
    return _CONTROL.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), value)
