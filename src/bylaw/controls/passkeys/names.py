"""What people call their passkeys. Nothing is decided by a name: nobody vouches for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NAMES: Final = {
    "08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
    "50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
    "531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
    "53414d53-554e-4700-0000-000000000000": "Samsung Pass",
    "6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
    "9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
    "adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on a Mac",
    "bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
    "d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
    "dd4ec289-e01d-41c9-bb89-70fa845d4bf2": "iCloud Keychain",
    "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
    "fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "iCloud Keychain",
    "fdb141b2-5d84-443e-8a35-4698c205a502": "KeePassXC",
}
"""What people call an authenticator, by its AAGUID."""


def called(aaguid: str, transports: Iterable[str], agent: str) -> str:
    """A first name for a passkey: who keeps it, or where it is."""
    if aaguid in NAMES:
        return NAMES[aaguid]
    ways = set(transports)
    if ways & {"usb", "nfc", "ble", "smart-card"}:
        return "Security key"
    for mark, device in _DEVICES:
        if mark in agent:
            return device if "internal" in ways or not ways else "Passkey"
    return "Passkey"


_DEVICES: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android device"),
    ("Windows", "Windows device"),
    ("CrOS", "Chromebook"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux device"),
)


def distinct(name: str, others: Iterable[str]) -> str:
    """The name, with a number behind it where the account has one of that name."""
    taken, number, found = {each.casefold() for each in others}, 1, name
    while found.casefold() in taken:
        number += 1
        found = f"{name} {number}"
    return found
