"""Signing in with an account of another provider: going there, coming back, and one's linked accounts.

The browser goes and comes back by way of a page of this site, not by a redirect: `form-action 'self'` stops
a form that is redirected to another site, and a cookie that is SameSite=Strict does not go along with a
redirect that another site began (C-09).
"""

from __future__ import annotations

from typing import Any

from bylaw.controls import errors, federated
from bylaw.house import House
from bylaw.identity import SIGNED_IN, AccessRule
from bylaw.operations import federating
from bylaw.operations.federating import Linked
from bylaw.pages import arriving
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Refused

_NEXT = Field("next", required=False, limit=2000)


def providers(house: House) -> list[dict[str, str]]:
    """The providers that people may sign in with, in the order of their labels."""
    on = federated.offered(house.policy).values()
    return [
        {"name": each.name, "label": each.label} for each in sorted(on, key=lambda offer: offer.label.lower())
    ]


def _providers(call: Call) -> Show:
    return Show(data={"providers": providers(call.house)})


# Going there


def _begin(call: Call) -> Show | Done:
    address = federating.begin(
        call.house, call.exchange, call.argument, to=arriving.back(call), session=_digest(call)
    )
    return _going(call, call.argument, address)


def _going(call: Call, name: str, address: str) -> Show:
    offer = federating.offered(call.house, name)
    return _onward("federated_going.html", address, {"provider": offer.label}, data={"location": address})


def _onward(template: str, to: str, context: dict[str, Any], *, data: Any = None) -> Show:
    """A page from which a browser goes on by itself, and a person by its link."""
    return Show(
        template,
        {"to": to, **context},
        data=data,
        headers=(("Refresh", f"0;url={to}"), ("Referrer-Policy", "no-referrer")),
    )


def _digest(call: Call) -> str:
    session = call.exchange.session
    return session.digest if session is not None else ""


# Coming back


def _callback(call: Call) -> Show:
    if call.exchange.method != "GET":  # a HEAD would use the answer up, and show nobody anything
        raise Refused(errors.METHOD, headers=(("Allow", "GET"),))
    # The answer stands in the address, and is good once: no page may lead back to it.
    call.exchange.note("way_back", call.house.policy.pages.home)
    done = federating.finish(call.house, call.exchange, call.argument)
    if isinstance(done, Linked):
        to = f"{call.urls['federated_accounts']}?notice=linked"
        return _onward("federated_arrived.html", to, {"provider": done.provider.label})
    opened = federating.open_session(
        call.house, done, address=call.exchange.client, agent=arriving.agent(call)
    )
    arrived = arriving.arrived(call, opened, to=done.next)
    label = federating.label_of(call.house, call.argument)
    return _onward("federated_arrived.html", arrived.to, {"provider": label})


# One's linked accounts


def _accounts(call: Call) -> Show:
    links = federating.links(call.house, call.who)
    linked = [
        {
            "provider": link["oauth_provider"],
            "label": federating.label_of(call.house, link["oauth_provider"]),
            "email": link["email"],
            "created_at": link["created_at"],
            "used_at": link["used_at"],
        }
        for link in links
    ]
    names = {link["provider"] for link in linked}
    free = [each for each in providers(call.house) if each["name"] not in names]
    return Show(
        "federated_accounts.html",
        {"linked": linked, "free": free, "notice": call.query("notice")},
        data={"linked": linked, "providers": free},
    )


def _change(call: Call) -> Show | Done:
    name = call.values["provider"]
    here = call.urls["federated_accounts"]
    match call.values["action"]:
        case "link":
            address = federating.begin(
                call.house, call.exchange, name, to=here, session=_digest(call), who=call.who
            )
            return _going(call, name, address)
        case "unlink":
            federating.unlink(call.house, call.who, _digest(call), name)
            return Done(f"{here}?notice=unlinked", {"message": "Unlinked."})
    raise Refused(errors.INVALID, fields={"action": "link or unlink"})


_GOING = AccessRule("public", because="whoever signs in with another provider is nobody yet")
_COMING = AccessRule(
    "public", because="whoever comes back from a provider is nobody yet; the answer says who"
)
_LISTED = AccessRule("public", because="which providers there are stands on the sign-in page")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "federated_providers", "", "api_providers", _LISTED, _providers, title="Providers to sign in with"
    ),
    Endpoint(
        "federated_begin",
        "federated/",
        "api_federated/",
        _GOING,
        None,
        _begin,
        (_NEXT,),
        "Sign in with another account",
    ),
    Endpoint("federated_callback", "callback/", "", _COMING, _callback, title="Back from a provider"),
    Endpoint(
        "federated_accounts",
        "linked",
        "api_linked",
        SIGNED_IN,
        _accounts,
        _change,
        (Field("action", "Action", limit=10), Field("provider", "Provider", limit=32)),
        "Linked accounts",
    ),
)
