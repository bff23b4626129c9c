"""The order in which an exchange passes the controls, with the reason beside each row.

The gate compiles this table and nothing else: a control that is not in it has no say in a request.
"""

from __future__ import annotations

from typing import Final

ENTER: Final[tuple[tuple[str, str, str], ...]] = (
    # phase, control, why here
    ("origin", "csrf", "a foreign request is refused before anything looks at its credentials"),
    ("identify", "sessions", "who asks: everything below decides about somebody"),
    ("intent", "csrf", "the token is bound to the session, so the session must be known"),
)

DEPART: Final[tuple[tuple[str, str, str], ...]] = (
    ("depart", "errors", "the request's id, on refusals as on answers"),
    ("depart", "roles", "the challenge of a 401, whoever answered it"),
    ("depart", "cookies", "cookies of the application and of bylaw, completed"),
    ("depart", "headers", "last: nothing after it may drop or weaken a header"),
)
