"""Keys by purpose: what is sealed for one is good for no other, and a new secret ends nothing."""

from __future__ import annotations

import hashlib
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw.errors import MisuseError
from bylaw.keys import MAC_BYTES, KeyRing, Unreadable, digest

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


# Encryption at rest


def sealed(ring: KeyRing, plain: bytes = b"secret", purpose: str = "totp", bound: str = "row 1 ann") -> str:
    return ring.encrypt(purpose, plain, bound=bound, entropy=secrets.token_bytes)


@pytest.mark.requirement("C-21")
def test_what_was_encrypted_is_readable_while_its_key_is_in_the_ring() -> None:
    """After a change of secrets it is read, and due for another key; without its key it is nothing."""
    old, both, new = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
    text = sealed(old)
    assert old.decrypt("totp", text, bound="row 1 ann") == (b"secret", True)
    assert both.decrypt("totp", text, bound="row 1 ann") == (b"secret", False)
    assert new.decrypt("totp", sealed(both), bound="row 1 ann") == (b"secret", True)
    with pytest.raises(Unreadable):
        new.decrypt("totp", text, bound="row 1 ann")


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    ("purpose", "bound"),
    [("mail", "row 1 ann"), ("totp", "row 2 ann"), ("totp", "row 1 bob"), ("totp", "")],
)
def test_what_was_encrypted_belongs_to_its_place(purpose: str, bound: str) -> None:
    """Copied to another row, to another person, or read for another purpose, it is nothing."""
    with pytest.raises(Unreadable):
        KeyRing([OLD]).decrypt(purpose, sealed(KeyRing([OLD])), bound=bound)


@pytest.mark.parametrize("change", range(12))
def test_what_was_tampered_with_is_unreadable(change: int) -> None:
    """Cut, lengthened, of another version, or with one character changed: never half a secret."""
    ring, text = KeyRing([OLD]), sealed(KeyRing([OLD]))
    changed = [
        "",
        "1.",
        text[2:],
        "2." + text[2:],
        text + "A",
        text[:-1],
        text[:10],
        text + "\u00e9",
        "1.!!!!",
        "\ud800",
        "1.AAAA",
        text[:20] + ("A" if text[20] != "A" else "B") + text[21:],
    ][change]
    with pytest.raises(Unreadable):
        ring.decrypt("totp", changed, bound="row 1 ann")


@given(plain=st.binary(max_size=80), bound=st.text(st.characters(codec="utf-8")))
def test_any_bytes_can_be_encrypted(plain: bytes, bound: str) -> None:
    """What comes out is what went in, never the same text twice, and the plain bytes are not in it."""
    ring = KeyRing([NEW])
    one, two = sealed(ring, plain, bound=bound), sealed(ring, plain, bound=bound)
    assert one != two
    assert ring.decrypt("totp", one, bound=bound) == (plain, True)
    assert one.isascii()
