"""Attacks on the running application by way of its sign-up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import signup
from bylaw.store import users
from bylaw.store.users import User

PASSWORD: Final = "Vq7! mZ4_kRw8-tYp2"  # noqa: S105 - of people who exist only in a laboratory
_people: Final = itertools.count(1)
EXTRA: Final[tuple[dict[str, Any], ...]] = (
    *(
        {name: value}
        for name, value in {
            "role": "admin",
            "roles": ["admin"],
            "is_admin": True,
            "admin": True,
            "is_superuser": True,
            "is_staff": True,
            "is_active": True,
            "email_verified": True,
            "verified_at": 1,
            "id": "1",
            "user_id": "1",
            "tenant_id": "1",
            "permissions": ["*"],
            "scopes": "*",
            "groups": ["admin"],
            "epoch": 99,
            "password_hash": "x",  # nosec B105  # no secret: an example, a word or a laboratory's
            "oauth_provider": "google",
            "mfa_enabled": False,
            "created_at": 0,
            "versions": [{"role": "admin"}],
            "Role": "admin",
            "ROLE": "admin",
            "role[]": "admin",
            "user[role]": "admin",
            "user": {"role": "admin"},
            "__proto__": {},
            "disabled_at": 0,
        }.items()
    ),
)
"""What a caller would like to have set (CVE-2013-2506, WSTG-INPV-20, C-08)."""
BAD_ADDRESSES: Final = (
    "",
    "nobody",
    "..@..x",
    "a@b..c",
    "a@b.c\n",
    "a b@people.test",
    "a@people.test, b@people.test",
    "a@people.test\r\nBcc: b@people.test",
    "<a@people.test>",
    "A <a@people.test>",
    "a@[127.0.0.1]",
    "a@localhost",
    '"a"@people.test',
    "a\0@people.test",
    "\uff41@people.test",
    "x" * 65 + "@people.test",
    "a@" + "b" * 64 + ".test",
    "a@" + "b.c" * 90 + ".test",
)
"""No addresses; what the expression of a source policy takes is among them (C-10)."""


def _address() -> str:
    return f"Stranger{next(_people)}@People.test"


def _sign_up(lab: Any, email: str, *, query: str = "", **more: Any) -> Any:
    visitor = lab.visitor()
    return visitor.send(
        "POST",
        lab.api("sign_up") + query,
        headers=visitor.from_here,
        json={"email": email, "name": "", "password": PASSWORD, **more},
    )


def _found(lab: Any, email: str) -> User | None:
    with lab.site.house.store.reading() as connection:
        return users.by_email(connection, email.lower())


def _accounts(lab: Any) -> int:
    with lab.site.house.store.reading() as connection:
        return users.count(connection)


@contextmanager
def _opened(lab: Any, *, opened: bool) -> Iterator[None]:
    """The laboratory's policy with sign-up open or closed, for as long as the block lasts."""
    house = lab.site.house
    policy = house.policy
    settings = policy.of(signup.Settings).model_copy(update={"open": opened, "off": False})
    house.policy = replace(policy, controls={**policy.controls, "signup": settings})
    try:
        yield
    finally:
        house.policy = policy


@probe("critical", "S3-031", "C-08", "A088")
def the_role_is_the_policys(lab: Any) -> str:
    """Whoever signs up gets the policy's role, whatever the request says."""
    wanted = frozenset(filter(None, [lab.policy.of(signup.Settings).role]))
    with _opened(lab, opened=True):
        emails = []
        for extra in EXTRA:
            emails.append(_address())
            reply = _sign_up(lab, emails[-1], **extra)
            if reply.status >= 500 or reply.all("set-cookie"):
                raise Broken(f"{extra}: {reply}")
        emails.append(_address())
        if _sign_up(lab, emails[-1], query="?role=admin").status != 202:
            raise Broken("a plain sign-up was refused")
    made = [user for user in (_found(lab, email) for email in emails) if user is not None]
    for user in made:
        if user.roles != wanted or user.disabled_at is not None:
            raise Broken(f"a stranger got {sorted(user.roles)}")
    if len(made) == 0 or not _found(lab, emails[-1]):
        raise Broken("a plain sign-up made no account")
    return f"{len(EXTRA)} further fields: {len(made)} account(s), each with {sorted(wanted) or 'no role'}"


@probe("high", "C-41", "A019")
def a_taken_address_is_not_told(lab: Any) -> str:
    """A taken address gets the same answer after the same work; only its owner is told."""
    taken, free = lab.person(), _address()
    before = _found(lab, taken.email)
    made = []

    def counting(scheme: Any, password: str) -> str:
        made.append(password)
        return str(real(scheme, password))

    kind = type(lab.site.house.scheme)
    real, kind.make = kind.make, counting
    try:
        with _opened(lab, opened=True):
            replies = [_sign_up(lab, email) for email in (taken.email, free)]
    finally:
        kind.make = real
    facts = [(reply.status, sorted(key.lower() for key, _ in reply.headers), reply.body) for reply in replies]
    if facts[0] != facts[1] or len(made) != 2:
        raise Broken(f"taken: {replies[0]}, free: {replies[1]}, {len(made)} hashes")
    if _found(lab, taken.email) != before or _found(lab, free) is None:
        raise Broken("the taken account was changed, or the free address has none")
    told = [m for m in lab.mail() if m["To"] == taken.email]
    if len(told) != 1 or PASSWORD in told[0].get_content():
        raise Broken(f"the owner of the address got {len(told)} mails")
    return f"both {replies[0]} with one hash each; one mail to the owner of the taken address"


@probe("high", "S1-090", "C-10")
def one_address_one_account(lab: Any) -> str:
    """However an address is spelt, it is one account; what is no address is refused."""
    number = next(_people)
    spellings = [
        f"Ann{number}@Bücher{number}.test",
        f"ann{number}@bücher{number}.test",
        f"ANN{number}@BÜCHER{number}.test",
        f"ann{number}@bu\u0308cher{number}.test",
        f"ann{number}@\uff42ücher{number}.test",
    ]
    before = _accounts(lab)
    with _opened(lab, opened=True):
        for email in spellings:
            reply = _sign_up(lab, email)
            if reply.status != 202:
                raise Broken(f"{email}: {reply}")
        for email in BAD_ADDRESSES:
            reply = _sign_up(lab, email)
            if reply.status != 422:
                raise Broken(f"{email!r}: {reply}")
        plus = _sign_up(lab, f"o'neil+tag{number}@people.test")
    if _accounts(lab) != before + 2 or plus.status != 202:
        raise Broken(f"{len(spellings)} spellings made {_accounts(lab) - before - 1} accounts")
    return f"{len(spellings)} spellings, one account; {len(BAD_ADDRESSES)} that are none refused"


@probe("high", "C-41", "A019")
def two_at_once_make_one(lab: Any) -> str:
    """Sign-ups of one address at the same moment make one account, and none fails."""
    email, before = _address(), _accounts(lab)
    with _opened(lab, opened=True):
        replies = lab.burst(lambda number: _sign_up(lab, email), 2)
    if _accounts(lab) != before + 1 or {reply.status for reply in replies} != {202}:
        raise Broken(f"{_accounts(lab) - before} accounts: {[str(r) for r in replies]}")
    return f"{' and '.join(str(reply) for reply in replies)}, one account"


@probe("high", "S3-031")
def closed_is_closed(lab: Any) -> str:
    """Where the policy has sign-up closed, a stranger makes no account."""
    email, before = _address(), _accounts(lab)
    with _opened(lab, opened=False):
        reply = _sign_up(lab, email)
        shown = lab.visitor().get(lab.url("sign_up"))
    for answer in (reply, shown):
        if answer.status != 403 or answer.code != signup.CLOSED.code:
            raise Broken(f"closed, and yet {answer}")
    if _accounts(lab) != before:
        raise Broken("an account was made")
    return f"{reply}, no account"


PROBES: Final = (
    the_role_is_the_policys,
    a_taken_address_is_not_told,
    one_address_one_account,
    two_at_once_make_one,
    closed_is_closed,
)
