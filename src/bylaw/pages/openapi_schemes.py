"""What an OpenAPI document says of how somebody shows who he is: a cookie, a token or a key, by the path."""

from __future__ import annotations

from typing import Any

from bylaw.bearer import Family
from bylaw.controls import api_keys, cookies, jwt
from bylaw.identity import AccessRule
from bylaw.policy import Policy


class Schemes:
    """The security schemes of a policy, and which of them a path takes."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._header = policy.of(api_keys.Settings).header
        self._tokens = jwt.family(policy)
        self._keys = Family(policy.of(api_keys.Settings).paths if api_keys.used(policy) else ())

    def components(self) -> dict[str, Any]:
        """For `components.securitySchemes` (OpenAPI 3.1, Security Scheme Object)."""
        found: dict[str, Any] = {
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": cookies.name(self._policy, cookies.SESSION),
                "description": "The cookie of a session, opened by signing in.",
            }
        }
        prefix = self._policy.pages.prefix
        if self._tokens:
            flow = {"tokenUrl": f"{prefix}/token", "refreshUrl": f"{prefix}/refresh", "scopes": {}}
            found["oauth2"] = {
                "type": "oauth2",
                "flows": {"password": flow},
                "description": "An access token, given for mail address and password.",
            }
        if self._keys:
            found["api_key"] = {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key in the Authorization field.",
            }
        if self._keys and self._header:
            found["api_key_header"] = {
                "type": "apiKey",
                "in": "header",
                "name": self._header,
                "description": "An API key in a field of its own.",
            }
        return found

    def asked(self, path: str, rule: AccessRule) -> list[dict[str, list[str]]]:
        """Any of these opens a path, if its owner may (Security Requirement Object)."""
        besides = _besides(rule)
        ways: list[dict[str, list[str]]] = []
        if self._tokens.covers(path):
            ways.append({"oauth2": []})  # there it would be a list of scopes
        if self._keys.covers(path):
            ways.append({"api_key": besides})
            if self._header:
                ways.append({"api_key_header": besides})
        return ways or [{"session": besides}]


def _besides(rule: AccessRule) -> list[str]:
    """What must have been shown besides (OpenAPI 3.1: roles)."""
    return [*(["aal2"] if rule.assurance > 1 else []), *([f"max_age={rule.max_age}"] if rule.max_age else [])]
