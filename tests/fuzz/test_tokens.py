"""Texts that are no tokens, and tokens with one mistake: never anything but a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey

from bylaw.controls.jwt import tokens
from bylaw.controls.jwt.tokens import Claims, Maker, Unreadable
from tests.fuzz import junk

US, NOW = "https://app.lab", 1_800_000_000
GOOD = Claims("user", "family", 1, NOW, NOW + 1800, "id")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _maker(algorithm: Any, text: str) -> Maker:
    return Maker(algorithm, tokens.named([tokens.load(algorithm, text)]), US, US)


MAKERS = {
    "HS256": _maker("HS256", "3c1f0d9e8b7a6958473625140f1e2d3c4b5a69788796a5b4c3d2e1f00112233f"),
    "Ed25519": _maker("Ed25519", OKPKey.generate_key("Ed25519").as_pem(private=True).decode()),
    "ES256": _maker("ES256", ECKey.generate_key("P-256").as_pem(private=True).decode()),
}
TOKENS = {name: maker.make(GOOD) for name, maker in MAKERS.items()}
each_algorithm = pytest.mark.parametrize("algorithm", sorted(MAKERS))


@pytest.mark.requirement("S3-009", "S3-014")
@each_algorithm
@junk.examples(300)
@given(text=st.one_of(st.text(), st.lists(st.text(_LETTERS), min_size=3, max_size=3).map(".".join)))
def test_no_text_raises_anything_else(algorithm: str, text: str) -> None:
    """Any text at all, and three pieces of base64: it is unreadable, and nothing breaks."""
    with pytest.raises(Unreadable):
        MAKERS[algorithm].read(text, NOW)


@pytest.mark.requirement("S3-009", "S3-014")
@each_algorithm
@junk.examples(400)
@given(data=st.data())
def test_no_change_of_a_good_token_is_taken(algorithm: str, data: st.DataObject) -> None:
    """One character another, one more, one less, two exchanged: also where base64 has bits to spare."""
    maker, good = MAKERS[algorithm], TOKENS[algorithm]
    at = data.draw(st.integers(0, len(good)))
    letter = data.draw(
        st.one_of(st.sampled_from([*_LETTERS, ".", "=", "+", "/", " ", "\n"]), st.characters())
    )
    changed = data.draw(
        st.sampled_from([good[:at] + letter + good[at + 1 :], good[:at] + letter + good[at:], good[:at]])
    )
    assert maker.read(good, NOW) == GOOD
    if changed != good:
        with pytest.raises(Unreadable):
            maker.read(changed, NOW)


@pytest.mark.requirement("S3-009")
@each_algorithm
def test_no_other_spelling_of_a_signature_is_taken(algorithm: str) -> None:
    """Each of the other 63 letters in the last place: two tokens that differ are not one (RFC 4648 3.5)."""
    maker, good = MAKERS[algorithm], TOKENS[algorithm]
    for letter in set(_LETTERS) - {good[-1]}:
        with pytest.raises(Unreadable):
            maker.read(good[:-1] + letter, NOW)


@pytest.mark.requirement("S3-011")
@each_algorithm
@junk.examples(200)
@given(
    text=st.one_of(st.text(), st.text().map(lambda text: "{" + text), st.text().map("-----BEGIN {}".format))
)
def test_no_text_breaks_the_loader_of_keys(algorithm: Any, text: str) -> None:
    """Whatever stands in the environment, it is a key or it is refused as none."""
    try:
        assert tokens.makes(tokens.load(algorithm, text))
    except ValueError as refused:
        assert str(refused) == f"no key for {algorithm}"
