"""Keys by purpose: what is sealed for one is good for no other, and a new secret ends nothing."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw.errors import MisuseError
from bylaw.keys import MAC_BYTES, KeyRing, digest

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.mark.requirement("C-21")
def test_what_the_previous_secret_made_is_good() -> None:
    """After a change of secrets the old seals hold, new ones are made with the new key."""
    old, both, new = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
    seal = old.seal("csrf", "message")
    assert both.sealed("csrf", "message", seal)
    assert not new.sealed("csrf", "message", seal)
    assert both.seal("csrf", "message") == new.seal("csrf", "message")
    assert not old.sealed("csrf", "message", both.seal("csrf", "message"))


@pytest.mark.requirement("C-07")
@pytest.mark.parametrize(
    ("purpose", "message", "seal"),
    [
        ("flask.session", "message", None),
        ("csrf", "messag", None),
        ("csrf", "message ", None),
        ("csrf", "message", ""),
        ("csrf", "message", "A" * 22),
        ("csrf", "message", "\ud800"),
    ],
)
def test_a_seal_is_good_for_one_purpose_and_message(purpose: str, message: str, seal: str | None) -> None:
    """A token made for a form cannot pass for a session, nor for another form."""
    ring = KeyRing([OLD])
    made = ring.seal("csrf", "message")
    assert ring.sealed("csrf", "message", made)
    assert not ring.sealed(purpose, message, made if seal is None else seal)


def test_every_key_is_derived_and_none_is_the_secret() -> None:
    """HKDF-SHA256 (RFC 5869) by purpose: 32 bytes each, all different, always the same."""
    ring = KeyRing([NEW, OLD])
    keys = {*ring.derive("a"), *ring.derive("b"), NEW, OLD}
    assert len(keys) == 6
    assert {len(key) for key in keys} == {32}
    assert KeyRing([NEW, OLD]).derive("a") == ring.derive("a")


@pytest.mark.requirement("S1-062")
@pytest.mark.parametrize("secrets", [[], [b""], [NEW, b""]])
def test_a_ring_without_a_secret_is_refused(secrets: list[bytes]) -> None:
    """An empty key would seal for everybody, and an empty predecessor would match anybody's."""
    with pytest.raises(MisuseError):
        KeyRing(secrets)


@pytest.mark.requirement("S1-061")
def test_a_ring_does_not_show_its_secrets() -> None:
    """Whoever logs a ring learns how many secrets it has."""
    assert repr(KeyRing([NEW, OLD])) == "KeyRing(2 secrets)"


@given(message=st.text(), purpose=st.text(alphabet=st.characters(codec="utf-8")), other=st.text())
def test_any_text_can_be_sealed(message: str, purpose: str, other: str) -> None:
    """Whatever is sealed is recognised, lone surrogates and all, and no other text is."""
    ring = KeyRing([NEW])
    seal = ring.seal(purpose, message)
    assert ring.sealed(purpose, message, seal)
    assert ring.sealed(purpose, other, seal) == (other == message)
    assert not ring.sealed(purpose, message, other)
    assert len(seal) == -(-MAC_BYTES * 4 // 3)
    assert seal.isascii()


@given(st.text())
def test_a_digest_is_sha_256(secret: str) -> None:
    """What is stored of a bearer secret is its SHA-256, whatever a cookie held."""
    assert digest(secret) == hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
