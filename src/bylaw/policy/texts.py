"""What texts in a policy are: placeholders, names that are nobody's, addresses that give a secret away."""

from __future__ import annotations

import ipaddress
import json
import re
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

_PLACEHOLDER: Final = re.compile(r"your_\w+_here|yourdomain|your-domain", re.IGNORECASE)


_RESERVED: Final = ("example", "invalid", "test", "localhost", "example.com", "example.org", "example.net")
"""Names that are nobody's, for documentation and tests (RFC 2606, RFC 6761)."""


def placeholder(secret: str) -> bool:
    """Whether it is what a documentation has in the place of a secret or an address (S1-070)."""
    return _PLACEHOLDER.search(secret) is not None


def reserved(host: str) -> bool:
    """Whether no visitor's browser could reach `host`."""
    host = host.lower().rstrip(".")
    if any(host == name or host.endswith(f".{name}") for name in _RESERVED):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _PLACEHOLDER.search(host) is not None
    return address.is_loopback or address.is_unspecified


def host_of(url: str) -> str:
    """The host that `url` names, empty where it is none or its port cannot be one."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.port != 0 else ""
    except ValueError:
        return ""


def is_open(secret: str) -> bool:
    """Whether a secret would be given away by this text: an address without a password is none."""
    try:
        return "://" not in secret or urlsplit(secret).password is not None
    except ValueError:
        return True


def listed(value: object) -> list[object]:
    """The texts that a variable in a list stands for: one, or as many as a JSON list of them has."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):
            found = json.loads(value)
            if isinstance(found, list) and all(isinstance(each, str) for each in found):
                return found
    return [value]
