"""OpenID Connect, a relying party's half: the messages, and what of the answers is believed.

Authorization code with PKCE (S256), state, nonce and `iss`. No framework, no store, no cookies: time and
network are arguments, and whatever an issuer says is judged here before anybody acts on it. The messages
are oauthlib's, signatures joserfc's. Source: OpenID Connect Core 1.0 section 3.1.3.7, Discovery 1.0, RFC
9700, RFC 9207, RFC 7636, RFC 8725.
"""

from __future__ import annotations

from bylaw.oidc.messages import Claims, Client, Declined, Transaction, Unasked, Unreachable, Untrusted
from bylaw.oidc.provider import DOWN_FOR, KEYS_AGAIN, KEYS_FOR, Provider
from bylaw.oidc.trust import ALGORITHMS, public_key, safe

__all__ = [
    "ALGORITHMS",
    "DOWN_FOR",
    "KEYS_AGAIN",
    "KEYS_FOR",
    "Claims",
    "Client",
    "Declined",
    "Provider",
    "Transaction",
    "Unasked",
    "Unreachable",
    "Untrusted",
    "public_key",
    "safe",
]
