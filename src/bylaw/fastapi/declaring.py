"""What a route declares, as dependencies: who may call it, and the files that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from fastapi import File, UploadFile
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.params import Depends
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from bylaw.adapters import asgi
from bylaw.controls import cookies
from bylaw.exchange import Exchange
from bylaw.identity import (
    ANONYMOUS,
    PUBLIC,
    SIGNED_IN,
    STEP_UP,
    AccessRule,
    Identity,
    StepUp,
    asking,
)
from bylaw.operations.files import Given
from bylaw.reasons import Refused
from bylaw.routes import Taking


class Demand(SecurityBase):
    """The dependency behind a rule. The guard before the body has asked it already; asked again
    here, it holds on a route that the guard could not be put before."""

    def __init__(self, rule: AccessRule) -> None:
        self.rule = rule
        self.scheme_name = "session"
        self.model = APIKey(
            **{"in": APIKeyIn.cookie},
            name=f"__Host-{cookies.SESSION}",
            description="The cookie of a session, opened by signing in.",
        )

    async def __call__(self, connection: HTTPConnection) -> Identity:
        return who_calls(connection, self.rule)


def Permit(  # noqa: N802 - reads as a type in Annotated[Identity, Permit(…)]
    permission: str,
    *,
    within: str = "",
    second_factor: bool = False,
    max_age: int | str = 0,
    refusal: str = "",
) -> Any:
    """The route asks for `permission` (noun:verb); with `second_factor` for two factors, with `max_age`
    (seconds, or "10m") for a proof that is not older. The parameter is whoever calls.

    `within` says which object the route is about, so that roles count which were given for that object
    alone: "planning:{planning_id}" by a part of the path, or "planning" where the route itself finds out
    which one and asks `who.demand(…, within="planning:17")`. Without it such roles open nothing. `refusal`
    is what somebody who may not is told besides ("Admin only").

    Raises MisuseError for a permission, an age or an object that is none.
    """
    rule = AccessRule("permission", permission, refusal=refusal)
    return Depends(Demand(asking(rule, second_factor=second_factor, max_age=max_age, within=within)))


def SignedIn(  # noqa: N802 - see Permit
    *, second_factor: bool = False, max_age: int | str = 0
) -> Any:
    """The route is for whoever is signed in; `second_factor` and `max_age` as for `Permit`."""
    return Depends(Demand(asking(SIGNED_IN, second_factor=second_factor, max_age=max_age)))


def Public(because: str = "") -> Any:  # noqa: N802 - see Permit
    """The route is for everybody; `because` says why it may be."""
    return Depends(PublicDemand(AccessRule("public", because=because) if because else PUBLIC))


def Takes(field: str, *, kinds: Iterable[str] = (), most: int = 1) -> Any:  # noqa: N802 - see Permit
    """The route takes files in the form's field `field`, at most `most` of them in one request; `kinds` are
    extensions (`"pdf"`) of the policy's own list, all of them where none is named. The parameter is a list of
    Given, each for `bylaw.files.take`; empty where none was chosen. A route without this takes no file."""
    return Depends(Taken(Taking(frozenset({field}), tuple(kinds), most)))


class Taken:
    """The dependency behind `Takes`: to FastAPI, a function that asks for uploads in one field."""

    def __init__(self, taking: Taking) -> None:
        self.taking = taking
        (field,) = taking.fields
        uploads = inspect.Parameter(
            f"uploads_{field.encode().hex()}",  # of its own: FastAPI makes one form of all of a route's
            inspect.Parameter.KEYWORD_ONLY,
            default=File(default_factory=list, alias=field, description=_described(taking)),
            annotation=list[UploadFile],
        )
        self.__signature__ = inspect.Signature([uploads])

    async def __call__(self, **uploads: list[UploadFile]) -> list[Given]:
        (found,) = uploads.values()
        kinds = self.taking.kinds
        return [Given(u.filename, u.content_type or "", u.file, kinds) for u in found if u.filename]


def _described(taking: Taking) -> str:
    kinds = f" ({', '.join(taking.kinds)})" if taking.kinds else ""
    return f"At most {taking.most}{kinds}." if taking.most > 1 else f"A file{kinds}."


class PublicDemand:
    """Like Demand, without a security scheme in the OpenAPI document."""

    def __init__(self, rule: AccessRule) -> None:
        self.rule = rule

    async def __call__(self, connection: HTTPConnection) -> Identity:
        return who_calls(connection, self.rule)


def who_calls(connection: HTTPConnection, rule: AccessRule) -> Identity:
    """Whoever calls, if the rule lets in. Raises Refused."""
    exchange: Exchange = connection.scope[asgi.EXCHANGE]
    exchange.permitted = True
    who = exchange.identity
    # By the identity's clock: in an application that is mounted, `connection.app` is not bylaw's.
    reason = rule.decide(who, who.clock() if who is not None else 0.0, connection.path_params)
    if reason is not None:
        raise StepUp(rule) if reason is STEP_UP else Refused(reason)
    return who or ANONYMOUS
