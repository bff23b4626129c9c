"""What the attacks by way of mail are made with: people who sign up, their mails, and the links in them."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any, Final

from bylaw.control import Broken
from bylaw.store import users
from bylaw.store.users import User

PASSWORD: Final = "Vq7! mZ4_kRw8-tYp2"  # noqa: S105 - of people who exist only in a laboratory
_people: Final = itertools.count(1)
LINK: Final = re.compile(r"https?://\S+?(/[^\s/]+)*/confirm-email/([\w-]{43})")


def control() -> Any:
    return sys.modules["bylaw.controls.email"]


@contextmanager
def standard(lab: Any) -> Iterator[Any]:
    """The laboratory where strangers may sign up, and must confirm; no factor is asked for besides."""
    signup, mfa = sys.modules["bylaw.controls.signup"], sys.modules["bylaw.controls.mfa"]
    email = control()
    with (
        lab.under(signup.Settings, open=True, off=False),
        lab.under(mfa.Settings, required=()),
        lab.under(email.Settings, confirm=True, off=False),
    ):
        yield lab.site.house.policy.of(email.Settings)


def new_address() -> str:
    return f"mira{next(_people)}@people.test"


def sign_up(lab: Any, email: str, name: str = "") -> Any:
    """Somebody who has signed up, and a browser of his without a session."""
    visitor = lab.visitor()
    body = {"email": email, "name": name, "password": PASSWORD}
    reply = visitor.send("POST", lab.api("sign_up"), headers=visitor.from_here, json=body)
    if reply.status != 202:
        raise Broken(f"a plain sign-up: {reply}")
    visitor.email, visitor.password = email, PASSWORD
    return visitor


def sign_in(lab: Any, who: Any) -> None:
    reply = lab.sign_in(who)
    if reply.status != 200:
        raise Broken(f"the right password of a new account: {reply}")
    who.token_page = lab.url("confirm_email")
    who.id = account(lab, who.email).id


def account(lab: Any, email: str) -> User:
    with lab.site.house.store.reading() as connection:
        found = users.by_email(connection, email)
    if found is None:
        raise Broken("the account is not there")
    return found


def mail_to(lab: Any, to: str) -> list[EmailMessage]:
    return [message for message in lab.mail() if message["To"] == to]


def said(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    return str(body.get_content()) if body is not None else ""


def mailed_secret(lab: Any, to: str) -> str:
    """The secret of the newest link that was mailed to an address."""
    for message in reversed(mail_to(lab, to)):
        if match := LINK.search(said(message)):
            return match[2]
    raise Broken(f"no link was mailed; {len(mail_to(lab, to))} mails")


def use_link(lab: Any, who: Any, secret: object) -> Any:
    return who.act("POST", lab.api("confirm_email"), json={"token": secret})
