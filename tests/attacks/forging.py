"""Forges access tokens from a good one: `head.alg=none;seal=` says what of it is changed.

`head.NAME=VALUE` and `claim.NAME=VALUE` change a field (`-` leaves it out, `now+60` is a time; what is JSON
is taken as JSON); `seal=` is `good` (the application's own key, if nothing else is said), `old`, `empty` (the
empty key), empty for none, or `key:TEXT`; `tail=` puts something behind, `cut=1` takes the last part away.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from bylaw.controls import jwt
from bylaw.verify.laboratory import Laboratory


def forged(laboratory: Laboratory, token: str, how: str) -> str:
    """A token like this one, but for what `how` says. Raises ValueError for what means nothing."""
    head, payload, old = token.split(".")
    fields: dict[str, dict[str, Any]] = {"head": _read(head), "claim": _read(payload)}
    seal, tail, cut = "good", "", False
    for change in filter(None, how.split(";")):
        where, _, value = change.partition("=")
        part, _, name = where.partition(".")
        if part in fields and name:
            _change(laboratory, fields[part], name, value)
        elif where == "seal":
            seal = value
        elif where == "tail":
            tail = value
        elif where == "cut":
            cut = True
        else:
            raise ValueError(f"{where} is nothing that could be changed")
    said = f"{_part(fields['head'])}.{_part(fields['claim'])}"
    if cut:
        return said
    return f"{said}.{_seal(laboratory, seal, old, said)}{tail}"


def _change(laboratory: Laboratory, fields: dict[str, Any], name: str, value: str) -> None:
    if value == "-":
        fields.pop(name, None)
    elif value.startswith("now"):
        fields[name] = int(laboratory.clock()) + int(value[3:] or 0)
    else:
        try:
            fields[name] = json.loads(value)
        except ValueError:
            fields[name] = value


def _seal(laboratory: Laboratory, seal: str, old: str, said: str) -> str:
    own = laboratory.policy.of(jwt.Settings).key
    secrets = {"good": own.get_secret_value() if own else "", "empty": ""}
    if seal in ("", "old"):
        return old if seal else ""
    secret = seal[4:] if seal.startswith("key:") else secrets[seal]
    return _part(hmac.digest(secret.encode(), said.encode(), "sha256"))


def _read(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
