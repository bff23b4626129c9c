"""One issuer, as this process knows it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
import threading
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient  # type: ignore[import-untyped]

from bylaw.keys import base64url
from bylaw.oidc.messages import (
    Claims,
    Client,
    Declined,
    Metadata,
    Transaction,
    Unreachable,
    Untrusted,
    json_object,
    sha256,
    texts,
)
from bylaw.oidc.trust import ALGORITHMS, LEEWAY, LONGEST_TOKEN, at_hash, header_of, moment, public_key, safe
from bylaw.ports import Network, Received

_SUBJECT: Final = re.compile(r"[ -~]{1,255}")  # OpenID Connect Core section 2: at most 255 ASCII characters
SCOPES: Final = ("openid", "email", "profile")
KEYS_FOR: Final = 3600
"""Seconds for which an issuer's keys and addresses are remembered."""
KEYS_AGAIN: Final = 60
"""Seconds between two looks for a key that is not known: tokens that name invented ones are no way to
have this server call another all day."""
DOWN_FOR: Final = 10
"""Seconds for which an issuer that did not answer is not asked again: no worker waits for it in turn."""
_LONGEST_CODE: Final = 4_096
_LARGEST_KEYS: Final = 262_144


class Provider:
    """One issuer, as this process knows it: its addresses and its keys.

    `plain` lets its addresses be http on this very machine, for development.
    """

    def __init__(
        self, issuer: str, *, network: Network, clock: Callable[[], float], plain: bool = False
    ) -> None:
        self.issuer = issuer
        self._network = network
        self._clock = clock
        self._plain = plain
        self._lock = threading.Lock()
        self._metadata: Metadata | None = None
        self._keys: list[dict[str, Any]] = []
        self._read_at = -math.inf
        self._keys_at = -math.inf
        self._down_at = -math.inf

    # What is sent

    def address(self, client: Client, transaction: Transaction, *, state: str, nonce: str) -> str:
        """Where the browser is sent. Raises Unreachable, Untrusted."""
        endpoint = self.metadata().authorization_endpoint
        challenge = base64url(hashlib.sha256(transaction.verifier.encode()).digest())
        scheme, _, rest = endpoint.partition(":")
        # oauthlib takes https alone; what may be plain here was decided when the address was read.
        url: str = WebApplicationClient(client.id).prepare_request_uri(
            f"https:{rest}",
            redirect_uri=client.redirect_uri,
            scope=SCOPES,
            state=state,
            nonce=nonce,
            code_challenge=challenge,
            code_challenge_method="S256",
        )
        return f"{scheme}:{url.partition(':')[2]}"

    def claims(self, client: Client, transaction: Transaction, query: str) -> Claims:
        """Who came back with this query. Raises Declined, Unreachable, Untrusted."""
        code = self._code(query, transaction)
        tokens = self._redeemed(client, transaction, code)
        claims = self._verified(tokens, client, transaction)
        return self._completed(claims, tokens)

    # The answer in the browser

    def _code(self, query: str, transaction: Transaction) -> str:
        answer = transaction.answered(query)
        # Before anything else is read: another issuer's code must not be sent to this one (mix-up).
        named = "iss" in answer or self.metadata().says_who_answers
        if named and answer.get("iss") != self.issuer:
            raise Untrusted("another issuer answers (RFC 9207)")
        if "error" in answer:
            raise Declined
        code = answer.get("code", "")
        if not code or len(code) > _LONGEST_CODE:
            raise Untrusted("there is no code")
        return code

    # The answer of its server

    def _redeemed(self, client: Client, transaction: Transaction, code: str) -> dict[str, Any]:
        """The tokens for a code, asked for once: a code that was used is void, whatever came of it."""
        metadata = self.metadata()
        more = {} if metadata.basic_authentication else {"client_secret": client.secret}
        body = WebApplicationClient(client.id).prepare_request_body(
            code=code,
            redirect_uri=client.redirect_uri,
            code_verifier=transaction.verifier,
            include_client_id=not metadata.basic_authentication,
            **more,
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if metadata.basic_authentication:
            # Each half is encoded before they are joined (RFC 6749 section 2.3.1).
            both = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
        received = self._ask("POST", metadata.token_endpoint, headers=headers, body=body.encode())
        if received.status >= 500:
            raise Unreachable(f"its token endpoint answers {received.status}")
        if received.status != 200:
            raise Untrusted(f"the code was not taken ({received.status})")
        try:
            tokens = WebApplicationClient(client.id).parse_request_body_response(
                json.dumps(json_object(received.body))
            )
        except (OAuth2Error, ValueError, TypeError, Warning) as error:
            raise Untrusted(f"its answer has no tokens ({type(error).__name__})") from None
        if str(tokens.get("token_type", "")).lower() != "bearer":
            raise Untrusted("its token is not a bearer's")
        return dict(tokens)

    def _verified(self, tokens: dict[str, Any], client: Client, transaction: Transaction) -> dict[str, Any]:
        """The claims of the id_token (OpenID Connect Core section 3.1.3.7)."""
        token = tokens.get("id_token")
        if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
            raise Untrusted("there is no id_token, or an endless one")
        header = header_of(token)
        algorithm = header["alg"]
        if algorithm not in ALGORITHMS or algorithm not in self.metadata().algorithms:
            raise Untrusted("the id_token is not signed in a way that is taken")
        key = self._key(header.get("kid"), algorithm)
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Untrusted(f"the id_token's signature does not hold ({type(error).__name__})") from None
        self._judged(claims, client, transaction)
        at_hash(claims, tokens, ALGORITHMS[algorithm][1])
        return claims

    def _judged(self, claims: dict[str, Any], client: Client, transaction: Transaction) -> None:
        now = self._clock()
        audience = claims.get("aud")
        nonce = claims.get("nonce")
        if claims.get("iss") != self.issuer:
            raise Untrusted("the id_token is of another issuer")
        # A further audience could be one that shows the token around (section 3.1.3.7, item 3).
        if audience not in (client.id, [client.id]) or claims.get("azp", client.id) != client.id:
            raise Untrusted("the id_token is for another client")
        if not isinstance(nonce, str) or not hmac.compare_digest(sha256(nonce), transaction.nonce):
            raise Untrusted("the id_token is of another sign-in: its nonce is not the one that was sent")
        if moment(claims, "exp") <= now - LEEWAY:
            raise Untrusted("the id_token has run out")
        if not transaction.begun - LEEWAY <= moment(claims, "iat") <= now + LEEWAY:
            raise Untrusted("the id_token was not issued during this sign-in")
        if "nbf" in claims and moment(claims, "nbf") > now + LEEWAY:
            raise Untrusted("the id_token is not valid yet")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise Untrusted("the id_token names nobody")

    def _completed(self, claims: dict[str, Any], tokens: dict[str, Any]) -> Claims:
        """What is said of the person, asked for where the id_token leaves it out (section 5.4)."""
        endpoint = self.metadata().userinfo_endpoint
        if "email" not in claims and endpoint:
            headers = {"Authorization": f"Bearer {tokens['access_token']}", "Accept": "application/json"}
            received = self._ask("GET", endpoint, headers=headers)
            more = json_object(received.body) if received.status == 200 else {}
            if more and more.get("sub") != claims["sub"]:
                raise Untrusted("userinfo speaks of somebody else")
            claims = {**more, **claims}
        email, name = claims.get("email"), claims.get("name")
        return Claims(
            claims["sub"],
            email if isinstance(email, str) else "",
            claims.get("email_verified") is True,  # neither "true" nor 1: what is not said is not so
            name if isinstance(name, str) else "",
        )

    # What is known of the issuer

    def metadata(self) -> Metadata:
        """Its discovery document, read at most once an hour. Raises Unreachable, Untrusted."""
        with self._lock:
            if self._metadata is None or self._clock() - self._read_at >= KEYS_FOR:
                self._metadata = self._discovered()
                self._read_at = self._clock()
            return self._metadata

    def _discovered(self) -> Metadata:
        said = self._fetched(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != self.issuer:
            raise Untrusted("its discovery document is another issuer's")
        methods = said.get("code_challenge_methods_supported", ["S256"])
        if "code" not in texts(said, "response_types_supported", ["code"]) or "S256" not in methods:
            raise Untrusted("it does not do the code flow with S256")
        algorithms = ALGORITHMS.keys() & set(texts(said, "id_token_signing_alg_values_supported", ["RS256"]))
        ways = texts(said, "token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if not algorithms or not {"client_secret_basic", "client_secret_post"} & set(ways):
            raise Untrusted("it has no signature or no client authentication that is taken here")
        return Metadata(
            authorization_endpoint=self._there(said, "authorization_endpoint"),
            token_endpoint=self._there(said, "token_endpoint"),
            jwks_uri=self._there(said, "jwks_uri"),
            userinfo_endpoint=self._there(said, "userinfo_endpoint") if "userinfo_endpoint" in said else "",
            algorithms=frozenset(algorithms),
            says_who_answers=said.get("authorization_response_iss_parameter_supported") is True,
            basic_authentication="client_secret_basic" in ways,
        )

    def _there(self, said: dict[str, Any], name: str) -> str:
        """An address of its document that may be asked, or a browser sent to."""
        url = said.get(name)
        if not isinstance(url, str) or not safe(url, plain=self._plain):
            raise Untrusted(f"its {name} is no https address")
        return url

    def _key(self, kid: object, algorithm: str) -> Any:
        """The public key that a token names. Looks again, but not often, where it is not known."""
        with self._lock:
            now = self._clock()
            found = self._fitting(kid, algorithm) if now - self._keys_at < KEYS_FOR else None
            if found is None and now - self._keys_at >= KEYS_AGAIN:
                metadata = self._metadata
                said = self._fetched(metadata.jwks_uri if metadata else "", limit=_LARGEST_KEYS)
                keys = said.get("keys")
                self._keys = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
                self._keys_at = now
                found = self._fitting(kid, algorithm)
        if found is None:
            raise Untrusted("the id_token is signed with a key that the issuer does not publish")
        return public_key(found)

    def _fitting(self, kid: object, algorithm: str) -> dict[str, Any] | None:
        """The one key that fits; none where two would."""
        fitting = [
            key
            for key in self._keys
            if key.get("kty") == ALGORITHMS[algorithm][0]
            and key.get("use", "sig") == "sig"
            and key.get("alg", algorithm) == algorithm
            and (kid is None or key.get("kid") == kid)
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _fetched(self, url: str, *, limit: int = 65_536) -> dict[str, Any]:
        """A document that everybody waits for meanwhile: who is down is not asked by each of them in turn."""
        if self._clock() - self._down_at < DOWN_FOR:
            raise Unreachable("it did not answer a moment ago")
        try:
            received = self._ask("GET", url, headers={"Accept": "application/json"}, limit=limit)
            if received.status != 200:
                raise Unreachable(f"it answers {received.status}")
        except Unreachable:
            self._down_at = self._clock()
            raise
        return json_object(received.body)

    def _ask(self, method: str, url: str, **how: Any) -> Received:
        try:
            return self._network(method, url, **how)
        except OSError as error:
            raise Unreachable(f"it does not answer ({type(error).__name__}: {error})") from None
