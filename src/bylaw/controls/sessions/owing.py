"""What a session may still owe before anybody is signed in by it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

OWED: Final = {
    "second": "The second factor is still to be shown.",
    "enrol": "A second factor must be set up first: the account's role asks for one.",
    "password": "Another password must be chosen first.",  # nosec B105  # no secret: words
    "token": "The token of the first start must be changed first.",  # nosec B105  # no secret: words
    "confirm": "The mail address must be confirmed first.",
}
"""What a session may owe before anybody is signed in by it, in this order, in words."""
PAGES: Final = {
    "second": "second_factor",
    "enrol": "factors",
    "password": "change_password",  # nosec B105  # no secret: words
    "token": "change_token",  # nosec B105  # no secret: words
    "confirm": "confirm_email",
}
"""The endpoint at which each of them is done."""


def in_order(owed: Iterable[str]) -> str:
    """What a session owes, as its row has it: in the order in which it is to be done."""
    owed = set(owed)
    return " ".join(each for each in OWED if each in owed)


def without(owes: str, *done: str) -> str:
    """What is still owed once these are done."""
    return in_order(each for each in owes.split() if each not in done)


def first(owes: str) -> str:
    """What is to be done next, of all that a session owes."""
    return owes.partition(" ")[0]
