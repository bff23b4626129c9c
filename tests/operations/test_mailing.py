"""Mail: what a message looks like, what cannot get into it, and how many one address gets."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bylaw.controls import email
from bylaw.house import House
from bylaw.keys import Unreadable
from bylaw.operations import chores, mailing
from bylaw.operations.mailing import Link
from bylaw.store import audit as audit_rows
from bylaw.store import outbox, tables
from bylaw.store.outbox import Waiting
from bylaw.verify.fakes import Mailbox

LINK = Link("Go on", "https://app.lab/auth/on?a=1&b=<2>")


def post(house: House, to: str = "a@people.test", subject: str = "Hello", **how: object) -> bool:
    paragraphs = how.pop("paragraphs", ["One.", "Two."])
    with house.store.transaction() as connection:
        return mailing.post(house, connection, to=to, subject=subject, paragraphs=paragraphs, **how)  # type: ignore[arg-type]


def sent(house: House, mailbox: Mailbox, **what: object) -> EmailMessage:
    """One message as the wire would have it: flattened and read again."""
    post(house, **what)  # type: ignore[arg-type]
    chores.send(house)
    return message_from_bytes(mailbox.messages.pop().as_bytes(policy=SMTP), policy=default)


def parts(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


def test_a_message_says_the_same_as_text_and_as_html(house: House, mailbox: Mailbox) -> None:
    """The best part that a reader can show holds every paragraph, and the link as a button and in full."""
    message = sent(house, mailbox, paragraphs=["Ünd so <b>", "Two\nlines."], link=LINK)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text, html = parts(message)
    assert text.replace("\r\n", "\n") == f"Ünd so <b>\n\nGo on:\n{LINK.url}\n\nTwo\nlines.\n"
    assert "Ünd so &lt;b&gt;" in html
    assert "Two<br>lines." in html
    assert html.count('href="https://app.lab/auth/on?a=1&amp;b=&lt;2&gt;"') == 2


def test_headers_are_those_of_mail_that_no_person_wrote(house: House, mailbox: Mailbox) -> None:
    """From the policy's sender to one address, with a date and an id of this site; no robot answers it."""
    message = sent(house, mailbox)
    assert message["From"] == house.policy.mail.sender
    assert message["To"] == "a@people.test"
    assert re.fullmatch(r"<[0-9a-f]{32}@app\.lab>", message["Message-ID"])
    assert parsedate_to_datetime(message["Date"]).timestamp() == house.now()
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Sent-Before"] is None


class Loads(HTMLParser):
    """Whatever a mail program would fetch, run or send."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [
            name for name, _ in attrs if name in ("src", "srcset", "background", "poster", "action", "ping")
        ]
        handlers = [name for name, _ in attrs if name.startswith("on")]
        if names or handlers or tag in ("script", "img", "link", "iframe", "form", "object", "base"):
            self.found.append(f"{tag} {names} {handlers}")


def test_nothing_in_a_mail_tells_that_it_was_read(house: House, mailbox: Mailbox) -> None:
    """No picture, no script, no style from elsewhere: opening a mail asks nobody for anything."""
    _, html = parts(sent(house, mailbox, link=LINK))
    loads = Loads()
    loads.feed(html)
    assert loads.found == []
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.parametrize("house", ["sqlite"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    subject=st.text(alphabet=st.characters(codec=None), max_size=220),
    paragraph=st.text(max_size=200).filter(lambda text: not re.search("[\ud800-\udfff]", text)),
)
def test_whatever_a_name_holds_no_header_comes_of_it(
    house: House, mailbox: Mailbox, subject: str, paragraph: str
) -> None:
    """Line breaks, controls, half characters in a subject or text: one message, the same headers, one To."""
    message = sent(house, mailbox, subject=subject, paragraphs=[paragraph, "x"])
    assert sorted({name.lower() for name in message}) == sorted(
        ("from", "to", "subject", "date", "message-id", "auto-submitted", "x-auto-response-suppress",
         "mime-version", "content-type")
    )  # fmt: skip
    assert len(message.get_all("To") or []) == 1
    assert "\n" not in str(message["Subject"])
    with house.store.transaction() as connection:
        connection.execute(tables.mail_counts.delete())


@pytest.mark.parametrize(
    "evil",
    [
        "a\r\nBcc: m@people.test",
        "a\nBcc: m@people.test",
        "a\rBcc: m@people.test",
        "a\u2028Bcc: m",
        "a\x00b",
        "\x85Bcc: x",
    ],
)
def test_a_line_break_in_a_subject_adds_no_header(house: House, mailbox: Mailbox, evil: str) -> None:
    """The classical smuggler gets a subject with question marks in it."""
    message = sent(house, mailbox, subject=evil)
    assert message["Bcc"] is None
    assert str(message["Subject"]).isprintable()


# What waits


@pytest.mark.requirement("C-40")
def test_a_copy_of_the_table_holds_no_link(house: House) -> None:
    """Whoever reads the database, or a backup of it, gets no link out of mail that has not left yet."""
    post(house, link=Link("Go on", "https://app.lab/canary-7f3a"), paragraphs=["canary-text", "x"])
    with house.store.reading() as connection:
        rows = str(connection.execute(select(tables.outbox)).all())
        [waiting] = outbox.newest(connection, 1)
    assert "canary" not in rows
    assert "canary-7f3a" in mailing.opened(house, waiting).text
    moved = Waiting(**{**{f: getattr(waiting, f) for f in waiting.__slots__}, "recipient": "m@people.test"})
    with pytest.raises(Unreadable):
        mailing.opened(house, moved)


# How many


def withheld(house: House) -> int:
    with house.store.reading() as connection:
        return len(audit_rows.rows(connection, action="mail_withheld"))


@pytest.mark.requirement("C-41")
def test_one_address_gets_so_many_of_a_kind_an_hour(house: House) -> None:
    """What is over it is dropped with a record; the budget comes back evenly, one after the other."""
    most = house.policy.of(email.Settings).per_recipient
    assert [post(house) for _ in range(most + 3)] == [True] * most + [False] * 3
    assert withheld(house) == 3
    assert post(house, to="b@people.test")  # nobody else is kept from anything
    assert post(house, subject="Your password was changed")  # nor is news of another kind
    clock = house.ports.clock
    clock.advance(3600 / most - 1)  # type: ignore[attr-defined]
    assert not post(house)
    clock.advance(1)  # type: ignore[attr-defined]
    assert post(house)
    assert not post(house)
    clock.advance(3600)  # type: ignore[attr-defined]
    assert [post(house) for _ in range(most + 1)] == [True] * most + [False]


@pytest.mark.requirement("C-41")
def test_the_table_of_counts_names_nobody(house: House) -> None:
    """A copy of it does not tell who got mail."""
    post(house, to="secret.admirer@people.test")
    with house.store.reading() as connection:
        assert "admirer" not in str(connection.execute(select(tables.mail_counts)).all())


def test_at_once_is_one_by_one(house: House) -> None:
    """Twenty requests at the same moment are no more mail than twenty one after the other."""
    with ThreadPoolExecutor(8) as pool:
        posted = list(pool.map(lambda _: post(house), range(20)))
    assert sum(posted) == house.policy.of(email.Settings).per_recipient


def test_what_a_failed_transaction_posted_does_not_count(house: House) -> None:
    """A mail that was never written takes nothing from the budget."""
    for _ in range(10):
        with pytest.raises(RuntimeError), house.store.transaction() as connection:
            mailing.post(house, connection, to="a@people.test", subject="Hello", paragraphs=["x"])
            raise RuntimeError
    assert post(house)
