"""How a policy is read: what is no policy at all, where values come from, and how it is layered."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values

from bylaw import policy
from bylaw.control import Control, Settings
from bylaw.controls import CONTROLS, passwords, secrets, sessions
from bylaw.errors import PolicyError
from bylaw.policy import Policy
from tests.policy.goldens import SECRET, USUAL

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from this repository, whose `.env` would be read."""
    monkeypatch.chdir(tmp_path)


def read(text: str = "", *, at: str = "bylaw.toml", **changed: str) -> Policy:
    Path(at).write_text(text, "utf-8")
    return policy.load(at, CONTROLS, {**USUAL, **changed})


def refused(text: str = "", **changed: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        read(text, **changed)
    return caught.value


# What is no policy at all


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bylaw.toml", "No such file or directory"),
        (".", "Is a directory"),
        ("by\0law.toml", "no file has this name"),
    ],
)
def test_a_file_that_cannot_be_read_says_how_to_make_one(name: str, why: str) -> None:
    """No file, a folder, or a name that no file can have: one sentence and the remedy."""
    with pytest.raises(PolicyError) as caught:
        policy.load(name, CONTROLS, USUAL)
    (problem,) = caught.value.problems
    assert (problem.what, problem.why, problem.accepted) == ("not readable", why, "make one: bylaw init")


def test_text_of_another_encoding_is_refused() -> None:
    """Latin-1 would be read as something else by the next editor."""
    Path("bylaw.toml").write_bytes('[app]\nname = "Käse"\n'.encode("latin-1"))
    with pytest.raises(PolicyError) as caught:
        policy.load("bylaw.toml", CONTROLS, USUAL)
    assert "not UTF-8 text" in str(caught.value)


def test_a_nul_in_the_file_is_refused() -> None:
    """A NUL would end the text for one reader and not for another."""
    assert "not TOML" in str(refused('[app]\nname = "MTC\0"\n'))


@pytest.mark.parametrize(
    "text",
    [
        f"[passwords]\nmin_length = {'9' * 5000}\n",
        f"[passwords]\nmin_length = 0x{'f' * 5000}\n",
    ],
)
def test_a_number_of_thousands_of_digits_is_refused(text: str) -> None:
    """Python itself gives up on such a number, by an error of its own."""
    assert "a number in it is endless" in str(refused(text))


@pytest.mark.parametrize("depth", [150, 100_000])
def test_a_policy_nested_without_end_is_refused(depth: int) -> None:
    """Tables in tables until the reader's stack is full end in a sentence as well."""
    assert refused(f"[app]\nname = {'[' * depth}{']' * depth}\n").problems


def test_a_float_that_is_no_number_is_refused() -> None:
    """TOML has nan and inf; no setting is one of them."""
    assert len(refused("[passwords]\nmin_length = nan\nmax_length = inf\n").problems) == 2


# Where values come from


@pytest.mark.requirement("S1-069")
def test_dotenv_is_looked_for_beside_the_policy_and_where_the_process_started(tmp_path: Path) -> None:
    """Beside the policy first: an application's own file counts more than the shell's folder."""
    (tmp_path / "app").mkdir()
    Path(".env").write_text("BASE_URL=https://started.acme.eu\n")
    Path(".env").chmod(0o600)
    unset = {k: v for k, v in USUAL.items() if k != "BASE_URL"}
    Path("app/bylaw.toml").touch()
    assert policy.load("app/bylaw.toml", CONTROLS, unset).app.base_url == "https://started.acme.eu"
    Path("app/.env").write_text("BASE_URL=https://beside.acme.eu\n")
    Path("app/.env").chmod(0o600)
    assert policy.load("app/bylaw.toml", CONTROLS, unset).app.base_url == "https://beside.acme.eu"


def test_a_dotenv_that_is_no_text_is_refused() -> None:
    """A damaged file must not pass for one without variables."""
    Path(".env").write_bytes(b"SECRET_KEY=\xff\xfe\n")
    Path(".env").chmod(0o600)
    assert [p.what for p in refused().problems] == ["not readable"]


def test_a_variable_of_odd_bytes_is_refused() -> None:
    """What the system hands over in another encoding is not guessed at."""
    (problem,) = refused(SECRET_KEY=f"{SECRET}\udcff").problems
    assert (problem.where, problem.what, problem.why) == ("SECRET_KEY", "secrets.key", "not UTF-8 text")


def test_a_file_reference_may_not_hold_a_nul() -> None:
    """A path that no file can have is a problem with a name, not a traceback."""
    assert "not readable" in str(refused('[secrets]\nkey = "file:\\u0000"\n'))


@pytest.mark.requirement("S1-068", "C-07")
def test_development_without_a_key_gets_another_one_each_time() -> None:
    """What a developer's process signs is worth nothing to the next one, nor to production."""
    text = '[development]\napp.base_url = "http://127.0.0.1:5000"\n'
    keys = [secrets.ring(read(text, BYLAW_ENV="development", SECRET_KEY="")) for _ in range(2)]
    assert keys[0] != keys[1]
    assert refused(text, SECRET_KEY="").problems[0].what == "not set"


def test_an_optional_item_that_is_absent_leaves_the_others_their_names() -> None:
    """The second of two old keys is blamed for its own weakness, though the first is not there."""
    text = '[secrets]\nprevious = ["env:FIRST?", "env:SECOND?"]\n'
    (problem,) = refused(text, SECOND="a" * 64).problems
    assert (problem.where, problem.what) == ("SECOND", "secrets.previous.1")


def test_a_problem_that_two_keys_share_is_said_once_for_each() -> None:
    """One missing variable, two keys that need it: two lines, and none of them twice."""
    text = '[app]\nname = "env:NAME"\nprofile = "env:PROFILE"\n[mail]\nserver = "env:NAME"\n'
    assert [p.where for p in refused(text).problems] == ["PROFILE", "NAME", "NAME"]


# Layers


def test_lists_and_values_are_replaced_and_tables_merged() -> None:
    """[development] names what differs; everything else stays."""
    text = """
    [headers]
    img_src = ["'self'", "https://cdn.acme.eu"]
    hsts = "365d"
    [development]
    app.base_url = "http://127.0.0.1:5000"
    headers.img_src = ["'self'"]
    """
    found = read(text, BYLAW_ENV="development").controls["headers"]
    assert found.model_dump(include={"img_src", "hsts"}) == {"img_src": ("'self'",), "hsts": 31_536_000}


def test_a_policy_without_a_word_is_the_standard() -> None:
    """An empty file with its three variables is kept, and nothing of it is below the standard."""
    assert list(read().below_standard()) == []


def test_what_is_below_the_standard_is_listed_with_its_reason() -> None:
    """A weaker value is allowed, but never unseen."""
    found = list(read('[passwords]\nmin_length = 8\nbecause = "published so"\n').below_standard())
    assert [(section, below.key, because) for section, below, because in found] == [
        ("passwords", "min_length", "published so")
    ]


def test_settings_are_found_by_their_type() -> None:
    """A control asks for its own settings and gets those."""
    found = read('[sessions]\nidle = "10m"\n')
    assert found.of(sessions.Settings).idle == 600
    assert type(found.of(passwords.Settings)) is passwords.Settings


def test_a_control_of_ones_own_has_a_section() -> None:
    """The registry is an argument: a section exists as soon as its control does."""

    class Own(Settings):
        answer: int = 41

    own = Control(name="own", title="Own", settings=Own, statement=lambda _: [])
    Path("bylaw.toml").write_text("[own]\nanswer = 42\n")
    assert policy.load("bylaw.toml", (*CONTROLS, own), USUAL).of(Own).answer == 42


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://MTC.acme.eu:443", "https://mtc.acme.eu"),
        ("http://mtc.acme.eu:80", "http://mtc.acme.eu"),
        ("https://mtc.acme.eu:8443", "https://mtc.acme.eu:8443"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ],
)
def test_the_origin_is_spelled_as_browsers_spell_it(url: str, origin: str) -> None:
    """In lower case and without the port that its scheme implies (RFC 6454)."""
    found = read(f'[app]\nbase_url = "{url}"\n[development]\n', BYLAW_ENV="development")
    assert found.app.origin == origin


@pytest.mark.parametrize(
    "host",
    [
        "yourdomain.com",
        "www.yourdomain.com",
        "example.com",
        "a.example.org",
        "mtc.example",
        "mtc.test",
        "mtc.invalid",
        "localhost",
        "a.localhost",
        "localhost:5000",
        "127.0.0.1",
        "[::1]",
        "[::]",
        "your_host_here.acme.eu",
        "EXAMPLE.COM",
        "example.com.",
    ],
)
@pytest.mark.requirement("S1-070", "S2-055", "C-18")
def test_an_address_that_is_nobodys_does_not_start(host: str) -> None:
    """Mail would lead into the void, and every request would come from another site."""
    assert refused(f'[app]\nbase_url = "https://{host}"\n').problems[0].what.startswith("app.base_url")


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "ftp://mtc.acme.eu",
        "https://mtc.acme.eu/",
        "https://user@mtc.acme.eu",
        "//mtc.acme.eu",
        "https://mtc acme.eu",
        "https://mtc.acme.eu?x",
        "https://käse.eu",
        "https://mtc.acme.eu\\r\\nX: y",
        "https://mtc.acme.eu;",
        "https://mtc.acme.eu:https",
        "https://.acme.eu",
        "https://a,b",
    ],
)
def test_an_address_is_scheme_host_and_port_alone(url: str) -> None:
    """Links and headers are built from it: what else it could carry would stand there."""
    assert [p.why for p in refused(f'[app]\nbase_url = "{url}"\n').problems] == ["not of this form"]


@pytest.mark.parametrize("url", ["https://[:::1]", "https://[1.2.3.4]", "https://a:65536", "https://a:0"])
@pytest.mark.parametrize("environment", ["production", "development"])
def test_an_address_that_has_the_form_but_is_none_is_refused(url: str, environment: str) -> None:
    """Numbers that no host or port can have: everything that is built from it would fail later."""
    found = refused(f'[app]\nbase_url = "{url}"\n', BYLAW_ENV=environment)
    assert [p.why for p in found.problems] == ["no address"]


@pytest.mark.requirement("S1-070", "S2-055")
def test_no_value_of_the_example_file_starts_in_production() -> None:
    """Somebody copies `.env.example` and forgets to fill it in: each of its values is refused by name."""
    example = {k: v or "" for k, v in dotenv_values(ROOT / ".env.example").items()}
    text = '[mail]\nserver = "env:SMTP_URL"\nuser = "env:SMTP_USER"\n[rate_limits]\nstore = "env:REDIS_URL"\n'
    text += '[proxies]\ntrusted = ["env:TRUSTED_PROXY"]\nx_for = 1\n'
    text += '[federated.google]\nclient_id = "env:GOOGLE_CLIENT_ID"\n'
    text += 'client_secret = "env:GOOGLE_CLIENT_SECRET"\n'
    text += '[uploads]\nkinds = ["csv"]\n[malware]\nclamd = "env:CLAMD_URL"\n'
    good = {"CLAMD_URL": "unix:/run/clamav/clamd.ctl"}
    good |= {"SMTP_URL": "smtps://mail.acme.eu", "REDIS_URL": "rediss://cache.acme.eu"}
    good |= {"SMTP_USER": "shop", "SMTP_PASSWORD": "given out by the mail server"}
    good["TRUSTED_PROXY"] = "10.0.0.0/8"
    good |= {"GOOGLE_CLIENT_ID": "123.apps", "GOOGLE_CLIENT_SECRET": "given out by Google"}
    for name, value in example.items():
        if name != "BYLAW_ENV":
            found = refused(text, **{**good, name: value})
            assert [problem.where for problem in found.problems] == [name]
    read(text, **good)  # and nothing else was wrong with them
    assert example["BYLAW_ENV"] == "production"
