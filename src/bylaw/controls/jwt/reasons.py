"""Why a token is not taken, or not given."""

from __future__ import annotations

from bylaw.reasons import Reason

INVALID = Reason(
    "jwt.invalid",
    401,
    "The access token is not valid.",
    "It is no token of this application, has expired, or was ended: by signing out, by a change of its "
    "owner's standing, or because its refresh token was used twice. Ask for a new one.",
)
UNAVAILABLE = Reason(
    "jwt.unavailable",
    503,
    "Tokens cannot be checked at the moment. Try again shortly.",
    "The database did not answer and memory may not be trusted. The request was refused rather than served "
    "with a token that may have been ended.",
)
REFRESH = Reason(
    "jwt.refresh",
    401,
    "Sign in again.",
    "The refresh token is unknown, was used before or has expired. One that was used before has ended its "
    "whole family: either this client or a thief is left with an old one.",
)
REQUEST = Reason(
    "jwt.request",
    400,
    "The request for a token is not complete.",
    "A parameter of RFC 6749 is missing, came twice or is no text. `error_description` names it.",
)
GRANT = Reason(
    "jwt.grant",
    400,
    "Tokens are given for a password or a refresh token.",
    "`grant_type` is neither `password` nor `refresh_token`, or nobody has a password here.",
)
SCOPE = Reason(
    "jwt.scope",
    400,
    "There are no scopes here: leave the parameter out.",
    "A token may what its owner may. Whoever wants one that may less takes an API key.",
)
CLIENT = Reason(
    "jwt.client",
    401,
    "Clients have no secrets here: leave it out.",
    "The request bears a client's secret, in `client_secret` or by Basic authentication. Who signs in are "
    "people; nothing was looked up.",
)
SECOND = Reason(
    "jwt.second_factor",
    403,
    "The account has a second factor: send its code as well, as the parameter otp.",
    "The password was right. The code of an authenticator app or a recovery code is asked for besides; "
    "accounts whose only second factor is a passkey get no tokens.",
)
UNFINISHED = Reason(
    "jwt.unfinished",
    403,
    "Sign in at the sign-in page first: something is to be done there.",
    "The password was right, and a second factor is to be set up, another password chosen or the mail "
    "address confirmed before anybody is signed in. `error_description` says which.",
)
