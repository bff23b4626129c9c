"""API keys: one's own below the account; everybody's, and those of service accounts, for administrators."""

from __future__ import annotations

from typing import Any, Final

from bylaw.controls import api_keys, mfa, roles
from bylaw.controls.rate_limits.rates import parsed
from bylaw.identity import SIGNED_IN, AccessRule
from bylaw.operations import administering, authority, services
from bylaw.operations import api_keys as operations
from bylaw.operations.api_keys import Made
from bylaw.operations.services import Service
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.quantities import spoken

_RULE: Final = AccessRule("permission", roles.MANAGE_USERS)
_DAY: Final = 86400
_OFFERED: Final = (7 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY)
"""Lives of a key that a form offers, as far as the policy lets a key live."""


# One's own


def _show_own(call: Call) -> Show:
    listed = operations.own(call.house, call.who)
    return _page(call, call.who.id, listed, here="keys", makes=True)


def _change_own(call: Call) -> Show | Done:
    return _change(call, "", call.urls["keys"])


# Everybody's, for administrators


def _show_account(call: Call) -> Show:
    user = administering.find(call.house, call.who, call.argument)
    listed = operations.of_account(call.house, call.who, user.id)
    about = {"id": user.id, "email": user.email, "service": user.service, "contact": user.contact or ""}
    return _page(call, user.id, listed, here="user", makes=user.service, about=about)


def _change_account(call: Call) -> Show | Done:
    user = administering.find(call.house, call.who, call.argument)
    return _change(call, user.id, f"{call.urls['user_keys']}/{user.id}")


def _page(
    call: Call,
    owner: str,
    listed: list[dict[str, Any]],
    *,
    here: str,
    makes: bool,
    about: dict[str, Any] | None = None,
) -> Show:
    settings = call.house.policy.of(api_keys.Settings)
    page = call.urls["keys"] if about is None else f"{call.urls['user_keys']}/{owner}"
    lives = [life for life in _OFFERED if life < settings.lifetime]
    replaced = {key["replaces"]: key["name"] for key in listed if key["replaces"]}
    return Show(
        "keys.html",
        {
            "keys": listed,
            "replaced": replaced,
            "about": about,
            "here": here,
            "page": page,
            "makes": makes,
            "held": operations.scopes_of(call.house, owner) if makes else [],
            "fresh": mfa.is_fresh(call.house, call.who),
            "full": len(listed) >= api_keys.MOST,
            "lives": [(f"{life}s", spoken(life)) for life in lives],
            "longest": spoken(settings.lifetime),
            "never": settings.never,
            "rate": str(parsed(settings.rate)),
            "header": settings.header,
            "paths": settings.paths,
            "notice": call.query("notice"),
        },
        data={"keys": listed},
    )


def _change(call: Call, owner: str, page: str) -> Show | Done:
    house, who, values = call.house, call.who, call.values
    match values["action"]:
        case "make":
            made = operations.make(
                house,
                who,
                name=values["name"],
                scopes=[*values["scope"], *values["more"].split()],
                lifetime=values["lifetime"],
                networks=values["network"],
                rate=values["rate"],
                owner=owner,
            )
            return _shown_once(call, made, page)
        case "rotate":
            made = operations.rotate(house, who, values["key"], overlap=values["overlap"], owner=owner)
            return _shown_once(call, made, page)
        case _:
            operations.revoke(house, who, values["key"], owner=owner, reason=values["reason"])
            return Done(f"{page}?notice=revoked", {"message": "Revoked."})


def _shown_once(call: Call, made: Made, page: str) -> Show:
    """The key itself: in this answer and never again."""
    facts = {
        "id": made.id,
        "key": made.text,
        "name": made.name,
        "scopes": list(made.scopes),
        "expires_at": made.expires_at,
        "replaces": made.replaces,
        "old_until": made.old_until,
    }
    here = "keys" if page == call.urls["keys"] else "user"
    settings = call.house.policy.of(api_keys.Settings)
    return Show("key_made.html", {**facts, "page": page, "here": here, "paths": settings.paths}, facts, 201)


# Service accounts


def _show_services(call: Call) -> Show:
    listed = [_service(found) for found in services.listing(call.house, call.who)]
    return Show(
        "services.html",
        {
            "services": listed,
            "here": "user",
            "known_roles": sorted(call.house.policy.of(roles.Settings).grants),
            "contact": call.who.email,
            "notice": call.query("notice"),
        },
        data={"services": listed},
    )


def _service(found: Service) -> dict[str, Any]:
    user = found.user
    return {
        "id": user.id,
        "name": found.name,
        "contact": user.contact,
        "roles": sorted(user.roles),
        "disabled": user.disabled_at is not None,
        "created_at": user.created_at,
        "keys": found.keys,
        "used_at": found.used_at or None,
    }


def _make_service(call: Call) -> Done:
    sent = call.values["role"]
    made = services.make(
        call.house,
        call.who,
        name=call.values["name"],
        contact=call.values["contact"],
        granted=sent if call.api else [role for role in sent if role],
    )
    data = {"id": made.id, "name": made.name, "contact": made.contact, "roles": sorted(made.roles)}
    return Done(f"{call.urls['user_keys']}/{made.id}?notice=service", data, status=201)


_FIELDS: Final = (
    Field("action", choices=("make", "rotate", "revoke")),
    Field("key", required=False, limit=22),
    Field("name", "Name", required=False),
    Field("scope", "Permissions", required=False, many=True, limit=130),
    Field("more", "Further permissions", required=False, limit=2000),
    Field("lifetime", "Expires", required=False, limit=20),
    Field("network", "Networks", required=False, many=True, limit=2000),
    Field("rate", "Limit", required=False, limit=40),
    Field("overlap", "The old key ends", required=False, limit=20),
    Field("reason", "Reason", required=False, limit=authority.MAX_REASON),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "keys",
        "keys",
        "api_keys",
        SIGNED_IN,
        _show_own,
        _change_own,
        _FIELDS,
        "Your API keys",
        needs=api_keys.used,
    ),
    Endpoint(
        "services",
        "users/services",
        "api_users/services",
        _RULE,
        _show_services,
        _make_service,
        (
            Field("name", "Name", limit=40),
            Field("contact", "Who answers for it", required=False),
            Field("role", "Roles", required=False, many=True, limit=64),
        ),
        "Service accounts",
        needs=api_keys.used,
    ),
    Endpoint(
        "user_keys",
        "users/keys/",
        "api_users/keys/",
        _RULE,
        _show_account,
        _change_account,
        _FIELDS,
        "The API keys of an account",
        needs=api_keys.used,
    ),
)
