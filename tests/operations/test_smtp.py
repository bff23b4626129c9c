"""SMTP: to a real server, with STARTTLS and login, over outages, refusals and the death of a process."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bylaw.house import House
from bylaw.operations import chores, mailing
from bylaw.operations.mailing import Link
from bylaw.ports import Deferred, Ports, Refusal, SmtpMailer, Unanswered
from bylaw.site import build
from bylaw.store import audit as audit_rows
from bylaw.store import migrate, outbox
from bylaw.verify.fakes import FakeClock
from tests.controls.houses import ENVIRON, Builder
from tests.operations.smtp_server import certificate, free_port, serving

POLICY = '[mail]\nsender = "MTC <no-reply@mtc.acme.eu>"\nserver = "env:SMTP_URL"\n'


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def house(tmp_path: Path, port: int) -> Iterator[House]:
    """A policy whose mail server is on this machine."""
    url = f"smtp://127.0.0.1:{port}"
    made = build(Builder(tmp_path).policy(POLICY, SMTP_URL=url), Ports(clock=FakeClock()))
    migrate.upgrade(made.store.engine)
    yield made
    made.store.close()


def write(house: House, count: int = 1) -> None:
    with house.store.transaction() as connection:
        for number in range(count):
            mailing.post(
                house,
                connection,
                to=f"p{number}@people.test",
                subject=f"Grüße {number}",
                paragraphs=[".A line that begins with a dot.", "Ünd noch eine, " + "lang " * 300],
                link=Link("Go on", "https://app.lab/" + "x" * 200),
            )


def waits(house: House) -> int:
    with house.store.reading() as connection:
        return outbox.count(connection)[0]


def records(house: House, action: str) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit_rows.rows(connection, action=action)


def test_a_real_server_gets_what_was_written(house: House, port: int) -> None:
    """Subject, text and HTML arrive as they were, whatever the letters, dots and lengths of the lines."""
    write(house)
    with serving(port=port) as inbox:
        assert chores.send(house) == 1
    [message] = inbox.messages
    assert inbox.recipients == [["p0@people.test"]]
    assert (message["From"], message["Subject"]) == ("MTC <no-reply@mtc.acme.eu>", "Grüße 0")
    plain = message.get_body(("plain",))
    assert plain is not None
    text = plain.get_content().replace("\r\n", "\n")
    assert text.startswith(
        f".A line that begins with a dot.\n\nGo on:\nhttps://app.lab/{'x' * 200}\n\nÜnd noch"
    )
    assert "lang " * 300 in text
    assert waits(house) == 0


@pytest.mark.parametrize("cafile", [True, False])
def test_a_login_goes_over_tls_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cafile: bool) -> None:
    """With STARTTLS and a certificate that is known the mail leaves; else not even the name is said."""
    file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if cafile:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with serving(tls=context, login=True) as inbox:
        mailer = SmtpMailer(f"smtp://localhost:{inbox.port}", user="mtc", password="sheep and stars")
        if cafile:
            mailer(_message())
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                mailer(_message())
    assert inbox.encrypted == ([True] if cafile else [])


def test_a_wrong_password_is_the_operators_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The login that fails is an outage: nothing is given up."""
    file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with serving(tls=context, login=True) as inbox:
        mailer = SmtpMailer(f"smtp://mtc:wrong@localhost:{inbox.port}")
        with pytest.raises(smtplib.SMTPAuthenticationError) as raised:
            mailer(_message())
    assert not isinstance(raised.value, Refusal)


def test_a_password_is_never_sent_in_the_clear() -> None:
    """A server (or somebody on the line) that offers no STARTTLS gets neither name nor password."""
    with serving() as inbox, pytest.raises(smtplib.SMTPNotSupportedError):
        SmtpMailer(f"smtp://localhost:{inbox.port}", user="mtc", password="sheep and stars")(_message())
    assert inbox.messages == []


def _message() -> Any:
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@people.test", "b@people.test", "Hello"
    message.set_content("Text")
    return message


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("550 no such user", Refusal),
        ("553 not like this", Refusal),
        ("450 busy", Deferred),
        ("452 full", Deferred),
        ("530 log in first", OSError),
        ("421 going down", OSError),
    ],
)
def test_what_a_refused_recipient_means(answer: str, error: type[OSError]) -> None:
    """5xx is for good, 4xx for now; what is about the login or the server is about no message."""
    with serving() as inbox:
        inbox.answers["b@people.test"] = answer
        with pytest.raises(error) as raised:
            SmtpMailer(f"smtp://127.0.0.1:{inbox.port}")(_message())
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("answer", "error"),
    [("554 spam", Refusal), ("451 try later", Deferred), ("hang up", Unanswered)],
)
def test_what_a_refused_message_means(answer: str, error: type[OSError]) -> None:
    """The same after the text; and a server that goes away then may have taken it."""
    with serving() as inbox:
        inbox.after_data.append(answer)
        with pytest.raises(error):
            SmtpMailer(f"smtp://127.0.0.1:{inbox.port}")(_message())


def test_down_then_up(house: House, port: int) -> None:
    """Ten mails of an outage leave once the server is there, each once and none as a second copy."""
    write(house, 10)
    clock: Any = house.ports.clock
    for _ in range(30):
        assert chores.send(house) == 0
        clock.advance(1)
    assert waits(house) == 10
    with serving(port=port) as inbox:
        clock.advance(60)
        while chores.send(house):
            pass
    assert sorted(message["To"] for message in inbox.messages) == sorted(
        f"p{n}@people.test" for n in range(10)
    )
    assert {message["X-Sent-Before"] for message in inbox.messages} == {None}
    assert waits(house) == 0


def test_one_bad_address_among_good_ones(house: House, port: int) -> None:
    """Refused for good: given up with a record. Refused for now: tried again. The others leave at once."""
    write(house, 4)
    with serving(port=port) as inbox:
        inbox.answers.update({"p1@people.test": "550 nobody", "p2@people.test": "450 later"})
        assert chores.send(house) == 2
        assert waits(house) == 1
        del inbox.answers["p2@people.test"]
        house.ports.clock.advance(2)  # type: ignore[attr-defined]
        assert chores.send(house) == 1
    assert [record["changes"]["why"] for record in records(house, "mail_given_up")] == [
        "the mail server said 550"
    ]


def test_a_line_that_breaks_after_the_text(house: House, port: int) -> None:
    """The server took it and could not say so: the second copy has the same id, and says so."""
    write(house)
    with serving(port=port) as inbox:
        inbox.after_data.append("hang up")
        assert chores.send(house) == 0
        house.ports.clock.advance(2)  # type: ignore[attr-defined]
        assert chores.send(house) == 1
    first, second = inbox.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert [m["X-Sent-Before"] for m in inbox.messages] == [None, "perhaps"]
    assert len(records(house, "mail_sent_again")) == 1


# Processes of their own

_SENDER = """
import os, sys, time
from pathlib import Path
from bylaw import policy as policies
from bylaw.controls import CONTROLS
from bylaw.operations import chores
from bylaw.ports import Ports
from bylaw.site import build
from bylaw.store import outbox

class At:
    now = float(sys.argv[2])
    def __call__(self):
        return self.now

house = build(policies.load(Path(sys.argv[1]), CONTROLS, dict(os.environ)), Ports(clock=At()))
if sys.argv[3] == "die":
    def drop(*args):
        print("sent", flush=True)
        time.sleep(600)
    outbox.drop = drop
while chores.send(house):
    pass
house.store.close()
"""


def _sender(tmp_path: Path, house: House, port: int, what: str = "send") -> subprocess.Popen[str]:
    environ = {
        **os.environ,
        **ENVIRON,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'house.db'}",
        "SMTP_URL": f"smtp://127.0.0.1:{port}",
        "BYLAW_ENV": "production",
    }
    arguments = [sys.executable, "-c", _SENDER, str(tmp_path / "bylaw.toml"), str(house.now()), what]
    return subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, text=True)


def test_a_process_is_killed_between_sending_and_noting_it(house: House, port: int, tmp_path: Path) -> None:
    """SIGKILL at the worst moment: the mail is not lost, comes again when the lease is over, and says so."""
    write(house)
    with serving(port=port) as inbox:
        process = _sender(tmp_path, house, port, "die")
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        process.stdout.close()
        assert len(inbox.messages) == 1
        assert chores.send(house) == 0
        house.ports.clock.advance(chores.LEASE)  # type: ignore[attr-defined]
        assert chores.send(house) == 1
    first, second = inbox.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert (first["X-Sent-Before"], second["X-Sent-Before"]) == (None, "perhaps")
    [record] = records(house, "mail_sent_again")
    assert re.fullmatch(r"<[0-9a-f]{32}@app\.lab>", record["entity_id"])


def test_two_processes_send_at_once(house: House, port: int, tmp_path: Path) -> None:
    """Sixty mails, two senders in processes of their own: each mail leaves once."""
    write(house, 60)
    with serving(port=port) as inbox:
        processes = [_sender(tmp_path, house, port) for _ in range(2)]
        for process in processes:
            assert process.wait(120) == 0
            assert process.stdout is not None
            process.stdout.close()
    got = sorted(str(message["To"]) for message in inbox.messages)
    assert got == sorted(f"p{n}@people.test" for n in range(60))
    assert waits(house) == 0
    assert records(house, "mail_sent_again") == []
