"""What the attacks on passwords do again and again: choose one, sign in with one, look at how it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bylaw import hashing
from bylaw.control import Broken
from bylaw.controls import passwords
from bylaw.store import users


@contextmanager
def hashing_done() -> Iterator[list[str]]:
    """The kind and cost of each hash that is verified while the block lasts."""
    real = hashing.verify
    computed: list[str] = []

    def counting(stored: str, password: str) -> bool | None:
        right = real(stored, password)
        if right is not None:
            computed.append("$".join(stored.split("$")[:-2]))
        return right

    setattr(hashing, "verify", counting)  # noqa: B010 - mypy knows that a function is no variable
    try:
        yield computed
    finally:
        setattr(hashing, "verify", real)  # noqa: B010 - (the same)


def choose(lab: Any, password: str, name: str = "") -> tuple[str, Any]:
    """Have somebody new choose this password in the place of his first: his address, and the reply."""
    client = lab.client()
    if name:
        with lab.site.house.store.transaction() as connection:
            users.change(connection, client.id, name=name)
    sent = {"current": client.password, "password": password}
    reply = client.act("POST", lab.api("change_password"), json=sent)
    if _taken(reply) != (sign_in(lab, client.email, client.password).status == 401):
        raise Broken(f"{reply}, and the first password says otherwise")
    return client.email, reply


def _taken(reply: Any) -> bool:
    return bool(reply.status == 200)


def account(lab: Any, email: str) -> users.User | None:
    with lab.site.house.store.reading() as connection:
        return users.by_email(connection, email)


def stored_hash(lab: Any, email: str) -> str:
    user = account(lab, email)
    return "" if user is None else user.password_hash or ""


def sign_in(lab: Any, email: str, password: Any) -> Any:
    visitor = lab.visitor()
    return visitor.send(
        "POST", lab.api("sign_in"), headers=visitor.from_here, json={"email": email, "password": password}
    )


def good_password(settings: passwords.Settings) -> str:
    """A password that every policy takes, of exactly the least length that is sensible."""
    return ("Vq7! " + "mZ4_kRw8-tYp2" * 6)[: max(settings.min_length, 15)]
