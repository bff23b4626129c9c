"""The order in which an exchange passes the controls, with the reason beside each row.

The gate compiles this table and nothing else: a control that is not in it has no say in a request.
"""

from __future__ import annotations

from typing import Final

ENTER: Final[tuple[tuple[str, str, str], ...]] = (
    # phase, control, why here
    ("arrive", "logs", "everything that follows is logged under the request's id"),
    ("arrive", "proxies", "who sent it and over what: all the rest decides about that"),
    ("arrive", "monitoring", "a balancer asks by address and without TLS: before names and schemes count"),
    ("arrive", "hosts", "a request for another name is nobody's here"),
    ("arrive", "https", "nothing of a request that went in the clear is looked at"),
    ("arrive", "ip_allowlist", "whoever may not come near need not be asked who they are"),
    ("arrive", "body", "what is announced too large is refused before it is sent"),
    ("origin", "cors", "a preflight is answered here; it bears no credentials"),
    ("origin", "csrf", "a foreign request is refused before anything looks at its credentials"),
    ("identify", "sessions", "who asks: everything below decides about somebody"),
    ("identify", "jwt", "the same where no cookie counts: never two who ask at once"),
    ("identify", "api_keys", "the same, and last: what was borne and nobody has known is refused here"),
    ("pace", "rate_limits", "whose budget it is depends on who asks; before anything costly is done"),
    ("shape", "body", "what is inside is looked at for those alone who may still send"),
    ("intent", "csrf", "the token is bound to the session, so the session must be known"),
)

DEPART: Final[tuple[tuple[str, str, str], ...]] = (
    ("depart", "errors", "the request's id, on refusals as on answers"),
    ("depart", "roles", "the challenge of a 401, whoever answered it"),
    ("depart", "rate_limits", "what is left of the budget"),
    ("depart", "cors", "who may read the answer"),
    ("depart", "cookies", "cookies of the application and of bylaw, completed"),
    ("depart", "headers", "nothing after it may drop or weaken a header"),
    ("depart", "monitoring", "last: it counts what leaves, and changes nothing"),
)
