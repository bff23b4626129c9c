"""Access tokens: what they look like, what the policy may say of them, and what a start refuses."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw.controls import tokens
from bylaw.controls.tokens import CONTROL, Settings, form
from bylaw.verify.laboratory import Laboratory
from tests.controls.houses import Builder

HEAD = form.head("notes", production=True)
ROLES = '[roles]\nadmin = ["*"]\n'
ON = f'{ROLES}[tokens]\nsign_in = true\nbootstrap = "env:ADMIN_TOKEN"\n'


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


# What it looks like


@pytest.mark.requirement("S2-005", "S2-035", "S2-040")
@given(st.binary(min_size=16, max_size=64))
def test_a_token_is_found_by_scanners_and_read_back(random: bytes) -> None:
    """Each has the prefix, only letters that nobody confuses, and a checksum."""
    token = form.make(HEAD, random)
    assert re.fullmatch(form.pattern("notes", random=len(random)), token)
    assert form.valid(token)
    assert form.read(HEAD, token) == token


@given(st.binary(min_size=16, max_size=32), st.data())
def test_what_people_add_while_typing_is_no_other_token(random: bytes, data: st.DataObject) -> None:
    """Groups, capitals, a long dash of a phone, o for 0 and l for 1, and without the beginning: one token."""
    token = form.make(HEAD, random)
    body = token.removeprefix(HEAD)
    typed = "".join(
        data.draw(st.sampled_from([c, c.upper(), *{"0": "oO", "1": "iIlL"}.get(c, "")])) for c in body
    )
    between = data.draw(st.sampled_from(["", " ", "-", "\u2013", " - ", "\n"]))
    grouped = between.join(typed[at : at + 4] for at in range(0, len(typed), 4))
    for text in (HEAD + grouped, grouped, f"  {HEAD.upper()} {grouped} ", form.grouped(token)):
        assert form.read(HEAD, text) == token


@given(st.binary(min_size=16, max_size=32), st.integers(min_value=0), st.sampled_from(form.ALPHABET))
def test_a_mistyped_token_is_none(random: bytes, at: int, letter: str) -> None:
    """One wrong character is noticed by the checksum alone: it is no other token by accident."""
    token = form.make(HEAD, random)
    place = len(HEAD) + at % (len(token) - len(HEAD))
    wrong = token[:place] + letter + token[place + 1 :]
    assert form.valid(wrong) == (wrong == token)


@given(st.text(max_size=700))
def test_whatever_is_typed_is_read(text: str) -> None:
    """Nothing that anybody types is an accident; what is no token of ours stays as it is, capitals too."""
    read = form.read(HEAD, text)
    assert read == text.strip()[: form.LONGEST] or form.valid(read)


@pytest.mark.requirement("S2-045")
def test_what_somebody_else_made_counts_letter_by_letter(builder: Builder) -> None:
    """A value of ADMIN_TOKEN has capitals that count: folding them would make it easier to guess."""
    policy = builder.policy(f"{ROLES}[tokens]\nsign_in = true\n")
    value = "s0KxF2m9QvT7bYw4ZpL1eA"
    assert tokens.stored(policy, f" {value} ") == tokens.stored(policy, value)
    for other in (value.lower(), value.swapcase(), value[:-1], f"{value[:4]}-{value[4:]}"):
        assert tokens.stored(policy, other) != tokens.stored(policy, value)


@pytest.mark.requirement("S2-039")
def test_each_environment_keeps_another_digest(builder: Builder) -> None:
    """The same token in development and in production are two rows, and look different from the beginning."""
    text = f"{ROLES}[tokens]\nsign_in = true\n"
    production, development = builder.policy(text), builder.policy(text, BYLAW_ENV="development")
    assert (tokens.head(production), tokens.head(development)) == ("bylaw_pat_", "bylaw_dev_")
    assert tokens.stored(production, "x") == tokens.elsewhere(development, "x")
    assert tokens.stored(production, "x") != tokens.stored(development, "x")


# What the policy may say


@pytest.mark.requirement("S2-005", "S2-035")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bytes = 15", "16 or more"),
        ("bytes = 65", "64 or less"),
        ('prefix = "a-b"', "prefix"),
        ('prefix = "Planner"', "prefix"),
        ('lifetime = "1m"', "lifetime"),
        ("never = true", "never"),
        ('bootstrap = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"', "written out"),
    ],
)
def test_what_is_refused(builder: Builder, line: str, said: str) -> None:
    """A token that could be guessed, one without an end and without a reason, a secret in the file."""
    assert said in builder.refusal(f"{ROLES}[tokens]\nsign_in = true\n{line}\n")


@pytest.mark.requirement("S2-068", "C-06")
def test_what_is_below_the_standard_is_said(builder: Builder) -> None:
    """A token without an end is allowed with a reason, which `bylaw check` and SECURITY.md print."""
    policy = builder.policy(
        f'{ROLES}[tokens]\nsign_in = true\nnever = true\nlifetime = "180d"\n'
        'because = "cards that hang on a wall"\n'
    )
    below = {key.key: because for name, key, because in policy.below_standard() if name == "tokens"}
    assert below == dict.fromkeys(("never", "lifetime"), "cards that hang on a wall")
    assert "never expire" in " ".join(CONTROL.statement(policy))


def test_what_a_policy_without_says() -> None:
    """Off where nobody asked for it, and at the standard."""
    assert not Settings().sign_in
    assert list(Settings().below_standard()) == []
    assert (Settings().bytes, Settings().lifetime) == (32, 90 * 86400)


def test_the_statement_says_what_holds(builder: Builder) -> None:
    """Nothing is promised of what is off; what is on is named with its prefix and its times."""
    assert CONTROL.statement(builder.policy(ROLES)) == ["Nobody signs in with an access token."]
    said = " ".join(CONTROL.statement(builder.policy(ON, ADMIN_TOKEN=secrets.token_urlsafe(32))))
    for words in (
        "256 random bits",
        "`bylaw_pat_`",
        "90 days at most",
        "None lives for ever",
        "must be changed",
    ):
        assert words in said


# The first administrator's


@pytest.mark.requirement("S2-012", "S2-035", "S2-037", "S2-079")
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("ADMIN123", "placeholder"),
        ("admin123", "placeholder"),
        (" ADMIN123 ", "placeholder"),
        ("your_admin_token_here", "placeholder"),
        ("<your-secure-admin-token>", "placeholder"),
        ("changemechangemechangeme", "placeholder"),
        ("s0KxF2m9QvT7bYw4ZpL1e", "too short (21 characters)"),
        ("a" * 40, "over and over"),
        ("ADMIN123ADMIN123ADMIN123", "over and over"),
        ("abcdefghijklmnopqrstuvwx", "over and over"),
        ("administratorpasswordsunshine", "made of words"),
        ("aaaaaaaaaaaaaaaaaaaaaaab", "over and over"),
        ("112233112233445566445566", "too regular"),
        ("x9" * 300, "longer than 512"),
    ],
)
def test_no_start_with_a_token_that_anybody_knows(builder: Builder, value: str, why: str) -> None:
    """ADMIN123 was the finding of 14 October 2025: it, and what is like it, makes nobody an administrator."""
    refusal = builder.refusal(ON, ADMIN_TOKEN=value)
    assert "tokens.bootstrap" in refusal
    assert why in refusal
    assert value.strip() not in refusal


@pytest.mark.requirement("S2-035", "S2-045")
def test_what_the_published_policy_makes_is_taken(builder: Builder) -> None:
    """`secrets.token_urlsafe(16)`, five hundred times, and hexadecimal as well."""
    for make in (secrets.token_urlsafe, secrets.token_hex):
        assert [value for value in (make(16) for _ in range(500)) if tokens.weakness(value)] == []
    assert builder.refusal(ON, ADMIN_TOKEN=secrets.token_urlsafe(16)) == ""


@pytest.mark.requirement("S2-036", "S2-041")
def test_a_first_token_needs_a_way_in(builder: Builder) -> None:
    """A variable that would make nobody, or be somebody else's secret, is said at the start."""
    value = secrets.token_urlsafe(32)
    off = f'{ROLES}[tokens]\nbootstrap = "env:ADMIN_TOKEN"\n'
    assert "tokens.sign_in = true" in builder.refusal(off, ADMIN_TOKEN=value)
    assert "no role may manage users" in builder.refusal(ON.replace('"*"', '"note:read"'), ADMIN_TOKEN=value)
    assert "the application's secret" in builder.refusal(ON, ADMIN_TOKEN=value, SECRET_KEY=value)
    assert "ADMIN_TOKEN" in builder.refusal(ON)
    optional = ON.replace("ADMIN_TOKEN", "ADMIN_TOKEN?")
    assert builder.refusal(optional) == ""


def test_the_widest_role_is_the_administrators(builder: Builder) -> None:
    """Of several that manage users the one that may do everything is the first administrator's."""
    policy = builder.policy('[roles]\nclerk = ["user:manage"]\nroot = ["*"]\naide = ["user:*"]\n')
    assert tokens.administrators(policy) == ["root", "aide", "clerk"]


# Through the application


@pytest.mark.requirement("S2-006", "S2-007", "S2-071", "S2-072")
def test_the_limits_of_the_published_policy(flask_laboratory: Laboratory) -> None:
    """Ten sign-ins a minute from one address, five tokens an hour: the next is refused, others' are not."""
    from bylaw.controls import rate_limits

    lab = flask_laboratory
    routes = {lab.url("sign_in_token"): ("10/minute",), lab.url("token_new"): ("5/hour",)}
    person = lab.ordinary()
    with lab.under(rate_limits.Settings, routes=routes), lab.paced():
        statuses = [lab.sign_in_with(lab.visitor(), "wrong").status for _ in range(11)]
        assert statuses == [401] * 10 + [429]
        assert lab.sign_in_with(lab.visitor(peer="203.0.113.9"), "wrong").status == 401
        lab.clock.advance(61)
        assert lab.sign_in_with(lab.visitor(), "wrong").status == 401
        path, body = lab.api("token_new"), {"name": "one", "days": "1"}
        assert [person.act("POST", path, json=body).status for _ in range(6)] == [201] * 5 + [429]


@pytest.mark.requirement("S2-004")
def test_where_the_policy_has_none_there_is_no_page(laboratory: Laboratory) -> None:
    """A site without tokens has nothing to try: no page, no endpoint, no word at the sign-in page."""
    page, api = laboratory.url("sign_in_token"), laboratory.api("sign_in_token")
    with laboratory.under(Settings, sign_in=False):
        visitor = laboratory.visitor()
        assert visitor.get(page).status == 404
        assert visitor.send("POST", api, headers=visitor.from_here, json={"token": "x"}).status == 404
        assert "token" not in visitor.get(laboratory.url("sign_in")).text.replace("csrf_token", "")
    assert laboratory.visitor().get(page).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": 1},
        {"token": None},
        {"token": ["x"]},
        {"token": "x", "role": "admin"},
        {"token": "\x00"},
        {"token": ""},
    ],
)
def test_what_is_no_sign_in(laboratory: Laboratory, body: dict[str, object]) -> None:
    """A body that holds no token as text is a clear mistake of the client's."""
    visitor = laboratory.visitor()
    reply = visitor.send("POST", laboratory.api("sign_in_token"), headers=visitor.from_here, json=body)
    assert reply.status == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "days": "0"}, "days"),
        ({"name": "x", "days": "-1"}, "days"),
        ({"name": "x", "days": "1.5"}, "days"),
        ({"name": "x", "days": "\u0661"}, "days"),
        ({"name": "x", "days": "91"}, "lifetime"),
        ({"name": "x", "days": "99999"}, "lifetime"),
        ({"name": "x", "days": "never"}, "lifetime"),
        ({"name": "", "days": "1"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "x", "user": "somebody"}, "user"),
    ],
)
def test_what_makes_no_token(laboratory: Laboratory, body: dict[str, str], field: str) -> None:
    """A term or a name that is none is refused beside its field."""
    reply = laboratory.ordinary().act("POST", laboratory.api("token_new"), json=body)
    assert reply.status == 422
    assert field in reply.text
