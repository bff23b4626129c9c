"""Where programs are given tokens: as OAuth 2.0 clients ask for them (RFC 6749, 7009, 7517).

The requests are forms, as the protocol has them, or JSON; refusals have the members of RFC 6749 section 5.2
beside those of a problem. No cookie says anything here, and none is set (see `jwt.endpoints`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from bylaw.controls import errors, jwt, lockout, mfa, passwords
from bylaw.controls.jwt import reasons
from bylaw.exchange import Refuse
from bylaw.identity import AccessRule
from bylaw.operations import token_families
from bylaw.operations.token_families import Pair, Use
from bylaw.pages import arriving
from bylaw.pages.endpoints import Call, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Reason, Refused

_ERRORS: Final[Mapping[Reason, tuple[str, int]]] = {
    # reason: the protocol's word, and its status where it differs
    passwords.WRONG: ("invalid_grant", 400),
    mfa.WRONG: ("invalid_grant", 400),
    reasons.REFRESH: ("invalid_grant", 0),
    reasons.SECOND: ("mfa_required", 0),
    reasons.UNFINISHED: ("access_denied", 0),
    reasons.GRANT: ("unsupported_grant_type", 0),
    reasons.SCOPE: ("invalid_scope", 0),
    reasons.CLIENT: ("invalid_client", 0),
    reasons.REQUEST: ("invalid_request", 0),
    errors.INVALID: ("invalid_request", 400),
    errors.MALFORMED: ("invalid_request", 400),
    errors.UNSUPPORTED: ("invalid_request", 0),
    errors.TOO_LARGE: ("invalid_request", 0),
    lockout.WAIT: ("temporarily_unavailable", 0),
    mfa.WAIT: ("temporarily_unavailable", 0),
    lockout.SHUT: ("access_denied", 0),
    mfa.SHUT: ("access_denied", 0),
    passwords.BUSY: ("temporarily_unavailable", 0),
}
PASSWORD: Final = "password"  # noqa: S105 - the name of a grant  # nosec B105
REFRESH: Final = "refresh_token"


def refused(call: Call, refused: Refused) -> Show | None:
    """A refusal in the protocol's words; None where it has none for it."""
    found = _ERRORS.get(refused.reason)
    if found is None:
        return None
    word, status = found
    status = status or refused.status
    shown = errors.shape(
        call.exchange, Refuse(refused.reason, refused.detail, status, refused.headers, refused.fields)
    )
    said = refused.detail or refused.reason.title
    faults = "; ".join(f"{name}: {fault}" for name, fault in refused.fields.items())
    data = {"error": word, "error_description": _ascii(f"{said} ({faults})" if faults else said), **shown}
    return Show(data=data, status=status, headers=refused.headers)


def _ascii(text: str) -> str:
    """What an error's description may hold (RFC 6749 section 5.2)."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)


def _token(call: Call) -> Show:
    values = call.values
    _demand_no_client(call)
    if values["scope"]:
        raise Refused(reasons.SCOPE)
    match values["grant_type"]:
        case "password" if passwords.on(call.house.policy):
            _demand(call, "username", PASSWORD)
            pair = token_families.sign_in(
                call.house,
                email=values["username"],
                password=values[PASSWORD],
                code=values["otp"],
                use=_use(call),
            )
        case "refresh_token":
            _demand(call, REFRESH)
            try:
                pair = token_families.refresh(call.house, values[REFRESH], use=_use(call))
            except Refused as refused:
                # 401 is for what came in the Authorization field, or for a client (RFC 6749 section 5.2).
                raise Refused(refused.reason, status=400) from None
        case _:
            raise Refused(reasons.GRANT)
    return _given(pair)


def _refresh(call: Call) -> Show:
    if call.values["grant_type"] not in ("", REFRESH):
        raise Refused(reasons.GRANT)
    try:
        return _given(token_families.refresh(call.house, call.values[REFRESH], use=_use(call)))
    except Refused as refused:
        raise Refused(
            refused.reason, headers=(("WWW-Authenticate", 'Bearer realm="app", error="invalid_token"'),)
        ) from None


def _revoke(call: Call) -> Show:
    _demand_no_client(call)
    token_families.revoke(call.house, call.values["token"])
    return Show(data={})


def _keys(call: Call) -> Show:
    return Show(data={"keys": jwt.maker(call.house.policy).published()})


def _given(pair: Pair) -> Show:
    return Show(
        data={
            "access_token": pair.access,
            "token_type": "Bearer",  # nosec B105  # the scheme's name (RFC 6749 section 7.1)
            "expires_in": pair.lifetime,
            "refresh_token": pair.refresh,
        }
    )


def _use(call: Call) -> Use:
    return Use(call.exchange.client, arriving.agent(call))


def _demand(call: Call, *names: str) -> None:
    missing = {name: "needed" for name in names if not call.values[name]}
    if missing:
        raise Refused(reasons.REQUEST, fields=missing)


def _demand_no_client(call: Call) -> None:
    """Go on only where no client's secret came along: it would be looked at nowhere.

    Swagger's Authorize sends Basic authentication with nothing in it.
    """
    field = call.exchange.headers.one("authorization") or ""
    scheme, _, given = field.partition(" ")
    if scheme.lower() == "basic" and _has_secret(given.strip()):
        raise Refused(reasons.CLIENT, headers=(("WWW-Authenticate", 'Basic realm="app"'),))
    if call.values.get("client_secret"):
        raise Refused(reasons.CLIENT)


def _has_secret(basic: str) -> bool:
    try:
        return not base64.b64decode(basic, validate=True).endswith(b":")
    except (binascii.Error, ValueError):
        return True


def _rule(because: str) -> AccessRule:
    return AccessRule("public", because=because)


_CLIENT: Final = (
    Field("client_id", required=False),
    Field("client_secret", required=False, secret=True),
)
_TOKEN: Final = Field(REFRESH, secret=True)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "token",
        "",
        "token",
        _rule("whoever signs in is nobody yet"),
        do=_token,
        fields=(
            Field("grant_type"),
            Field("username", required=False),
            Field(PASSWORD, required=False, secret=True),
            Field("otp", required=False, secret=True),
            Field(REFRESH, required=False, secret=True),
            Field("scope", required=False),
            *_CLIENT,
        ),
        title="Sign in as a program: an access token and a refresh token",
        needs=jwt.used,
        like="sign_in",
        refused=refused,
    ),
    Endpoint(
        "token_refresh",
        "",
        "refresh",
        _rule("a refresh token is the proof"),
        do=_refresh,
        fields=(_TOKEN, Field("grant_type", required=False)),
        title="The next access token and refresh token",
        needs=jwt.used,
        refused=refused,
    ),
    Endpoint(
        "token_revoke",
        "",
        "revoke",
        _rule("the token itself is the proof; the answer tells nothing"),
        do=_revoke,
        fields=(Field("token", secret=True), Field("token_type_hint", required=False), *_CLIENT),
        title="Sign a program out: end whatever came of its sign-in",
        needs=jwt.used,
        refused=refused,
    ),
    Endpoint(
        "token_keys",
        "",
        "jwks.json",
        _rule("public keys, by which other services check tokens"),
        show=_keys,
        title="The public keys that tokens are signed with",
        needs=jwt.publishes,
    ),
)
