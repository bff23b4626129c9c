"""Mail and addresses: what the policy may say, and the proof that it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bylaw import pages
from bylaw.controls import email
from bylaw.controls.email import CONTROL, must_confirm
from bylaw.operations import chores, mailing
from bylaw.pages import mailbox
from bylaw.ports import DirectoryMailer, Ports, SmtpMailer, nowhere
from bylaw.site import build
from bylaw.store import migrate, tables
from bylaw.verify.fakes import FakeClock
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from tests.controls.houses import Builder

SERVER = '[mail]\nserver = "env:SMTP_URL"\n'


@pytest.fixture
def policies(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


# Settings


@pytest.mark.requirement("C-10")
def test_addresses_are_confirmed_unless_the_policy_says_otherwise(policies: Builder) -> None:
    """By default a new account waits for its owner; leaving that out is allowed, and visible."""
    assert must_confirm(policies.policy())
    without = policies.policy("[email]\nconfirm = false")
    assert not must_confirm(without)
    assert [(below.key, below.standard) for _, below, _ in without.below_standard()] == [("confirm", "true")]
    assert not must_confirm(policies.policy('[email]\noff = true\nbecause = "single sign-on alone"'))


@pytest.mark.parametrize(
    "text",
    ["lifetime = '25h'", "lifetime = 60", "per_recipient = 0", "per_recipient = 1000", "confirms = true"],
)
def test_values_that_nobody_means_are_refused(policies: Builder, text: str) -> None:
    """A link that outlives a day, no mail at all, or a key that is none: the start says so."""
    assert text.partition(" ")[0] in policies.refusal(f"[email]\n{text}")


# Where mail goes (S1-067)


@pytest.mark.requirement("S1-067")
@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ('user = "mtc"', {"SMTP_URL": "smtp://mail.acme.eu"}, "SMTP_PASSWORD"),
        ("", {"SMTP_URL": "smtps://mtc@mail.acme.eu"}, "SMTP_PASSWORD"),
        ("", {"SMTP_URL": "smtp://mail.acme.eu", "SMTP_PASSWORD": "sheep and stars"}, "mail.user"),
        ("", {"SMTP_URL": "http://mail.acme.eu"}, "SMTP_URL"),
        ("", {"SMTP_URL": "smtp://"}, "SMTP_URL"),
        ("", {"SMTP_URL": "smtp://mail.acme.eu:port"}, "SMTP_URL"),
        ("", {"SMTP_URL": "smtp://[mail"}, "SMTP_URL"),
    ],
)
def test_a_login_that_is_not_whole_refuses_to_start(
    policies: Builder, text: str, environ: dict[str, str], said: str
) -> None:
    """The server wants a password and SMTP_PASSWORD is absent: that is said at the start, not at the first
    forgotten password; and no secret stands in it."""
    refused = policies.refusal(f"{SERVER}{text}", **environ)
    assert said in refused
    assert "sheep" not in refused


@pytest.mark.requirement("S1-067")
@pytest.mark.parametrize(
    ("text", "environ", "user", "password"),
    [
        ("", {"SMTP_URL": "smtp://mail.acme.eu"}, "", ""),
        ('user = "mtc"', {"SMTP_URL": "smtp://mail.acme.eu", "SMTP_PASSWORD": "s"}, "mtc", "s"),
        ('user = "mtc"\npassword = "env:OTHER"', {"SMTP_URL": "smtp://m.acme.eu", "OTHER": "o"}, "mtc", "o"),
        ("", {"SMTP_URL": "smtps://mtc:in-the-url@mail.acme.eu"}, "", ""),
        ("", {"SMTP_URL": "smtps://mtc@mail.acme.eu", "SMTP_PASSWORD": "s"}, "", "s"),
    ],
)
def test_a_login_comes_from_the_environment(
    policies: Builder, text: str, environ: dict[str, str], user: str, password: str
) -> None:
    """SMTP_PASSWORD is optional, and the password for whoever the policy or the URL names."""
    house = build(policies.policy(f"{SERVER}{text}", **environ), Ports(clock=FakeClock()))
    assert isinstance(house.mailer, SmtpMailer)
    assert (house.mailer.url, house.mailer.user, house.mailer.password) == (
        environ["SMTP_URL"],
        user,
        password,
    )
    assert "in-the-url" not in repr(house.mailer)
    house.store.close()


@pytest.mark.requirement("S1-061", "S1-067")
def test_a_password_does_not_stand_in_the_policy(policies: Builder) -> None:
    """Written out it refuses to start, and the refusal does not repeat it."""
    refused = policies.refusal(
        f'{SERVER}user = "m"\npassword = "sheep-and-stars"', SMTP_URL="smtp://m.acme.eu"
    )
    assert "mail.password" in refused
    assert "sheep" not in refused


def test_without_a_server_nothing_is_lost(policies: Builder, tmp_path: Path) -> None:
    """Where the policy names none, mail waits; a directory takes it where that is named."""
    assert build(policies.policy(), Ports(clock=FakeClock())).mailer is nowhere
    into = build(policies.policy(f'[mail]\ndirectory = "{tmp_path}"'), Ports(clock=FakeClock()))
    assert into.mailer == DirectoryMailer(tmp_path)


@pytest.mark.parametrize(
    "sender", ["", "MTC", "a@b.co, c@d.co", "MTC <>", "@", "a@", "a@b.co\\r\\nBcc: c@d.co"]
)
def test_a_sender_is_one_address(policies: Builder, sender: str) -> None:
    """What is no address, or several, could not be answered: the start says so."""
    assert "mail.sender" in policies.refusal(f'[mail]\nsender = "{sender}"')


def test_a_sender_may_have_a_name(policies: Builder) -> None:
    """With a name, in any script, or without."""
    for sender in ("no-reply@mtc.acme.eu", "MTC <no-reply@mtc.acme.eu>", "Bücher & Söhne <b@mtc.acme.eu>"):
        assert policies.policy(f'[mail]\nsender = "{sender}"').mail.sender == sender


# The mailbox of the development


def test_in_production_there_is_no_mailbox(laboratory: Laboratory) -> None:
    """Nobody reads another's mail on the web: no page, no route, no row of the matrix."""
    path = f"{laboratory.policy.pages.prefix}/mailbox"
    assert laboratory.visitor().page(path).status == 404
    assert laboratory.administrator().page(path).status == 404
    assert path not in [found for _, found, _ in laboratory.routes()]


def test_in_development_the_mailbox_shows_what_was_written_and_what_waits(
    policies: Builder, tmp_path: Path
) -> None:
    """Files of the directory and rows of the outbox, the newest first; what nobody can read is left out."""
    text = f'[mail]\ndirectory = "{tmp_path / "mail"}"\n'
    house = build(policies.policy(text, BYLAW_ENV="development"), Ports(clock=FakeClock()))
    migrate.upgrade(house.store.engine)
    assert "/auth/mailbox" in pages.table(house.policy)

    def write(subject: str) -> None:
        with house.store.transaction() as connection:
            mailing.post(house, connection, to="a@people.test", subject=subject, paragraphs=["Text.", "x"])

    write("sent")
    assert chores.send(house) == 1
    write("of another secret")
    with house.store.transaction() as connection:
        connection.execute(tables.outbox.update().values(text="1.AAAA"))
    write("waits")
    shown = mailbox.mails(house)
    assert [(mail.subject, mail.waits) for mail in shown] == [("waits", True), ("sent", False)]
    assert shown[1].text.startswith("Text.")
    house.store.close()


# What is said of it


@pytest.mark.parametrize(
    ("text", "environ", "said", "unsaid"),
    [
        ("", {}, "24 hours, one use", "SMTP"),
        ("[email]\nconfirm = false", {}, "5 mails of a kind an hour", "not signed in before"),
        ('[email]\noff = true\nbecause = "x"', {}, "not confirmed", "mails of a kind"),
        (SERVER, {"SMTP_URL": "smtp://mail.acme.eu"}, "STARTTLS", "first byte"),
        (SERVER, {"SMTP_URL": "smtps://mail.acme.eu"}, "TLS from the first byte", "STARTTLS"),
    ],
)
def test_the_document_says_what_is_so(
    policies: Builder, text: str, environ: dict[str, str], said: str, unsaid: str
) -> None:
    """SECURITY.md speaks of what this policy does, and of nothing that it leaves out."""
    statement = " ".join(CONTROL.statement(policies.policy(text, **environ)))
    assert said in statement
    assert unsaid not in statement


# Proof


@pytest.mark.parametrize("probe", CONTROL.probes, ids=lambda probe: probe.name)
def test_the_promise_holds_where_nothing_is_confirmed(flask_laboratory: Laboratory, probe: Any) -> None:
    """The probes ask for the confirmation themselves, whatever the policy says."""
    with flask_laboratory.under(email.Settings, confirm=False):
        result = attempt(CONTROL, probe, flask_laboratory)
    assert result.outcome == "pass", result.evidence
