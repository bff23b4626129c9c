"""Why a request with an API key, or one about API keys, is refused."""

from __future__ import annotations

from bylaw.reasons import Reason

INVALID = Reason(
    "api_keys.invalid",
    401,
    "The credential is not valid.",
    "What was sent is no API key, one that has expired or was revoked, or one whose owner is disabled. The "
    "answer is the same for each, and on public routes too: what is offered and bad is refused.",
)
UNAVAILABLE = Reason(
    "api_keys.unavailable",
    503,
    "API keys cannot be checked at the moment. Try again shortly.",
    "The database did not answer and memory may not be trusted. The request was refused rather than served "
    "with a key that may have been revoked.",
)
NETWORK = Reason(
    "api_keys.network",
    403,
    "This API key is not used from here.",
    "The key is bound to networks, and the client's address is in none of them. Behind a proxy: is it "
    "trusted to name the client (proxies.trusted, proxies.x_for)? A key that is used elsewhere has leaked: "
    "look at the record, and revoke it.",
)
IN_QUERY = Reason(
    "api_keys.in_query",
    400,
    "An API key is sent in a header, never in an address. This one must be revoked.",
    "Addresses stand in logs, histories and Referer fields (RFC 6750 section 5.3, CWE-598). A key in one "
    "never works. Revoke it, and send its successor in the header.",
)
TWICE = Reason(
    "api_keys.twice",
    400,
    "Send one credential, in one header.",
    "The request bears a credential in the Authorization field and one in the header that the policy names. "
    "Of two, two parsers could take different ones (RFC 6750 section 2).",
)
NONE = Reason(
    "api_keys.none",
    404,
    "There are no API keys here.",
    "The policy names no paths on which keys are taken ([api_keys] paths).",
)
UNKNOWN = Reason(
    "api_keys.unknown",
    404,
    "There is no such API key.",
    "No key with this id is good and the account's own; somebody else's are nobody's business.",
)
SCOPE = Reason(
    "api_keys.scope",
    422,
    "An API key cannot be given more than its owner may.",
    "Each scope must be a permission, or a pattern of permissions, that the owner holds now, everywhere or "
    "within some object.",
)
REPLACED = Reason(
    "api_keys.replaced",
    409,
    "This API key has a successor already.",
    "It was rotated before and ends by itself. Rotate the successor, or revoke it first.",
)
FULL = Reason(
    "api_keys.full",
    409,
    "There are as many API keys as an account may have.",
    "Each key is one more secret that somebody keeps. Revoke those that are not used.",
)
OF_A_PERSON = Reason(
    "api_keys.of_a_person",
    403,
    "A person's API keys are made by that person alone.",
    "An administrator who made a key in somebody's name would act as him without a trace. Make a service "
    "account, or revoke the key.",
)
SERVICE = Reason(
    "api_keys.service",
    409,
    "A service account has API keys, and nothing to sign in with.",
    "It has no password, no mailbox, no second factor and no sessions: what is about these is not for it.",
)
