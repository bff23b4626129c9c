"""Passwords: what one must be, how it is kept, and what a sign-in says and costs."""

from __future__ import annotations

import hashlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.security import generate_password_hash

from bylaw import hashing
from bylaw.control import Conflict
from bylaw.controls import passwords, secrets
from bylaw.controls.passwords import CONTROL, Settings, costs, guessing, judging, leaks
from bylaw.controls.passwords.judging import SPECIAL, faults, hashable
from bylaw.hashing import SCHEMES, HashPool
from bylaw.house import House
from bylaw.operations import accounts, administering
from bylaw.outbound import Client as Asking
from bylaw.outbound import Rules
from bylaw.ports import Received
from bylaw.reasons import Refused
from bylaw.store import users
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from tests.applications.stacks import Quick, hurry
from tests.controls.houses import Builder

SOURCE = Settings(min_length=8, composition=("upper", "lower", "digit", "special"))
"""The rules of the first source policy (S1-004 to S1-008)."""
STANDARD = Settings()
LONG = "wide green fields and quiet water"
PEPPER = secrets.new()


@pytest.fixture
def house(tmp_path: Path) -> House:
    """The default policy's house, with hashes that cost little."""
    made = Builder(tmp_path).house()
    made.scheme = Quick()
    made.decoy = made.scheme.make("nobody's password")
    return made


@contextmanager
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The name of the thread of each hash that is made or verified while the block lasts."""
    threads: list[str] = []
    schemes: tuple[Any, ...] = (*SCHEMES.values(), Quick)

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            result = real(*args)
            if result is not None:
                threads.append(threading.current_thread().name)
            return result

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "verify", counting(hashing.verify))
        for scheme in schemes:
            patch.setattr(scheme, "make", counting(scheme.make))
        yield threads


def sign_in(laboratory: Laboratory, email: str, password: Any) -> Reply:
    visitor = laboratory.visitor()
    return visitor.send(
        "POST",
        laboratory.api("sign_in"),
        headers=visitor.from_here,
        json={"email": email, "password": password},
    )


def stored(laboratory: Laboratory, client: Client) -> str | None:
    with laboratory.site.house.store.reading() as connection:
        user = users.by_id(connection, client.id)
    assert user is not None
    return user.password_hash


def store(laboratory: Laboratory, client: Client, **values: Any) -> None:
    with laboratory.site.house.store.transaction() as connection:
        users.change(connection, client.id, **values)


# What a password must be


@pytest.mark.requirement("S1-004", "S1-005", "S1-006", "S1-007", "S1-008", "S3-005", "C-02")
@pytest.mark.parametrize(
    ("password", "wrong"),
    [
        ("kT5!mQz9", []),
        ("kT5!mQz", ["at least 8 characters"]),
        ("kt5!mqz9", ["an upper-case letter"]),
        ("KT5!MQZ9", ["a lower-case letter"]),
        ("kTa!mQzb", ["a digit"]),
        ("kT5xmQz9", ["a special character"]),
        ("kT5:mQz9", ["a special character"]),
        ("kT5²mQz9", ["a special character"]),
        ("kTa!mQz²", ["a digit"]),
        ("kT5 mQz9", []),
        ("ñÑ5!wQz9", []),
        ("mqzvwkxt", ["an upper-case letter", "a digit", "a special character"]),
    ],
)
def test_the_rules_of_the_source_policy(password: str, wrong: list[str]) -> None:
    """Eight characters and four kinds, each missing one named, where the policy asks for them."""
    assert faults(SOURCE, password) == wrong


@pytest.mark.requirement("S1-008")
def test_the_special_characters_are_exactly_those() -> None:
    """Each of the 32 listed characters alone satisfies the rule; the colon and others do not."""
    listed = [
        "!",
        "@",
        "#",
        "$",
        "%",
        "^",
        "&",
        "*",
        "(",
        ")",
        "_",
        "-",
        "+",
        "=",
        "[",
        "]",
        "{",
        "}",
        ";",
        "'",
        '"',
        ",",
        ".",
        "<",
        ">",
        "?",
        "/",
        "\\",
        "|",
        "`",
        "~",
    ]
    assert {*listed, " "} == SPECIAL
    assert len(SPECIAL) == 32
    settings = Settings(min_length=8, composition=("special",))
    for number in (*range(0x20, 0x180), 0x37E, 0x1FEF, 0x2010, 0xFF1B):
        found = faults(settings, f"kT5mQz9wXb{chr(number)}")
        assert ("a special character" in found) == (judging.normal(chr(number)) not in SPECIAL)


@pytest.mark.requirement("S3-005", "S3-006", "S3-007", "C-02", "C-03", "C-27")
@pytest.mark.parametrize(
    ("password", "taken"),
    [
        ("mqzvwkxtbrplgn", False),  # 14
        ("mqzvwkxtbrplgnd", True),  # 15, and one kind of character is enough
        (LONG, True),
        (LONG * 2, True),
        ("x1" + "Vq7! mZ4_kRw8-tYp2 " * 54 + "x", False),  # 1,029
        (("Vq7! mZ4_kRw8-tYp2 " * 60)[:1024], True),
        (("Vq7! mZ4_kRw8-tYp2 " * 60)[:1025], False),
        ("\U0001f511\U0001f980\U0001f344" * 5 + "\U0001f9ca", True),  # code points, not bytes
        ("e\u0301" * 8, False),  # 16 code points, but 8 letters
        ("mqzvwkxtbrplgn\u00a0", True),  # any space counts
        ("mqzvwkxtbrplgnd\0", False),
        ("mqzvwkxtbrplgnd\ud800", False),
    ],
)
def test_length_counts_characters(password: str, taken: bool) -> None:
    """15 to 1,024 code points after NFC, whatever they are; no kinds are asked for (NIST 3.1.1.2)."""
    assert (faults(STANDARD, password) == []) is taken


@pytest.mark.requirement("S3-007", "C-02")
@pytest.mark.parametrize(
    "password",
    [
        "a" * 15,
        "a" * 64,
        " " * 15,
        "123456789012345",
        "qwertyuiopasdfg",
        "qwertyuiop12345",
        "1qaz2wsx3edc4rfv",
        "passwordpassword",
        "Password1234567",
        "PASSWORDSTANDARD",
        "P@ssw0rd" * 3,
        "iloveyou1234567",
        "abcdefghijklmno",
        "abcabcabcabcabc",
        "Passw0rd!" * 8,
        "1234567890" * 9,
    ],
)
def test_an_attackers_first_guesses_are_refused(password: str) -> None:
    """Lists hold few passwords of 15 characters; rows, repetitions and padded words are tried first."""
    assert faults(STANDARD, password) == ["one that is not among the first that an attacker would try"]


@pytest.mark.parametrize(
    ("password", "context"),
    [
        ("Ann.Somebody@people.test", ("ann.somebody@people.test",)),
        ("ann.of.the.north.tower", ("ann.of.the.north.tower@people.test",)),
        ("PARTICIPATORY planner", ("x", "Participatory Planner")),
    ],
)
def test_a_password_is_not_the_account_itself(password: str, context: tuple[str, ...]) -> None:
    """Address, its first half and the site's name are the words tried for exactly this account."""
    assert faults(STANDARD, password) == []
    assert faults(STANDARD, password, context=context) == [
        "one that is not made of your address, your name or the name of this site"
    ]


@pytest.mark.requirement("C-02", "S3-007")
@pytest.mark.parametrize(
    "password",
    [
        "Password1!", "P@ssw0rd", "p4$$w0rd2024", "Summer2024!", "WELCOME1!", "p.a.s.s.w.o.r.d", "1234monkey",
        "letmein2026", "M0nkey#2025", "admin@123", "!!football99", "Liverpool1", "Sunshine#482915",
        "Michael1990!!", "b@sketb@ll-2026!", "$unshine1", "monkeymonkey1", "iloveyou 2", "drowssap1",
    ],
)  # fmt: skip
def test_a_common_password_in_other_spelling_is_common(password: str) -> None:
    """Case, signs for letters, a year, an exclamation mark: an attacker's rules try these, and so do we."""
    assert "one that is not among the first that an attacker would try" in faults(SOURCE, password)


@pytest.mark.requirement("C-02", "S3-007")
@pytest.mark.parametrize(
    "password",
    [
        LONG, "correct horse battery staple", "the cat sat on 7 mats", "my dog is called biscuit",
        "purple monkey dishwasher", "Another 4ll-day walk!", "iloveyou but not on mondays",
        "hunter of the lost 1984 tapes", "three plain old words here", "Tr4vel by night, sleep by day!",
        "der Apfel faellt nicht weit", "мой дядя самых честных правил",
        "鯉が滝を登る夢を見ていた夜明け前の静けさ",
        "mqzvwkxtbrplgnd", "summer winter password garden", "2 fast 2 furious 4 me 2",
    ],
)  # fmt: skip
def test_an_honest_passphrase_is_taken(password: str) -> None:
    """The list is compared with the whole password: a phrase may hold common words (NIST 3.1.1.2)."""
    assert faults(STANDARD, password, context=("ann.somebody@people.test", "Ann Somebody", "Notes")) == []


@pytest.mark.requirement("C-02")
@pytest.mark.parametrize(
    ("password", "taken"),
    [
        ("AnnSomebody2026!", False),
        ("4nn-5omebody-2026", False),
        ("somebody.ann.acme", False),
        ("Planner-Planner-1", False),
        ("I asked Ann to plan a garden party", True),
        ("Somebody told me 14 lies", True),
        ("annually sometimes body", True),
    ],
)
def test_a_password_is_not_the_owners_name(password: str, taken: bool) -> None:
    """Name, address, employer and site in any order, with a year behind them, are tried for this account."""
    context = ("ann.somebody@acme.example", "Ann Somebody", "Participatory Planner")
    said = "one that is not made of your address, your name or the name of this site"
    assert (said in faults(STANDARD, password, context=context)) is not taken


@pytest.mark.requirement("C-03", "S3-006")
@pytest.mark.parametrize(
    "text",
    [
        "4@8({[<369&#0$5+7%2/1!|" * 44,
        "1.1.91" * 170,
        "".join(chr(33 + n * n % 90) for n in range(1024)),
        "a" * 1024,
    ],
    ids=["signs for letters", "dates", "all signs", "one letter"],
)
def test_no_text_makes_the_estimate_slow(text: str) -> None:
    """Signs that may stand for many letters made it take a second (CVE-2021-45115 is the like of it)."""
    faults(STANDARD, LONG)  # the lists are read
    began = time.thread_time()
    for _ in range(3):
        faults(STANDARD, text, context=("x" * 254, "y " * 60))
        judging.strength(STANDARD, text)
    assert time.thread_time() - began < 1


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=4))
def test_any_text_has_a_strength(password: str, context: list[str]) -> None:
    """Whatever is typed has a score and advice, and the advice does not hold it."""
    found = judging.strength(STANDARD, password, context=context)
    assert 0 <= found.score <= 4
    assert found.label in guessing.SPOKEN
    assert len(found.advice) <= 3
    if len(password) > 12:
        assert not any(password in text for text in found.advice)


@pytest.mark.requirement("S3-008")
@pytest.mark.parametrize(
    ("password", "score", "said"),
    [
        ("", 0, ""),
        ("a" * 5000, 0, ""),
        ("password", 0, "top-10"),
        ("abcabcabcabcabc", 0, "The same again"),
        ("Tuesday mice", 3, ""),
        (LONG, 4, ""),
    ],
)
def test_strength_and_advice(password: str, score: int, said: str) -> None:
    """A weak one is called weak, with a reason; a strong one needs no advice."""
    found = judging.strength(STANDARD, password)
    assert found.score == score
    assert said in " ".join(found.advice)


@pytest.mark.requirement("C-02", "S1-004", "S3-005")
@pytest.mark.parametrize(
    ("length", "second", "wrong"),
    [(7, True, True), (8, True, False), (14, False, True), (14, True, False), (15, False, False)],
)
def test_the_least_length_follows_the_factor(length: int, second: bool, wrong: bool) -> None:
    """15 where the password is all there is, 8 beside a second factor (NIST SP 800-63B-4 3.1.1.2)."""
    found = faults(STANDARD, "mqzvwkxtbrplgnd"[:length], second=second)
    assert (f"at least {8 if second else 15} characters" in found) is wrong


# The rules that a password was judged by


MIXED = Settings(composition=("upper", "digit"))


@pytest.mark.requirement("C-02", "C-27")
@pytest.mark.parametrize(
    ("judged_by", "today", "second", "uncovered"),
    [
        ("", STANDARD, False, ["any"]),
        ("nonsense", STANDARD, False, ["any"]),
        (f"v1 length=15 kinds=- list={judging.LIST}", STANDARD, False, []),
        (f"v1 length=15 kinds=- list={judging.LIST}", STANDARD, True, []),
        (f"v1 length=8 kinds=- list={judging.LIST}", STANDARD, True, []),
        (f"v1 length=8 kinds=- list={judging.LIST}", STANDARD, False, ["length"]),
        (f"v1 length=15 kinds=- list={judging.LIST - 1}", STANDARD, False, ["list"]),
        (f"v1 length=15 kinds=- list={judging.LIST}", MIXED, False, ["kinds"]),
        (f"v1 length=15 kinds=digit,lower,upper list={judging.LIST + 1}", MIXED, False, []),
        (f"v1 length=8 kinds=- list={judging.LIST - 1}", MIXED, False, ["length", "kinds", "list"]),
    ],
)
def test_which_of_todays_rules_a_password_was_not_judged_by(
    judged_by: str, today: Settings, second: bool, uncovered: list[str]
) -> None:
    """Stricter rules than those that were recorded are found, looser ones are of no interest."""
    assert judging.uncovered(today, judged_by, second=second) == uncovered


@given(st.text(max_size=130))
def test_a_record_that_cannot_be_read_covers_nothing(judged_by: str) -> None:
    """Whatever stands in the column: only what this program writes counts as judged."""
    known = judged_by == judging.rules(STANDARD, second=False)
    assert (judging.uncovered(STANDARD, judged_by, second=False) == []) is known


@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize(
    "settings", [STANDARD, SOURCE, Settings(min_length=64, composition=("upper", "digit"))]
)
def test_what_is_recorded_covers_its_own_rules(settings: Settings, second: bool) -> None:
    """What is judged today is not judged again tomorrow, and fits its column."""
    recorded = judging.rules(settings, second=second)
    assert judging.uncovered(settings, recorded, second=second) == []
    assert len(recorded) <= 120


def test_a_password_made_of_the_sites_name_is_guessed() -> None:
    """The name over and over is guessed as soon as the name is known."""
    assert faults(STANDARD, "Zwq4t1Zwq4t1Zwq4t1", context=("Zwq4t1",))


@given(st.text(max_size=40), st.lists(st.text(max_size=10), max_size=3))
def test_any_text_can_be_judged(password: str, context: list[str]) -> None:
    """Whatever is typed as a new password: a list of what is wrong with it."""
    assert all(isinstance(fault, str) for fault in faults(STANDARD, password, context=context))


@given(st.text(max_size=1200))
def test_what_is_hashed_is_bounded_text(password: str) -> None:
    """What reaches the hash is NFC, of bounded length, and has a UTF-8 form."""
    text = hashable(STANDARD, password)
    if text is not None:
        assert len(text.encode()) <= 4 * STANDARD.max_length
        assert hashable(STANDARD, text) == text


@pytest.mark.requirement("S3-006", "C-03")
@pytest.mark.parametrize(
    "password",
    ["\U0001d15e" * 600, "a\u0301" * 500_000, "\u0344\u0301" * 400_000],
    ids=["grows by NFC", "half a million accents", "accents out of order"],
)
def test_a_limit_holds_before_and_after_normalising(password: str) -> None:
    """Text that grows under NFC, or takes quadratic time to normalise, is refused at once."""
    started = time.thread_time()
    assert hashable(STANDARD, password) is None
    assert time.thread_time() - started < 1


# The policy


@pytest.mark.requirement("C-02", "C-04")
@pytest.mark.parametrize(
    ("text", "key", "accepted"),
    [
        ("min_length = 7", "passwords.min_length = 7", "8 or more"),
        ("min_length = 65", "passwords.min_length = 65", "64 or less"),
        ("max_length = 63", "passwords.max_length = 63", "64 or more"),
        ("max_length = 5000", "passwords.max_length = 5000", "4096 or less"),
        ('composition = ["vowel"]', "passwords.composition", "one of"),
        ('hash = "scrypt"', 'passwords.hash = "scrypt"', "argon2id"),
        ("memory = 63", "passwords.memory = 63", "64 or more"),
        ("waiting = -1", "passwords.waiting = -1", "0 or more"),
        ("min_length = 8\nmin_length_with_second_factor = 9", "second_factor", "8 or less"),
        ('argon2_memory = "18MB"\nargon2_passes = 2', "argon2_memory", "19MB with 2"),
        ('argon2_memory = "46MB"\nargon2_passes = 0', "argon2_passes", "1 or more"),
        ('argon2_memory = "1GB"', "argon2_memory", "268435456 or less"),
        ('argon2_memory = "6MB"', "argon2_memory", "7340032 or more"),
        ('argon2_memory = "256MB"\nmemory = 128', "passwords.memory", "256 or more"),
        ('pepper = "written out here"', "passwords.pepper", "env:NAME"),
        ('pepper = "env:SHORT"', "SHORT", "bylaw secrets new"),
        ('pepper = "env:SECRET_KEY"', "SECRET_KEY", "a secret of its own for each"),
        (
            'pepper = "env:PEPPER"\nprevious_peppers = ["env:PEPPER"]',
            "PEPPER",
            "a secret of its own for each",
        ),
        ('pepper = "env:GONE"', "GONE", "set GONE"),
        ('breach_lookup = "on"', "passwords.breach_lookup", "api.pwnedpasswords.com"),
        ('breach_lookup = "http://leaks.example/range"', "passwords.breach_lookup", "https"),
        ('breach_lookup = "https://user:pass@leaks.example/"', "passwords.breach_lookup", "off"),
        ('breach_lookup = "https://leaks.example/?q="', "passwords.breach_lookup", "off"),
        ('breach_lookup = "https://[::1"', "passwords.breach_lookup", "off"),
        ('breach_lookup = "https://leaks.example:0/"', "passwords.breach_lookup", "off"),
        ('breach_lookup = "https://leaks.example/\\u00e4"', "passwords.breach_lookup", "off"),
        ('breach_outage = "shrug"', "passwords.breach_outage", "accept"),
        ("rotate = 90", "passwords.rotate", "no such key"),
        ('off = true\nbecause = "no"', "passwords.off", "nobody could sign in"),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, text: str, key: str, accepted: str) -> None:
    """A value out of bounds refuses to start, with what is accepted."""
    environ = {"SHORT": "short", "PEPPER": PEPPER}
    said = Builder(tmp_path).refusal(f"[passwords]\n{text}", **environ)
    assert key in said
    assert accepted in said


def test_below_the_standard_is_allowed_and_said(tmp_path: Path) -> None:
    """The source policy's values start, and are marked with what NIST asks for."""
    text = '[passwords]\nmin_length = 8\ncomposition = ["digit"]\nbecause = "as published"'
    below = [(b.key, b.standard) for _, b, _ in Builder(tmp_path).policy(text).below_standard()]
    assert [b for b in below if b[0] in text] == [
        ("min_length", "15 where a password is the only factor"),
        ("composition", "no composition rules"),
    ]
    assert not list(STANDARD.below_standard())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["15 to 1024 characters", "Argon2id (m=64 MiB, t=3, p=1)", "256 MiB", "16 waiting"]),
        (
            '[passwords]\nhash = "pbkdf2-sha256"\ncomposition = ["upper", "special"]',
            ["PBKDF2-SHA256 (1,000,000 rounds", "must contain an upper-case letter, a special character"],
        ),
        ('[app]\nprofile = "fips"', ["PBKDF2-SHA256 (1,000,000 rounds"]),
        ("", ["at least 8 beside a second factor", "obvious variants", "at its next sign-in", "nor logged"]),
        ("[passwords]\nmin_length = 8", ["has 8 to 1024 characters, is not"]),
        (
            '[passwords]\nargon2_memory = "128MB"\nargon2_passes = 2\npepper = "env:PEPPER"',
            ["m=128 MiB, t=2", "under a pepper"],
        ),
        (
            '[passwords]\nbreach_lookup = "https://leaks.example/range"',
            ["five digits of its SHA-1", "`https://leaks.example/range`", "taken by the other rules"],
        ),
        (
            '[passwords]\nbreach_lookup = "https://leaks.example/range"\nbreach_outage = "refuse"',
            ["new passwords are refused"],
        ),
    ],
)
def test_the_statement_says_what_the_policy_says(tmp_path: Path, text: str, words: list[str]) -> None:
    """The sentences of SECURITY.md follow the settings."""
    said = " ".join(CONTROL.statement(Builder(tmp_path).policy(text, PEPPER=PEPPER)))
    assert all(word in said for word in words), said


# Making and checking


@pytest.mark.requirement("S3-002", "S1-010")
def test_a_password_is_made_and_checked(house: House) -> None:
    """What is stored verifies with the password, composed or not, and with no other."""
    made = passwords.make(house, "Ame\u0301lie and the blue boat").hash
    assert passwords.check(house, made, "Am\u00e9lie and the blue boat") is None
    for wrong in ("am\u00e9lie and the blue boat", "Am\u00e9lie and the blue boat ", "", made):
        with pytest.raises(Refused) as refused:
            passwords.check(house, made, wrong)
        assert refused.value.reason is passwords.WRONG


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short", "at least 15 characters"),
        ("a" * 2000, "at most 1024 characters"),
        ("x" * 20 + "\0", "none of them NUL"),
        ("Rooms of the application", "site"),
    ],
)
def test_a_weak_password_is_not_made(house: House, password: str, said: str) -> None:
    """The verb that stores a password applies the rules, whoever calls it."""
    with pytest.raises(Refused) as refused:
        passwords.make(house, password, context=("Rooms of the Application",))
    assert refused.value.reason is passwords.WEAK
    assert said in refused.value.fields["password"]
    assert password not in str(refused.value.fields)


@pytest.mark.requirement("S3-004", "C-04")
def test_an_older_hash_gives_a_stronger_one(house: House) -> None:
    """Whoever signs in with an older hash gets a new one; whoever fails does not."""
    for method in ("pbkdf2:sha256:1000", "scrypt:1024:8:1"):
        old = generate_password_hash(LONG, method=method)
        stronger = passwords.check(house, old, LONG)
        assert stronger is not None
        assert stronger.startswith("$argon2id$")
        assert passwords.check(house, stronger, LONG) is None
        with pytest.raises(Refused):
            passwords.check(house, old, LONG + "!")


@pytest.mark.requirement("C-41")
@pytest.mark.parametrize(
    "held", [None, "", "!", "*", "$argon2id$", "pbkdf2:sha256:1000", "garbage", "decoy", "right"]
)
def test_every_check_is_one_hash(house: House, monkeypatch: pytest.MonkeyPatch, held: str | None) -> None:
    """No account, no password, a broken hash, a wrong password: one verification each (A015)."""
    hash_ = {"decoy": house.decoy, "right": house.scheme.make(LONG)}.get(held or "", held)
    with computed(monkeypatch) as hashes:
        with pytest.raises(Refused) as refused:
            passwords.check(house, hash_, "not the password at all")
        assert refused.value.reason is passwords.WRONG
        assert len(hashes) == 1
    with pytest.raises(Refused):
        passwords.check(house, None, "nobody's password")  # what the decoy was made of


@pytest.mark.requirement("S3-006", "C-03")
@pytest.mark.parametrize("password", ["a" * 1025, "a" * 5_000_000, "\ud800", "a\0b", "\U0001d15e" * 900])
def test_what_cannot_be_a_password_costs_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """It is refused as a wrong one is, with and without an account, and nothing is computed (A007)."""
    with computed(monkeypatch) as hashes:
        for held in (None, house.decoy):
            with pytest.raises(Refused) as refused:
                passwords.check(house, held, password)
            assert refused.value.reason is passwords.WRONG
        with pytest.raises(Refused):
            passwords.make(house, password)
    assert hashes == []


def test_a_full_pool_refuses_with_when_to_return(house: House) -> None:
    """Making and checking are told to come back, and the answer is the same for no account."""
    with house.hashes.occupied():
        for work in (
            lambda: passwords.make(house, LONG),
            lambda: passwords.check(house, None, LONG),
            lambda: passwords.check(house, house.decoy, LONG),
        ):
            with pytest.raises(Refused) as refused:
                work()
            assert refused.value.reason is passwords.BUSY
            assert dict(refused.value.headers)["Retry-After"].isdigit()


@pytest.mark.requirement("S3-002", "S3-003", "C-04")
def test_a_policy_may_ask_for_more_work(tmp_path: Path) -> None:
    """More memory or passes make new hashes dearer, and cheaper ones are made anew at sign-in."""
    dear = Builder(tmp_path).house('[passwords]\nargon2_memory = "80MB"\nargon2_passes = 1')
    assert dear.scheme.prefix == "$argon2id$v=19$m=81920,t=1,p=1$"
    assert dear.hashes.threads <= 256 // 80
    assert dear.decoy.startswith(dear.scheme.prefix), "equal work for whoever has no account"
    made = passwords.make(dear, LONG).hash
    assert made.startswith(dear.scheme.prefix)
    assert passwords.check(dear, made, LONG) is None
    stronger = passwords.check(dear, hashing.Argon2id(19 * 1024, 2).make(LONG), LONG)
    assert stronger is not None
    assert stronger.startswith(dear.scheme.prefix)


@pytest.mark.requirement("C-04")
@pytest.mark.parametrize(
    ("mib", "passes", "weak"),
    [
        (46, 1, False),
        (45, 1, True),
        (19, 2, False),
        (18, 2, True),
        (12, 3, False),
        (9, 4, False),
        (7, 5, False),
        (7, 4, True),
        (64, 3, False),
        (256, 1, False),
        (6, 16, True),
    ],
)
def test_less_than_owasps_minimum_is_not_made(mib: int, passes: int, weak: bool) -> None:
    """The page's five settings are equally strong; whoever has less of both than each of them is below it."""
    assert hashing.weak(mib * 1024, passes) is weak


@pytest.mark.requirement("C-04")
def test_what_guessing_costs_is_what_the_reference_says() -> None:
    """The numbers that `bylaw tune` prints are those of the page that they were worked out on."""
    for kib, passes, rate, usd in (
        (19 * 1024, 2, 48_200, 0.09),
        (65_536, 3, 8_940, 0.47),
        (131_072, 3, 4_470, 0.93),
    ):
        cost = costs.argon2id(kib, passes)
        assert cost.guesses_per_second == pytest.approx(rate, rel=0.01)
        assert cost.listed_usd == pytest.approx(usd, abs=0.01)
    assert costs.argon2id(65_536, 3).random_usd == pytest.approx(10e6, rel=0.03)
    assert costs.pbkdf2_sha256(1_000_000).guesses_per_second == pytest.approx(6_500, rel=0.01)


# The pepper


@pytest.mark.requirement("C-40", "S1-010", "S3-040")
def test_a_stolen_table_cannot_be_guessed_at_without_the_pepper(tmp_path: Path) -> None:
    """The attacker has the table and a list with the password on it: without the key nothing fits."""
    builder = Builder(tmp_path)
    plain = builder.house()
    peppered = builder.house('[passwords]\npepper = "env:PEPPER"', PEPPER=PEPPER)
    stored = passwords.make(peppered, LONG).hash
    named, _, inner = stored.partition("$")
    assert named == f"hmac-sha256:{next(iter(peppered.peppers.ids))}:"
    assert hashing.verify("$" + inner, LONG) is False
    assert hashing.verify(stored, LONG) is None
    with pytest.raises(Refused):
        passwords.check(plain, stored, LONG)
    assert passwords.check(peppered, stored, LONG) is None
    assert PEPPER not in repr((peppered.peppers, peppered.scheme, stored))


@pytest.mark.requirement("C-40", "C-04")
def test_a_pepper_is_taken_up_changed_and_given_up_at_sign_in(tmp_path: Path) -> None:
    """Hashes without one, under an earlier one, and after its end: each is read, and made anew."""
    builder, second = Builder(tmp_path), secrets.new()
    without = builder.house()
    first_on = builder.house('[passwords]\npepper = "env:A"', A=PEPPER)
    second_on = builder.house(
        '[passwords]\npepper = "env:B"\nprevious_peppers = ["env:A"]', A=PEPPER, B=second
    )
    given_up = builder.house('[passwords]\nprevious_peppers = ["env:B", "env:A"]', A=PEPPER, B=second)
    stored = passwords.make(without, LONG).hash
    for house in (first_on, second_on, given_up, without):
        with pytest.raises(Refused):
            passwords.check(house, stored, LONG + "x")
        if house is not without:
            made = passwords.check(house, stored, LONG)
            assert made is not None
            stored = made
        assert passwords.check(house, stored, LONG) is None
    assert stored.startswith("$argon2id$")


@pytest.mark.requirement("C-40")
def test_a_lost_pepper_is_missed_at_start(flask_laboratory: Laboratory) -> None:
    """The operator who forgot to bring the key along learns it at start, with the key's id and how many."""
    house, start = flask_laboratory.site.house, CONTROL.start
    assert not list(start(house))
    for number in range(3):
        marked = f"hmac-sha256:{number // 2:08x}:$argon2id$v=19$m=65536,t=3,p=1$AAAA$AAAA"
        store(flask_laboratory, flask_laboratory.person(), password_hash=marked)
    found: list[Conflict] = list(start(house))
    assert [(c.key, c.why) for c in found] == [
        ("passwords.pepper", "2 passwords were made with the pepper 00000000, which is not here"),
        ("passwords.pepper", "1 passwords were made with the pepper 00000001, which is not here"),
    ]
    person = flask_laboratory.person()
    store(flask_laboratory, person, password_hash=found and "hmac-sha256:00000000:" + house.decoy)
    assert sign_in(flask_laboratory, person.email, "nobody's password").status == 401


def test_without_its_tables_nothing_is_said_of_peppers(house: House) -> None:
    """A database that is not there yet has other problems, and others say so."""
    assert not list(CONTROL.start(house))


@pytest.mark.requirement("S1-010")
def test_a_new_password_does_not_show_itself(house: House) -> None:
    """What is about to be stored tells its rules, not its hash; nothing typed is no password at all."""
    kept = passwords.make(house, LONG)
    assert repr(kept) == f"Kept({kept.rules})"
    assert not guessing.guessed("")


@pytest.mark.requirement("S1-009")
def test_pbkdf2_is_made_where_the_policy_asks(tmp_path: Path) -> None:
    """Werkzeug's form, under a pepper as well."""
    text = '[passwords]\nhash = "pbkdf2-sha256"\npepper = "env:PEPPER"'
    house = Builder(tmp_path).house(text, PEPPER=PEPPER)
    assert house.scheme.prefix.endswith(f":pbkdf2:sha256:{hashing.PBKDF2_ROUNDS}$")


# Published leaks


def ranged(*passwords_: str, padding: int = 3) -> Any:
    """A service that knows these passwords, as a network."""
    digests = [hashlib.sha1(each.encode(), usedforsecurity=False).hexdigest().upper() for each in passwords_]

    def network(method: str, url: str, /, **how: Any) -> Received:
        lines = [f"{n:035X}:0" for n in range(padding)]
        lines += [f"{each[5:]}:{12 + n}" for n, each in enumerate(digests) if url.endswith("/" + each[:5])]
        return Received(200, "text/plain", "\r\n".join(lines).encode())

    return network


def saying(body: bytes = b"", status: int = 200) -> Any:
    return lambda method, url, /, **how: Received(status, "text/plain", body)


def failing(error: Exception) -> Any:
    def network(method: str, url: str, /, **how: Any) -> Received:
        raise error

    return network


@pytest.mark.requirement("C-02")
def test_a_leaked_password_is_counted_and_five_digits_go_out() -> None:
    """The range of a password comes back; a line of padding, with a count of nought, is no hit."""
    asked: list[tuple[str, str, dict[str, Any]]] = []

    def network(method: str, url: str, /, **how: Any) -> Received:
        asked.append((method, url, how))
        return ranged(LONG)(method, url, **how)  # type: ignore[no-any-return]

    assert leaks.times(network, "https://leaks.example/range/", LONG) == 12
    assert leaks.times(network, "https://leaks.example/range", "another") == 0
    digest = hashlib.sha1(LONG.encode(), usedforsecurity=False).hexdigest().upper()
    method, url, how = asked[0]
    assert (method, url) == ("GET", f"https://leaks.example/range/{digest[:5]}")
    assert how["headers"] == {"Add-Padding": "true"}
    assert set(how) == {"headers", "limit"}
    padding = f"{digest[5:]}:0".encode()
    assert leaks.times(saying(padding), "https://leaks.example", LONG) == 0
    assert leaks.times(saying(padding.lower().replace(b":0", b":3")), "https://leaks.example", LONG) == 3


@pytest.mark.requirement("C-02", "C-03")
@pytest.mark.parametrize(
    "network",
    [
        saying(b""), saying(b"\r\n"), saying(b"<html>down</html>"), saying(b"A" * 35 + b":1\r\nhalf a li"),
        saying(b"\xff\x00" * 50), saying(b"A" * 35 + b":-1"), saying(b"A" * 35 + b":" + b"9" * 5000),
        saying(b"A" * 35 + b":1", 503), saying(b"A" * 35 + b":1", 301), saying(b"A" * 35 + b":1", 204),
        failing(OSError("down")), failing(TimeoutError()), failing(ValueError("a fault in a library")),
    ],
)  # fmt: skip
def test_what_is_no_answer_says_nothing_of_a_password(network: Any) -> None:
    """A service that lies, breaks off or is down: nobody can say, which is not that it is fine."""
    with pytest.raises(leaks.Unavailable) as unavailable:
        leaks.times(network, "https://leaks.example", LONG)
    assert LONG not in str(unavailable.value)


@pytest.mark.requirement("C-03")
def test_a_service_that_hangs_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight look-ups that never end: each gives up in time, and the ninth does not even wait."""
    release, hanging = threading.Event(), []
    monkeypatch.setattr(leaks, "SECONDS", 0.05)

    def hang(method: str, url: str, /, **how: Any) -> Received:
        hanging.append(threading.current_thread())
        release.wait(30)
        return Received(200, "text/plain", b"A" * 35 + b":0")

    for number in range(leaks.AT_ONCE + 1):
        with pytest.raises(leaks.Unavailable, match="too many" if number == leaks.AT_ONCE else "no answer"):
            leaks.times(hang, "https://leaks.example", LONG)
    assert len(hanging) == leaks.AT_ONCE
    assert all(thread.daemon for thread in hanging), "none of them keeps the process from ending"
    release.set()
    for thread in hanging:
        thread.join(30)
    assert leaks.times(ranged(LONG), "https://leaks.example", LONG) == 12


class _Service(BaseHTTPRequestHandler):
    """Speaks the range protocol over a real socket; by its path it lies, hangs or goes on for ever."""

    release = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/hang/"):
            self.release.wait(30)
            return
        body = ranged(LONG)("GET", self.path).body
        if self.path.startswith("/garbage/"):
            body = b"\x00\x01 nothing that anybody could read"
        self.send_response(301 if self.path.startswith("/elsewhere/") else 200)
        self.send_header("Location", "http://127.0.0.1:1/")
        endless = self.path.startswith("/endless/")
        if not endless:
            self.send_header("Content-Length", str(len(body) * (2 if self.path.startswith("/short/") else 1)))
        self.end_headers()
        with suppress(OSError):
            while endless:
                self.wfile.write(b"A" * 35 + b":1\r\n")
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """It is asked by tests."""


@pytest.fixture
def service() -> Iterator[str]:
    """The address of a service for leaks on this machine."""
    _Service.release.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    _Service.release.set()
    server.shutdown()
    server.server_close()


@pytest.mark.requirement("C-02", "C-03")
def test_a_real_service_is_asked_over_the_network(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a socket: it knows the password; it lies, breaks off, sends elsewhere, hangs, or never ends."""
    rules = Rules(hosts=("127.0.0.1",), origins=(service, "http://127.0.0.1:1"))
    network = Asking(rules, piece=2)
    assert leaks.times(network, f"{service}/range", LONG) == 12
    assert leaks.times(network, f"{service}/range", LONG + "!") == 0
    monkeypatch.setattr(leaks, "SECONDS", 1.0)
    for path in ("garbage", "short", "elsewhere", "endless", "hang"):
        began = time.monotonic()
        with pytest.raises(leaks.Unavailable):
            leaks.times(network, f"{service}/{path}", LONG)
        assert time.monotonic() - began < 5, path
    with pytest.raises(leaks.Unavailable):
        leaks.times(network, "http://127.0.0.1:1/range", LONG)


@pytest.mark.requirement("C-02")
@pytest.mark.parametrize("outage", ["accept", "refuse"])
def test_the_policy_says_what_an_outage_means(tmp_path: Path, outage: str) -> None:
    """A leaked password is refused; while nobody answers, a good one is taken or refused, as is written."""
    text = f'[passwords]\nbreach_lookup = "https://leaks.example/range"\nbreach_outage = "{outage}"'
    house = Builder(tmp_path).house(text)
    house.scheme = Quick()

    def refusal(network: Any, password: str = LONG) -> Refused | None:
        house.ports = replace(house.ports, network=network)
        try:
            passwords.make(house, password)
        except Refused as refused:
            return refused
        return None

    leaked = refusal(ranged(LONG))
    assert leaked is not None
    assert leaked.reason is passwords.WEAK
    assert "published leak" in leaked.fields["password"]
    assert refusal(ranged("another")) is None
    down = refusal(failing(OSError("down")))
    assert (down.reason if down else None) is (passwords.UNCHECKED if outage == "refuse" else None)
    assert house.counts["passwords.leaks_unavailable"] == 1
    asked: list[str] = []
    weak = refusal(lambda *args, **how: asked.append("asked"), "a" * 20)
    assert weak is not None
    assert asked == [], "what is weak anyway is nobody's business"


@pytest.mark.requirement("C-02")
def test_a_look_up_keeps_neither_sign_ins_nor_the_loop_waiting(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a service hangs, the threads that hash are free and whoever signs in is served."""
    hurry(laboratory)
    house, release, hanging = laboratory.site.house, threading.Event(), threading.Event()
    client, other = laboratory.client(), laboratory.person()
    token = client.token()

    def hang(method: str, url: str, /, **how: Any) -> Received:
        hanging.set()
        release.wait(30)
        return Received(200, "text/plain", b"A" * 35 + b":0")

    monkeypatch.setattr(leaks, "SECONDS", 30)
    monkeypatch.setattr(house, "ports", replace(house.ports, network=hang))
    changed = []

    def change() -> None:
        changed.append(
            client.send(
                "POST",
                laboratory.api("change_password"),
                headers=[*client.from_here, (client.token_header, token)],
                json={"current": client.password, "password": LONG},
            ).status
        )

    with laboratory.under(Settings, breach_lookup="https://leaks.example/range"):
        thread = threading.Thread(target=change)
        thread.start()
        assert hanging.wait(30)
        taken = house.hashes.taken
        assert laboratory.sign_in(other).status == 200
        release.set()
        thread.join(30)
    assert changed == [200]
    assert taken == 0


# Attack stories


@pytest.mark.requirement("S3-006", "C-03")
@pytest.mark.parametrize("size", [1_000_000, 5_000_000])
def test_megabytes_burn_no_time(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Five at a time send megabytes as a password, everywhere: nothing is hashed, others are served."""
    client = laboratory.client()
    headers = [*client.from_here, (client.token_header, client.token())]
    huge = "a" * size
    asked = [
        (laboratory.api("sign_in"), {"email": "a@people.test", "password": huge}),
        (laboratory.api("sign_up"), {"email": "new@people.test", "name": "", "password": huge}),
        (laboratory.api("change_password"), {"current": huge, "password": LONG}),
        (laboratory.api("change_password"), {"current": client.password, "password": huge}),
        (laboratory.api("sign_in"), {"email": huge, "password": "x"}),
    ]
    with computed(monkeypatch) as hashes:
        replies = laboratory.burst(
            lambda n: client.send("POST", asked[n][0], headers=headers, json=asked[n][1], keep=False), 5
        )
        assert laboratory.whoami(client).status == 200
    assert [reply.status for reply in replies] == [413] * 5
    assert hashes == []


@pytest.mark.requirement("S1-010")
@pytest.mark.parametrize(
    "password", ["", " ", "\t", "\u00a0", "\u200b", "null", "None", "undefined", "!", "x"]
)
def test_an_account_without_a_password_has_none(flask_laboratory: Laboratory, password: str) -> None:
    """Whoever came by another way cannot be impersonated by an empty password or a marker (A014)."""
    gina, alice = flask_laboratory.person(), flask_laboratory.person()
    for marker in (None, password):
        store(flask_laboratory, gina, password_hash=marker)
        answers = [sign_in(flask_laboratory, who.email, password) for who in (gina, alice)]
        assert {reply.status for reply in answers} <= {401, 422}
        assert answers[0].status == answers[1].status, "the answer does not tell who has a password"
        assert not any(reply.all("set-cookie") for reply in answers)


@pytest.mark.requirement("S1-010")
def test_a_stolen_hash_is_no_password(flask_laboratory: Laboratory) -> None:
    """Whoever has read the table cannot sign in with what stands in it."""
    alice = flask_laboratory.person()
    hash_ = stored(flask_laboratory, alice) or ""
    for taken in (hash_, hash_.rpartition("$")[2], flask_laboratory.site.house.decoy):
        assert sign_in(flask_laboratory, alice.email, taken).status == 401


@pytest.mark.requirement("S3-030", "C-11")
@pytest.mark.parametrize("endpoint", ["sign_in", "sign_up"])
@pytest.mark.parametrize("name", ["email", "password", "next", "name"])
@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], ["a"], {}, {"$ne": None}, [[[]]], "a\0b"])
def test_values_that_are_no_text(flask_laboratory: Laboratory, endpoint: str, name: str, value: Any) -> None:
    """Objects, numbers and null in a form are the client's mistake, and sign nobody in (A186)."""
    visitor = flask_laboratory.visitor()
    values = {"email": "a@people.test", "password": LONG, name: value}
    reply = visitor.send("POST", flask_laboratory.api(endpoint), headers=visitor.from_here, json=values)
    assert reply.status == 422
    assert not reply.all("set-cookie")


@pytest.mark.requirement("C-41")
def test_equal_answers_after_equal_work(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known, unknown, shut, password-less and broken accounts: one answer, one hash (A015, A020)."""
    house = laboratory.site.house
    people = {name: laboratory.person() for name in ("known", "shut", "no password", "broken")}
    store(laboratory, people["shut"], disabled_at=house.now())
    store(laboratory, people["no password"], password_hash=None)
    store(laboratory, people["broken"], password_hash="$argon2id$v=19$m=65536,t=3,p=1$x")
    addresses = [*(who.email for who in people.values()), "unknown@people.test", "no address"]
    seen = []
    for email in addresses:
        with computed(monkeypatch) as hashes:
            reply = sign_in(laboratory, email, LONG)
        body = {k: v for k, v in reply.json().items() if k != "instance"}
        seen.append((reply.status, body, sorted(k.lower() for k, _ in reply.headers), len(hashes)))
    assert seen == [seen[0]] * len(addresses)
    assert seen[0][0] == 401
    assert seen[0][3] == 1


@pytest.mark.requirement("C-41")
def test_time_does_not_tell_who_has_an_account(flask_laboratory: Laboratory) -> None:
    """Sign-ins of a known and an unknown address, alternating: neither is the slower one (A015)."""
    known = flask_laboratory.person().email
    times: dict[str, list[float]] = {known: [], "unknown@people.test": []}
    sign_in(flask_laboratory, known, LONG)
    first, second = times.values()
    for _ in range(4):  # more only where the first do not settle it: one in a thousand is far off by chance
        for _ in range(12):
            for email, taken in times.items():
                started = time.perf_counter()
                sign_in(flask_laboratory, email, LONG)
                taken.append(time.perf_counter() - started)
        # The rank test, with a margin for a busy machine: skipping the hash would give 0 or 1.
        slower = sum(a > b for a in first for b in second) / (len(first) * len(second))
        if 0.1 < slower < 0.9:
            break
    assert 0.1 < slower < 0.9, (statistics.median(first), statistics.median(second))


@pytest.mark.requirement("S3-002")
def test_nothing_is_held_while_a_hash_is_computed(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storm of sign-ins neither drains the connection pool nor stops the event loop (A007)."""
    house, person = laboratory.site.house, laboratory.person()
    laboratory.sign_in(laboratory.person())
    held: list[int] = []
    callers: list[str] = []
    real_verify, real_run = hashing.verify, HashPool.run

    def verify(stored: str, password: str) -> bool | None:
        held.append(house.store.engine.pool.checkedout())  # type: ignore[attr-defined]
        return real_verify(stored, password)

    def run(pool: HashPool, work: Any, *args: object) -> Any:
        callers.append(threading.current_thread().name)
        return real_run(pool, work, *args)

    monkeypatch.setattr(hashing, "verify", verify)
    monkeypatch.setattr(HashPool, "run", run)
    with computed(monkeypatch) as threads:
        visitor = laboratory.visitor()
        signed_up = visitor.send(
            "POST",
            laboratory.api("sign_up"),
            headers=visitor.from_here,
            json={"email": "new@people.test", "name": "", "password": LONG},
        )
        client = laboratory.sign_in(person)
    assert (signed_up.status, client.status) == (202, 200)
    assert held == [0]
    assert len(threads) == 2
    assert all(name.startswith("bylaw-hash") for name in threads)
    if not laboratory.is_wsgi:
        assert all(name.startswith("bylaw-worker") for name in callers)


@pytest.mark.requirement("S3-004", "C-04")
def test_a_table_of_werkzeugs_is_upgraded_by_using_it(laboratory: Laboratory) -> None:
    """People of an application that used Werkzeug's default sign in as before, once with scrypt."""
    person = laboratory.person()
    store(laboratory, person, password_hash=generate_password_hash(person.password))
    assert sign_in(laboratory, person.email, person.password + "x").status == 401
    assert (stored(laboratory, person) or "").startswith("scrypt:")
    assert sign_in(laboratory, person.email, person.password).status == 200
    assert (stored(laboratory, person) or "").startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert sign_in(laboratory, person.email, person.password).status == 200


def test_a_full_pool_says_when_to_return(laboratory: Laboratory) -> None:
    """A program and a person are told by 503 and Retry-After; who is signed in notices nothing."""
    person, client = laboratory.person(), laboratory.client()
    token = person.token()
    with laboratory.site.house.hashes.occupied():
        for reply in (
            laboratory.sign_in(person),
            sign_in(laboratory, "unknown@people.test", LONG),
            person.send(
                "POST",
                laboratory.url("sign_in"),
                headers=[*person.from_here, (person.token_header, token), ("Accept", "text/html")],
                form={"email": person.email, "password": person.password},
            ),
        ):
            assert reply.status == 503
            assert reply.header("retry-after").isdigit()
        assert laboratory.whoami(client).status == 200
    assert laboratory.sign_in(person).status == 200


@pytest.mark.requirement("S1-010", "S1-011")
def test_no_password_is_ever_seen_again(laboratory: Laboratory) -> None:
    """Signing up, in and changing leave the password in no table, log, mail or answer."""
    visitor, email = laboratory.visitor(), "careful@people.test"
    first, second = LONG + " one", LONG + " two"
    texts = [
        visitor.send(
            "POST",
            laboratory.api("sign_up"),
            headers=visitor.from_here,
            json={"email": email, "name": "", "password": first},
        ).text
    ]
    with laboratory.site.house.store.transaction() as connection:  # the owner has followed the mailed link
        made = users.by_email(connection, email)
        assert made is not None
        users.change(connection, made.id, confirmed_at=laboratory.clock())
    assert sign_in(laboratory, email, first).status == 200
    visitor.email, visitor.password = email, first
    assert laboratory.sign_in(visitor).status == 200
    visitor.token_page = laboratory.url("change_password")
    changed = visitor.act(
        "POST", laboratory.api("change_password"), json={"current": first, "password": second}
    )
    assert changed.status == 200
    texts += [
        changed.text,
        visitor.page(laboratory.url("change_password")).text,
        visitor.page(laboratory.url("sessions")).text,
        laboratory.whoami(visitor).text,
        laboratory.dump(),
        laboratory.logs.text,
        "".join(map(str, laboratory.mail())),
    ]
    assert not any(secret in text for text in texts for secret in (first, second))
    assert sign_in(laboratory, email, first).status == 401
    assert sign_in(laboratory, email, second).status == 200


def test_the_rules_guard_the_operation(flask_laboratory: Laboratory) -> None:
    """Sign-up, an administrator, a change and the command line store no weak password."""
    house, client = flask_laboratory.site.house, flask_laboratory.client()
    with house.store.reading() as connection:
        user = users.by_id(connection, client.id)
    assert user is not None
    weak = "123456789012345"
    for store_it in (
        lambda: accounts.sign_up(house, email="a@people.test", password=weak),
        lambda: administering.create(house, administering.SYSTEM, email="b@people.test", password=weak),
        lambda: administering.set_password(house, administering.SYSTEM, user.id, weak),
    ):
        with pytest.raises(Refused) as refused:
            store_it()
        assert refused.value.reason is passwords.WEAK
    changed = client.act(
        "POST", flask_laboratory.api("change_password"), json={"current": client.password, "password": weak}
    )
    assert (changed.status, changed.code) == (422, "passwords.weak")
