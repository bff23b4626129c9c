"""Run Wycheproof's vectors for JSON Web Signatures and Keys: `python -m tests.wycheproof DIRECTORY`.

DIRECTORY holds `json_web_signature_test.json` and `json_web_key_test.json` of C2SP/wycheproof
(`testvectors_v1`). A vector of an algorithm of [jwt] is decided by the control's own loader of keys and
reader of tokens; one of another algorithm that providers of identities use, as an id token's signature is; a
key of any other kind must be refused by the loader. The exit status is 1 where any vector is decided wrongly.
"""

from __future__ import annotations

import base64
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

from bylaw import oidc
from bylaw.controls.jwt import tokens
from bylaw.controls.jwt.tokens import Algorithm, Unreadable

FILES: Final = ("json_web_signature_test.json", "json_web_key_test.json")
OURS: Final = frozenset(get_args(Algorithm))
_SIGNATURES, _KEYS = FILES
ASIDE: Final[dict[tuple[str, int], str]] = {
    # (file, number of the vector): why it is not counted
    (_SIGNATURES, 346): "said to be valid, but the key is for PS256 and the token for PS384 (RFC 7517 4.4)",
    (_SIGNATURES, 350): "(the same)",
    (_SIGNATURES, 367): "said to be padded, but the text is the valid one of 357",
    (_SIGNATURES, 370): "(the same)",
    (_SIGNATURES, 372): "said to be valid, but ? is no letter of base64url (RFC 7515 section 2)",
    (_SIGNATURES, 373): "(the same)",
    (_KEYS, 3): "two keys of one kid: a name of ours is made of the key, never given to it",
    (_KEYS, 7): "a weak prime of one maker (ROCA): an issuer of identities answers for its keys",
}


def keys_of(group: dict[str, Any]) -> list[dict[str, Any]]:
    """The keys that a group's vectors are checked with: the public halves where there are any."""
    given = group.get("public") or group["private"]
    return list(given.get("keys", [given]))


def loaded(key: dict[str, Any], algorithm: str) -> Key:
    """A key of [jwt]. Raises ValueError."""
    if algorithm != "HS256":
        return tokens.load(algorithm, json.dumps(key))  # type: ignore[arg-type]
    if key.get("kty") != "oct" or key.get("use", "sig") != "sig" or key.get("alg", "HS256") != "HS256":
        raise ValueError("no secret for HS256")
    text = str(key["k"])
    return tokens.shared(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def taken(text: str, keys: list[dict[str, Any]], algorithm: str) -> bool:
    """Whether the control takes a text, with keys that the policy would have."""
    try:
        by_name = {key.get("kid"): loaded(key, algorithm) for key in keys}

        def named(header: Any) -> Key:
            if header.get("alg") != algorithm:
                raise Unreadable
            return by_name[header.get("kid", next(iter(by_name)))]

        tokens.opened(text, named, algorithm)
    except ValueError:  # Unreadable among them
        return False
    return True


def believed(text: str, key: dict[str, Any], algorithm: str) -> bool:
    """Whether it would pass for the signature of an id token."""
    if key.get("use", "sig") != "sig" or key.get("kty") != oidc.ALGORITHMS[algorithm][0]:
        return False  # as `oidc.Provider` chooses among an issuer's keys
    try:
        jws.deserialize_compact(text, oidc.public_key(key), algorithms=[algorithm])
    except (JoseError, ValueError, oidc.Untrusted):
        return False
    return True


def vectors(file: Path) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    for group in json.loads(file.read_text("utf-8"))["testGroups"]:
        for vector in group["tests"]:
            yield keys_of(group), vector


def decided(keys: list[dict[str, Any]], vector: dict[str, Any]) -> tuple[str, bool]:
    """What decides a vector, and whether it is taken."""
    algorithm = str(keys[0].get("alg", "ES256" if keys[0].get("crv") == "P-256" else ""))
    text = vector["jws"] if isinstance(vector["jws"], str) else json.dumps(vector["jws"])
    if algorithm in OURS:
        return "jwt", taken(text, keys, algorithm)
    if algorithm in oidc.ALGORITHMS:
        return "oidc", believed(text, keys[0], algorithm)
    for ours in OURS:
        try:
            loaded(keys[0], ours)
        except (ValueError, KeyError):
            continue
        return "loader", True
    return "loader", False


def run(directory: Path) -> int:
    """How many vectors are decided wrongly; prints each, and the figures."""
    figures: Counter[tuple[str, str]] = Counter()
    for name in FILES:
        for keys, vector in vectors(directory / name):
            if (name, vector["tcId"]) in ASIDE:
                figures["-", f"aside: {ASIDE[name, vector['tcId']]}"] += 1
                continue
            by, was = decided(keys, vector)
            # A good signature by a key of a kind that the policy cannot name is refused, too.
            right = vector["result"] == "valid" and by != "loader"
            if was == right:
                figures[by, "as they should be"] += 1
                continue
            figures[by, "WRONG"] += 1
            how = "taken" if was else "refused"
            sys.stdout.write(f"{name} {vector['tcId']} {vector['comment']}: {how} ({by})\n")
    for (by, how), count in sorted(figures.items()):
        sys.stdout.write(f"{count:4}  {by:7} {how}\n")
    return sum(count for (_, how), count in figures.items() if how == "WRONG")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not all((Path(sys.argv[1]) / name).is_file() for name in FILES):
        sys.exit(f"python -m tests.wycheproof DIRECTORY (with {' and '.join(FILES)})")
    sys.exit(1 if run(Path(sys.argv[1])) else 0)
