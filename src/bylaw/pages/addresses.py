"""One's own mail address: confirmed, and changed."""

from __future__ import annotations

from bylaw.controls import cookies, email, errors
from bylaw.identity import OWING, SIGNED_IN, AccessRule
from bylaw.keys import digest
from bylaw.operations import addresses, ceremonies, signing_in
from bylaw.pages import arriving
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.quantities import spoken
from bylaw.reasons import Refused
from bylaw.store import links
from bylaw.store.tables import email_confirmations

_CEREMONY = "confirm_email"
_NO_REFERRER = (("Referrer-Policy", "no-referrer"),)
"""No page that a link leads to tells another where it was (WSTG-ATHN-09)."""


def _open(call: Call) -> Show | Done:
    """The mailed link: looking at it uses nothing up, since mail servers look at links before people do. What
    it opens is kept for this browser, and the secret leaves the address bar."""
    with call.house.store.reading() as connection:
        found = links.find(connection, email_confirmations, digest(call.argument), call.house.now())
    if found is None:
        return Show("confirm_ended.html", status=email.LINK.status, headers=_NO_REFERRER)
    if call.exchange.method == "GET":  # HEAD is asked by programs alone
        ceremonies.begin(
            call.house, call.exchange, _CEREMONY, {"link": found["digest"]}, user_id=found["user_id"]
        )
    return Done(call.urls["confirm_email"], headers=_NO_REFERRER)


def _begun(call: Call) -> dict[str, str] | None:
    """What was opened in this browser, if it is about the account that is signed in: the link's digest, and
    the address that it was mailed to."""
    with call.house.store.reading() as connection:
        begun = ceremonies.under_way(call.house, connection, call.exchange, _CEREMONY)
        if begun is None or begun["user_id"] != call.who.id:
            return None
        link = str(begun["facts"]["link"])
        found = links.find(connection, email_confirmations, link, call.house.now())
    return None if found is None else {"link": link, "email": str(found["email"])}


def _show_confirm(call: Call) -> Show:
    state, begun = addresses.state(call.house, call.who), _begun(call)
    return Show(
        "confirm_email.html",
        {
            "email": state.email,
            "confirmed": state.confirmed,
            "owes": "confirm" in call.owes.split(),
            "ready": begun["email"] if begun is not None else "",
            "lifetime": spoken(call.house.policy.of(email.Settings).lifetime),
            "next": arriving.back(call),
            "notice": call.query("notice"),
        },
        data={"email": state.email, "confirmed": state.confirmed, "pending": state.pending},
        headers=_NO_REFERRER,
    )


def _confirm(call: Call) -> Done:
    link = _link(call)
    if link is None:
        return _confirmed_elsewhere(call)
    session = call.exchange.session
    changed = addresses.confirm(call.house, call.who, link=link, session=session.digest, owes=call.owes)
    call.exchange.set_cookie(cookies.make(call.house.policy, cookies.CEREMONY, "", lifetime=0))
    if changed:
        return Done(
            f"{call.urls['change_email']}?notice=changed",
            {"message": "The address is changed; other sessions have ended."},
        )
    return _went_on(call)


def _link(call: Call) -> str | None:
    """The digest of the link that is to be used: a program sends its secret, a browser has opened it."""
    token = call.values["token"].strip()
    if token:
        return digest(token)
    begun = None if call.api else _begun(call)
    return None if begun is None else begun["link"]


def _confirmed_elsewhere(call: Call) -> Done:
    """Go on without a link, where the address was confirmed in another browser or by an administrator."""
    if "confirm" not in call.owes.split() or not addresses.state(call.house, call.who).confirmed:
        raise Refused(
            errors.INVALID,
            detail="" if call.api else "Open the link in the mail first, in this browser.",
            fields={"token": "needed: what stands last in the mailed link"} if call.api else {},  # nosec B105  # no secret: words
        )
    return _went_on(call)


def _went_on(call: Call) -> Done:
    if "confirm" not in call.owes.split():
        return Done(call.urls["confirm_email"], {"message": "The address is confirmed."})
    opened = signing_in.go_on(call.house, call.exchange.session.digest, done=("confirm",))
    return arriving.went_on(call, opened, to=arriving.back(call))


def _send_again(call: Call) -> Done:
    addresses.send_again(call.house, call.who)
    # The same where nothing was sent: no mail for a confirmed address, nor more than [email] allows.
    return Done(f"{call.urls['confirm_email']}?notice=sent", {"message": "A mail is on its way."}, status=202)


def _show_change(call: Call) -> Show:
    state = addresses.state(call.house, call.who)
    return Show(
        "change_email.html",
        {
            "email": state.email,
            "confirmed": state.confirmed,
            "pending": state.pending,
            "lifetime": spoken(call.house.policy.of(email.Settings).lifetime),
            "notice": call.query("notice"),
        },
        data={"email": state.email, "confirmed": state.confirmed, "pending": state.pending},
    )


def _change(call: Call) -> Done:
    addresses.ask_to_change(call.house, call.who, call.values["email"])
    # Whoever the new address belongs to: the answer is this one (C-41).
    return Done(
        f"{call.urls['change_email']}?notice=sent",
        {"message": "A mail with a link is on its way to the new address."},
        status=202,
    )


_LINK = AccessRule("public", because="the link opens a page on which whoever follows it has to sign in")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "confirm_link",
        "confirm-email/",
        "",
        _LINK,
        _open,
        title="Open a link that confirms an address",
        needs=email.on,
    ),
    Endpoint(
        "confirm_email",
        "confirm-email",
        "api_confirm_email",
        OWING,
        _show_confirm,
        _confirm,
        # Needed by programs; a browser that has opened the link has its ceremony instead.
        (Field("token", required=False, secret=True), Field("next", required=False, limit=2000)),
        "Confirm the mail address",
        finishes=("confirm",),
        needs=email.on,
    ),
    Endpoint(
        "send_confirmation",
        "send-confirmation",
        "api_send_confirmation",
        OWING,
        None,
        _send_again,
        (),
        "Have the mail that confirms the address sent again",
        finishes=("confirm",),
        needs=email.on,
    ),
    Endpoint(
        "change_email",
        "email",
        "api_email",
        SIGNED_IN,
        _show_change,
        _change,
        (Field("email", "New mail address"),),
        "Change the mail address",
        needs=email.on,
    ),
)
