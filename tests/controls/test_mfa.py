"""Second factors: what a code is, what the policy may say, and the probes that watch over them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw.controls import mfa, sessions
from bylaw.controls.mfa import CONTROL, Settings, matching, typed
from bylaw.controls.mfa.probes import WRONG, App, enrol
from bylaw.identity import STEP_UP, Identity, StepUp
from bylaw.keys import digest
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from tests.applications.stacks import hurry
from tests.controls.houses import Builder

SECRET = b"12345678901234567890"
"""Of RFC 4226 appendix D and RFC 6238 appendix B."""
NOW = 1_800_000_000.0


# Codes


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    ("count", "code"),
    [
        (0, "755224"),
        (1, "287082"),
        (2, "359152"),
        (3, "969429"),
        (4, "338314"),
        (5, "254676"),
        (6, "287922"),
        (7, "162583"),
        (8, "399871"),
        (9, "520489"),
    ],  # RFC 4226 appendix D
)
def test_the_vectors_of_rfc_4226(count: int, code: str) -> None:
    """The ten codes of the standard are made at their counts, and at no other."""
    settings = Settings(drift=0)
    assert matching(settings, SECRET, code, count * mfa.STEP) == [count]
    assert matching(settings, SECRET, code, (count + 1) * mfa.STEP) == []


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(at: int, code: str) -> None:
    """The standard's times, in the six digits that apps show of its eight."""
    assert matching(Settings(), SECRET, code[2:], at) == [at // 30]


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(("drift", "right"), [(0, [0]), (1, [-1, 0, 1]), (2, [-2, -1, 0, 1, 2])])
def test_a_clock_may_be_off_by_so_many_steps(drift: int, right: list[int]) -> None:
    """A code is right within the drift each way, and a second outside it is not."""
    settings, now = Settings(drift=drift), NOW
    seen = []
    for steps in range(-4, 5):
        code = App(_Clock(now), mfa.base32(SECRET), []).shown(steps=steps)
        if matching(settings, SECRET, code, now):
            seen.append(steps)
    assert seen == right
    at = int(now) // 30
    edge = App(_Clock(now), mfa.base32(SECRET), []).shown(steps=-drift)
    assert matching(settings, SECRET, edge, (at + 1) * 30 - 0.001) == [at - drift]
    assert matching(settings, SECRET, edge, (at + 1) * 30) == []


class _Clock:
    """What an App asks of a laboratory."""

    def __init__(self, now: float) -> None:
        self._now = now

    def clock(self) -> float:
        return self._now


@given(st.text(max_size=80), st.floats(0, 4e9))
def test_whatever_is_sent_is_compared(code: str, now: float) -> None:
    """No text raises, and nothing but six digits is ever right."""
    if matching(Settings(), SECRET, typed(code), now):
        assert mfa.is_app_code(typed(code))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("123 456", "123456"),
        (" 123-456\n", "123456"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", "123456"),
        ("K3VP-X9TA-0000-0000-0000-0000", "k3vpx9ta0000000000000000"),
        ("k3vp x9ta", "k3vpx9ta"),
        ("\ud800", "\ud800"),
        ("", ""),
    ],
)
def test_a_code_as_it_was_meant(text: str, meant: str) -> None:
    """Blanks, hyphens, width and case make no difference."""
    assert typed(text) == meant


@pytest.mark.parametrize("text", ["12345", "1234567", "12345a", "", "١٢٣٤٥٦", "12345²"])
def test_what_no_app_shows(text: str) -> None:
    """Six ASCII digits; what merely counts as a digit elsewhere is none."""
    assert not mfa.is_app_code(text)


def test_what_an_app_is_given(tmp_path: Path) -> None:
    """The address names the application and the account, and holds the secret that can be typed as well."""
    policy = Builder(tmp_path).policy('[app]\nname = "Rooms: & Halls"\n')
    address = urlsplit(mfa.address(policy, SECRET, "ann+b@people.test"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path).endswith("ann+b@people.test")
    asked = parse_qs(address.query)
    assert asked["secret"] == [base64.b32encode(SECRET).decode()]
    assert asked["issuer"] == ["Rooms  & Halls"]


@pytest.mark.requirement("S3-083")
def test_a_recovery_code_is_beyond_guessing(tmp_path: Path) -> None:
    """120 random bits (ASVS 6.5.2 and 6.5.4), in letters that nobody mistakes; mistaken ones still work."""
    house = Builder(tmp_path).house()
    codes = [mfa.make_code(house) for _ in range(200)]
    assert len(set(codes)) == 200
    assert {len(typed(code)) for code in codes} == {24}
    assert set("".join(map(typed, codes))) == set("0123456789abcdefghjkmnpqrstvwxyz")
    code = "o1il" + "0" * 20
    assert mfa.kept("ann", typed(code)) == mfa.kept("ann", "0111" + "0" * 20)
    assert mfa.kept("ann", typed(codes[0])) != mfa.kept("bob", typed(codes[0]))


# The policy


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('required = ["boss"]', "names what is no role: boss"),
        ("fresh = 59", "60 seconds or more"),
        ('fresh = "2h"', "3600 seconds or less"),
        ("drift = 3", "2 or less"),
        ("drift = -1", "0 or more"),
        ("sms = true", "no such key"),
        ('off = true\nbecause = "we trust passwords"', "a password alone would open accounts"),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, text: str, said: str) -> None:
    """A role that does not exist, a proof that is for ever, a code that is right for minutes."""
    assert said in Builder(tmp_path).refusal(f'[roles]\nadmin = ["*"]\n[mfa]\n{text}\n')


def test_what_is_below_the_standard(tmp_path: Path) -> None:
    """One step each way is what RFC 6238 recommends at most."""
    policy = Builder(tmp_path).policy("[mfa]\ndrift = 2\n")
    assert [(name, below.key) for name, below, _ in policy.below_standard() if name == "mfa"] == [
        ("mfa", "drift")
    ]
    assert not [
        n for n, _, _ in Builder(tmp_path).policy("[mfa]\ndrift = 1\n").below_standard() if n == "mfa"
    ]


@pytest.mark.requirement("S3-083")
def test_what_the_document_says(tmp_path: Path) -> None:
    """Who must have one, how far a clock may be off, how lately a sensitive step wants a proof."""
    roles = '[roles]\nadmin = ["*"]\nclerk = ["note:read"]\n'
    none = " ".join(CONTROL.statement(Builder(tmp_path).policy(roles)))
    assert "everybody's own choice" in none
    some = " ".join(
        CONTROL.statement(
            Builder(tmp_path).policy(
                f'{roles}[mfa]\nrequired = ["admin", "clerk"]\nfresh = "5m"\ndrift = 0\n'
            )
        )
    )
    for words in ("role admin and clerk must", "5 minutes", "0 steps each way"):
        assert words in some


def test_who_must_have_one(tmp_path: Path) -> None:
    """Whoever holds one of the roles, beside whichever others."""
    policy = Builder(tmp_path).policy('[roles]\nadmin = ["*"]\nuser = ["a:b"]\n[mfa]\nrequired = ["admin"]\n')
    held = [frozenset(), frozenset({"user"}), frozenset({"user", "admin"})]
    assert [mfa.required(policy, each) for each in held] == [False, False, True]


@pytest.mark.requirement("S3-083")
def test_how_fresh_a_proof_must_be(tmp_path: Path) -> None:
    """Up to the policy's age, to the second; the refusal says what is asked for."""
    house = Builder(tmp_path).house()
    now = house.now()
    mfa.demand_fresh(house, Identity("ann", authenticated_at=now - 600))
    with pytest.raises(StepUp) as refused:
        mfa.demand_fresh(house, Identity("ann", authenticated_at=now - 600.5))
    assert refused.value.reason is STEP_UP
    assert refused.value.rule.max_age == 600


# What people go through


def someone(laboratory: Laboratory) -> tuple[Client, App]:
    """Somebody with an authenticator app."""
    hurry(laboratory)
    owner = laboratory.client("user")
    return owner, enrol(laboratory, owner)


def show(laboratory: Laboratory, client: Client, code: str) -> Reply:
    return client.act("POST", laboratory.api("second_factor"), json={"code": code})


@pytest.mark.requirement("S3-083")
def test_nothing_that_is_fetched_gives_a_secret_away(laboratory: Laboratory) -> None:
    """A065: looking at the pages for second factors, as a page or as data, shows no secret and no code."""
    owner, app = someone(laboratory)
    known = [app.secret, app.secret[:8], *app.codes]
    for name in ("factors", "authenticator", "second_factor", "step_up"):
        for seen in (owner.get(laboratory.api(name)), owner.page(laboratory.url(name))):
            assert seen.status in (200, 303)
            assert not [text for text in known if text in seen.text]
            assert "otpauth" not in seen.text


@pytest.mark.requirement("S3-083")
def test_a_secret_is_shown_again_only_after_a_wrong_code(laboratory: Laboratory) -> None:
    """Whoever mistypes the first code need not scan anew; nobody else's browser is shown anything."""
    hurry(laboratory)
    owner = laboratory.client("user")
    field = [("csrf_token", owner.token())]
    first = owner.send("POST", laboratory.url("authenticator"), form=field, headers=owner.from_here)
    assert first.status == 200
    assert "<svg" in first.text
    assert first.header("cache-control") == "no-store"
    begun = owner.act("POST", laboratory.api("authenticator"), json={}).json()
    wrong = owner.send(
        "POST", laboratory.url("authenticator"), form=[*field, ("code", "000 000")], headers=owner.from_here
    )
    assert wrong.status == 422
    assert begun["secret"][:4] in wrong.text
    assert "000 000" not in wrong.text
    other = laboratory.browser(owner)
    other.token_page = laboratory.url("factors")
    code = App(laboratory, begun["secret"], []).shown()
    reply = other.act("POST", laboratory.api("authenticator"), json={"code": code})
    assert reply.code == "mfa.over"
    laboratory.clock.advance(601)
    late = owner.act(
        "POST", laboratory.api("authenticator"), json={"code": App(laboratory, begun["secret"], []).shown()}
    )
    assert late.code == "mfa.over"


def test_an_account_has_five_apps_at_most(laboratory: Laboratory) -> None:
    """Each further app makes codes that a guess may hit."""
    owner, first = someone(laboratory)
    for _ in range(mfa.MOST - 1):
        again = enrol(laboratory, owner)
        assert again.codes == []
        assert again.secret != first.secret
    full = owner.act("POST", laboratory.api("authenticator"), json={})
    assert full.code == "mfa.full"
    laboratory.clock.advance(mfa.STEP)
    assert show(laboratory, laboratory.browser(owner), again.shown()).status == 200
    assert show(laboratory, laboratory.browser(owner), first.shown()).status == 200


@pytest.mark.requirement("S3-083")
def test_new_recovery_codes_end_the_old(laboratory: Laboratory) -> None:
    """Ten at a time; the ones from before open nothing, and their owner is told."""
    owner, app = someone(laboratory)
    made = owner.act("POST", laboratory.api("factors"), json={"action": "codes"}).json()["recovery_codes"]
    assert len(made) == mfa.CODES == len(set(made) - set(app.codes))
    assert show(laboratory, laboratory.browser(owner), app.codes[0]).code == "mfa.wrong"
    assert show(laboratory, laboratory.browser(owner), made[0].upper().replace("-", " ")).status == 200
    assert "New recovery codes at Notes" in [m["Subject"] for m in laboratory.mail()]


@pytest.mark.requirement("S3-083")
def test_a_recovery_code_tells_its_owner_and_when_few_are_left(laboratory: Laboratory) -> None:
    """Each use is a mail; from three on it says how many are left."""
    owner, app = someone(laboratory)
    for number, code in enumerate(app.codes, 1):
        assert show(laboratory, laboratory.browser(owner), code).status == 200
        mails = [m for m in laboratory.mail() if m["Subject"].startswith("A recovery code was used")]
        assert len(mails) == number
        said = str(mails[-1])
        assert code not in said
        left = mfa.CODES - number
        assert (f"You have {left or 'no'} recovery code" in said) is (left <= mfa.FEW)
    assert show(laboratory, laboratory.browser(owner), app.codes[0]).code == "mfa.wrong"


@pytest.mark.requirement("S3-083")
def test_half_a_sign_in_is_soon_over(laboratory: Laboratory) -> None:
    """A046: what waits for its second factor waits ten minutes; finished, it lives as long as any other."""
    owner, app = someone(laboratory)
    waiting, late = laboratory.browser(owner), laboratory.browser(owner)
    assert show(laboratory, waiting, app.next()).status == 200
    laboratory.clock.advance(600)
    assert show_without_token(laboratory, late, app.next()).status in (400, 401, 403)
    assert laboratory.whoami(waiting).status == 200
    for _ in range(20):
        sessions.write_seen(laboratory.site.house)  # as each process does every second, here an hour apart
        laboratory.clock.advance(3500)
        assert laboratory.whoami(waiting).status == 200


def show_without_token(laboratory: Laboratory, client: Client, code: str) -> Reply:
    return client.send("POST", laboratory.api("second_factor"), headers=client.from_here, json={"code": code})


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"code": ""},
        {"code": None},
        {"code": 123456},
        {"code": ["1"]},
        {"code": "\ud800"},
        {"code": "1\x002345"},
        {"code": "1" * 100_000},
        {"code": "123456", "user": "root"},
        {"code": "123456", "next": "x" * 3000},
    ],
    ids=lambda sent: str(sent)[:40],
)
def test_what_is_no_code_is_refused_politely(laboratory: Laboratory, sent: Any) -> None:
    """Whatever comes in the place of a code is a clear 4xx, and opens nothing."""
    owner, _ = someone(laboratory)
    thief = laboratory.browser(owner)
    for name in ("second_factor", "step_up"):
        reply = thief.act("POST", laboratory.api(name), json=sent)
        assert reply.status in (400, 401, 413, 422), reply
        assert laboratory.whoami(thief).status == 401
    for name in ("authenticator", "factors"):
        reply = owner.act("POST", laboratory.api(name), json={**sent, "action": "x"})
        assert 400 <= reply.status < 500


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize("which", ["nobody", "", "x" * 22, "\x00", "'; drop table"])
def test_a_factor_that_is_not_there(laboratory: Laboratory, which: str) -> None:
    """An id that is none is 404 or 422, whatever it is made of."""
    owner, _ = someone(laboratory)
    for action in ("remove", "rename"):
        sent = {"action": action, "factor": which, "name": "n"}
        assert owner.act("POST", laboratory.api("factors"), json=sent).status in (404, 422)


def test_a_name_is_text_and_nothing_else(laboratory: Laboratory) -> None:
    """A name is escaped where it is shown, may be left out, and is not as long as one likes."""
    owner, _ = someone(laboratory)
    app = owner.get(laboratory.api("factors")).json()["apps"][0]
    for name, status in (("<script>alert(1)</script>", 200), ("x" * 65, 422), ("a\nb", 422), ("  ", 200)):
        sent = {"action": "rename", "factor": app["id"], "name": name}
        assert owner.act("POST", laboratory.api("factors"), json=sent).status == status
        assert "<script>alert" not in owner.page(laboratory.url("factors")).text
    assert owner.get(laboratory.api("factors")).json()["apps"][0]["name"] == "Authenticator app"


@pytest.mark.requirement("S3-083")
def test_the_account_that_lost_its_factors_is_helped(laboratory: Laboratory) -> None:
    """An administrator's unlocking begins the count of wrong codes anew; a new password does not."""
    owner, app = someone(laboratory)
    settings = laboratory.policy.of(_lockout())
    with laboratory.paced():
        for _ in range(settings.free):
            assert show(laboratory, laboratory.browser(owner), WRONG).code == "mfa.wrong"
        changed = owner.act(
            "POST",
            laboratory.api("change_password"),
            json={"current": owner.password, "password": "another quiet walk by the water"},
        )
        assert changed.status == 200
        assert show(laboratory, laboratory.browser(owner), app.shown(steps=1)).code == "mfa.wait"
        admin = laboratory.administrator()
        unlocked = admin.act(
            "POST", f"{laboratory.api('users')}/{owner.id}", json={"action": "unlock", "reason": "called us"}
        )
        assert unlocked.status == 200, unlocked.text
        assert show(laboratory, laboratory.browser(owner), app.shown(steps=1)).status == 200


def _lockout() -> type[Any]:
    from bylaw.controls import lockout

    return lockout.Settings


def test_the_session_before_and_after_is_another(laboratory: Laboratory) -> None:
    """Each further proof gives the session a new id: whoever knew the old one has nothing."""
    owner, app = someone(laboratory)
    browser = laboratory.browser(owner)
    before = browser.cookies[laboratory.cookie]
    assert show(laboratory, browser, app.next()).status == 200
    after = browser.cookies[laboratory.cookie]
    assert digest(before) != digest(after)
    thief = laboratory.visitor()
    thief.cookies[laboratory.cookie] = before
    assert laboratory.whoami(thief).status == 401
