"""Second factors: shown at sign-in, asked for again, set up and removed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import segno
from markupsafe import Markup
from sqlalchemy import RowMapping

from bylaw.controls import errors, lockout, mfa, passwords, tokens
from bylaw.controls.sessions import Opened, owing
from bylaw.identity import OWING
from bylaw.operations import authenticator_apps, bearing, passkeys, second_factors, showing_factors
from bylaw.operations.authenticator_apps import Begun
from bylaw.operations.second_factors import Held
from bylaw.pages import arriving
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Refused

_CODE: Final = Field("code", "Code from the app", required=False, secret=True)
_RECOVERY: Final = Field("recovery", "Recovery code", required=False, secret=True)
_PASSWORD: Final = Field("password", "Password", required=False, secret=True)
_TOKEN: Final = Field("token", "Access token", required=False, secret=True)
_NEXT: Final = Field("next", required=False, limit=2000)
_NAME: Final = Field("name", "Name", required=False, limit=authenticator_apps.MAX_NAME)
_ACTIONS: Final = ("rename", "remove", "codes")


# At sign-in


def _show_second(call: Call) -> Show | Done:
    if owing.first(call.owes) != "second":
        return Done(arriving.back(call))
    ways = _ways(call)
    return Show("second_factor.html", ways, data=_data(ways))


def _data(ways: dict[str, Any]) -> dict[str, Any]:
    """The same for a program."""
    return {"apps": ways["apps"], "recovery_codes_left": ways["codes"], "enrolled": ways["enrolled"]}


def _ways(call: Call) -> dict[str, Any]:
    """What the pages that ask for a second factor can ask for, and where they lead."""
    held = second_factors.held(call.house, call.who)
    return {
        "apps": len(held.apps),
        "codes": held.codes_left,
        "enrolled": held.enrolled,
        "passkeys_held": bool(passkeys.own(call.house, call.who)),
        "next": arriving.back(call),
    }


def _second(call: Call) -> Done:
    if owing.first(call.owes) != "second":
        return Done(arriving.back(call))
    with _beside(call):
        opened = showing_factors.show(
            call.house,
            call.who,
            session=_session(call),
            code=_given(call),
            whence=lockout.whence(call.house, call.exchange),
        )
    return arriving.went_on(call, opened, to=arriving.back(call))


def _given(call: Call) -> str:
    """The code that was given, in the one field or the other. Raises Refused where there is none."""
    code = str(call.values["code"] or call.values["recovery"])
    if not code:
        raise Refused(errors.INVALID, fields={"code": "needed"})
    return code


class _beside:  # noqa: N801 - reads as a word: `with _beside(call):`
    """Says what was wrong beside the field that it was given in: two forms are on the page."""

    def __init__(self, call: Call) -> None:
        self._field = "recovery" if call.values["recovery"] and not call.values["code"] else "code"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Refused) and error.reason is mfa.WRONG:
            raise Refused(mfa.WRONG, fields={self._field: "not right, or used already"}) from None
        if isinstance(error, Refused) and error.reason is passwords.WRONG:
            raise Refused(
                passwords.WRONG,
                detail="That is not your password.",
                fields={"password": "not your password"},  # nosec B105  # no secret: words
            ) from None
        if isinstance(error, Refused) and error.reason is tokens.WRONG:
            fields = {"token": "not a token of your account"}  # nosec B105  # no secret: words
            raise Refused(tokens.WRONG, fields=fields) from None


def _session(call: Call) -> str:
    """The digest of the session that is being used."""
    if call.exchange.session is None:
        raise RuntimeError("whoever asks has a session: the rule has seen to it")
    found: str = call.exchange.session.digest
    return found


# Asked for again


def _show_step_up(call: Call) -> Show:
    ways = _ways(call)
    # Nobody can show what he does not have: to this page a second factor is set up first.
    missing = call.query("wants") == "second" and not ways["enrolled"]
    return Show(
        "step_up.html",
        {
            **ways,
            "missing": missing,
            "password": second_factors.has_password(call.house, call.who),
            "token": bearing.held(call.house, call.who),
        },
        data=_data(ways),
    )


def _step_up(call: Call) -> Done:
    with _beside(call):
        opened = showing_factors.step_up(
            call.house,
            call.who,
            session=_session(call),
            code=str(call.values["code"] or call.values["recovery"]),
            password=call.values["password"],
            token=call.values["token"],
            whence=lockout.whence(call.house, call.exchange),
        )
    return arriving.went_on(call, opened, to=arriving.back(call))


# Set up and removed


def _show_factors(call: Call) -> Show:
    held = second_factors.held(call.house, call.who)
    apps = [_app(row) for row in held.apps]
    context = {
        "apps": apps,
        "most": mfa.MOST,
        "codes": held.codes_left,
        "few": mfa.FEW,
        "enrolled": held.enrolled,
        "must": mfa.required(call.house.policy, call.who.roles),
        "owes": owing.first(call.owes) == "enrol",
        "next": arriving.back(call),
        "asked": call.query("next"),
        "notice": call.query("notice"),
        "name_limit": authenticator_apps.MAX_NAME,
    }
    data = {"apps": apps, "recovery_codes_left": held.codes_left, "enrolled": held.enrolled}
    return Show("factors.html", context, data=data)


def _app(row: RowMapping) -> dict[str, Any]:
    """What is shown of an app: never its secret."""
    return {name: row[name] for name in ("id", "name", "created_at", "used_at")}


def _change_factors(call: Call) -> Show | Done:
    house, who, page = call.house, call.who, call.urls["factors"]
    match call.values["action"]:
        case "rename":
            authenticator_apps.rename(house, who, call.values["factor"], call.values["name"])
            return Done(f"{page}?notice=renamed", {"message": "Renamed."})
        case "remove":
            authenticator_apps.remove(house, who, call.values["factor"], session=_session(call))
            return Done(f"{page}?notice=removed", {"message": "Removed; other sessions have ended."})
        case "codes":
            return show_codes(second_factors.new_codes(house, who), to=page)
        case _:
            raise Refused(errors.INVALID, fields={"action": f"one of {', '.join(_ACTIONS)}"})


def show_codes(codes: list[str] | tuple[str, ...], *, to: str, data: dict[str, Any] | None = None) -> Show:
    """The page that shows recovery codes, this once, and leads to `to`."""
    return Show("recovery_codes.html", {"codes": codes, "to": to}, {"recovery_codes": codes, **(data or {})})


def added(call: Call, opened: Opened, codes: list[str] | tuple[str, ...], *, to: str) -> Show | Done:
    """What follows a new second factor: the session goes on as `opened`, its first recovery codes are shown
    where there are any, and then `to`, or the page of what is still owed."""
    done = arriving.went_on(call, opened, to=to)
    if not codes:
        return done
    session = call.exchange.session
    if session is not None:
        # The page that is shown now belongs to the session under its new id: its form bears a token of it.
        call.exchange.session = replace(session, digest=opened.digest, owes=opened.owes)
        if not opened.owes:
            call.exchange.identity = session.identity
    return show_codes(codes, to=done.to, data=done.data)


def _show_app(call: Call) -> Show | Done:
    """The secret once more after a wrong code. Whoever only looks gets none: nothing that is fetched gives
    a secret away (CVE-2021-21241)."""
    begun = None
    if call.exchange.method == "POST":
        begun = authenticator_apps.under_way(call.house, call.exchange, call.who)
    return Done(call.urls["factors"]) if begun is None else _new_app(call, begun)


def _new_app(call: Call, begun: Begun) -> Show:
    return Show(
        "authenticator.html",
        {
            "picture": picture(begun.address),
            "address": begun.address,
            "secret": [begun.secret[n : n + 4] for n in range(0, len(begun.secret), 4)],
            "next": arriving.back(call) if call.values.get("next") else "",
            "name_limit": authenticator_apps.MAX_NAME,
        },
        data={"secret": begun.secret, "address": begun.address},
    )


def _add_app(call: Call) -> Show | Done:
    if not call.values["code"]:
        return _new_app(call, authenticator_apps.begin(call.house, call.exchange, call.who))
    made = authenticator_apps.confirm(
        call.house,
        call.exchange,
        call.who,
        session=_session(call),
        code=call.values["code"],
        name=call.values["name"],
    )
    to = arriving.back(call) if call.owes or call.values["next"] else f"{call.urls['factors']}?notice=added"
    return added(call, made.opened, made.codes, to=to)


def picture(text: str) -> Markup:
    """A QR code as SVG in the page itself: no other request, nothing that a content policy has to allow."""
    made = segno.make(text, error="m", micro=False)
    drawn = made.svg_inline(border=4, dark="#000", light="#fff", svgclass=None, lineclass=None, omitsize=True)
    # The text is in the pattern of squares alone: nothing of it stands in what is drawn.
    return Markup(drawn)  # noqa: S704  # nosec B704


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "second_factor",
        "second-factor",
        "api_second_factor",
        OWING,
        _show_second,
        _second,
        (_CODE, _RECOVERY, _NEXT),
        "Second factor",
        finishes=("second",),
    ),
    Endpoint(
        "step_up",
        "step-up",
        "api_step_up",
        OWING,
        _show_step_up,
        _step_up,
        (_CODE, _RECOVERY, _PASSWORD, _TOKEN, _NEXT),
        "Show that it is you",
    ),
    Endpoint(
        "factors",
        "factors",
        "api_factors",
        OWING,
        _show_factors,
        _change_factors,
        (
            Field("action", "Action"),
            Field("factor", required=False, limit=22),
            _NAME,
        ),
        "Second factors",
        finishes=("enrol",),
    ),
    Endpoint(
        "authenticator",
        "factors/app",
        "api_factors/app",
        OWING,
        _show_app,
        _add_app,
        (Field("code", "Code", required=False, secret=True), _NAME, _NEXT),
        "Add an authenticator app",
        finishes=("enrol",),
    ),
)

__all__ = ["ENDPOINTS", "Held", "added", "picture", "show_codes"]
