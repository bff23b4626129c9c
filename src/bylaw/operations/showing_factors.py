"""Second factors, shown: at the second step of a sign-in, and once more before something that matters."""

from __future__ import annotations

from sqlalchemy import Connection

from bylaw.controls import errors, mfa, passwords
from bylaw.controls.lockout import Whence
from bylaw.controls.sessions import Opened
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import digest
from bylaw.operations import authenticator_apps, bearing, mailing, proving, second_factors, signing_in
from bylaw.reasons import Refused
from bylaw.store import factors
from bylaw.store.users import User


def show(house: House, who: Identity, *, session: str, code: str, whence: Whence) -> Opened:
    """Pass the second factor with a code of an app or a recovery code. Raises Refused.

    `session` is the digest of the session, which goes on under a new id.
    """
    user = second_factors.account(house, who)
    method = prove(house, user, code=code, whence=whence)
    return signing_in.go_on(house, session, method=method, assurance=2, done=("second",))


def step_up(
    house: House,
    who: Identity,
    *,
    session: str,
    code: str = "",
    password: str = "",
    token: str = "",
    whence: Whence,
) -> Opened:
    """Show once more that it is oneself, by the strongest that the account has. Raises Refused.

    That is a code where there is a second factor, and the password or an access token alone where there is
    none.
    """
    user = second_factors.account(house, who)
    with house.store.reading() as connection:
        second = factors.enrolled(connection, user.id)
    if second:
        if not code:
            raise Refused(errors.INVALID, fields={"code": "needed"})
        method = prove(house, user, code=code, whence=whence)
        return signing_in.go_on(house, session, method=method, assurance=2)
    if token:
        return bearing.step_up(house, who, session=session, token=token)
    if not password:
        raise Refused(errors.INVALID, fields={"password": "needed"})  # nosec B105  # no secret: words
    proving.prove(
        house, email=user.email, password=password, whence=whence, failure="authn_step_up_fail", actor=who
    )
    return signing_in.go_on(house, session, method="password")


def prove(house: House, user: User, *, code: str, whence: Whence) -> str:
    """The method, `totp` or `recovery`, by which the code was right. Raises Refused."""
    return proving.prove_factor(
        house,
        user,
        whence=whence,
        check=lambda: _used(house, user, code),
        failure="authn_factor_fail",
        slowed=lambda connection: _warn(house, connection, user),
    )


def _used(house: House, user: User, code: str) -> str | None:
    """Use a code up, and say by which method it was right; None where it is not, or not any more."""
    text = mfa.typed(code)
    with house.store.transaction() as connection:
        method = "totp" if mfa.is_app_code(text) else "recovery"
        use = authenticator_apps.use if method == "totp" else _use_recovery_code
        if not use(house, connection, user, text):
            return None
        second_factors.record(house, connection, user, "authn_factor_success", {"method": method})
    return method


def _use_recovery_code(house: House, connection: Connection, user: User, text: str) -> bool:
    if not factors.use_code(connection, user.id, digest(mfa.kept(user.id, text)), house.now()):
        return False
    left = factors.codes_left(connection, user.id)
    few = [f"You have {left or 'no'} recovery code{'s' if left != 1 else ''} left: make new ones."]
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"A recovery code was used at {house.policy.app.name}",
        paragraphs=[
            "One of your recovery codes was just used in the place of your second factor.",
            *(few if left <= mfa.FEW else []),
            (
                "If it was not you, somebody knows your password and has your codes: change it, make "
                "new codes, and tell an administrator."
                if passwords.on(house.policy)
                else "If it was not you, somebody can begin to sign in as you and has your codes: end your "
                "other sessions, make new codes, and tell an administrator."
            ),
        ],
        link=mailing.Link("Your second factors", mailing.address_of(house, "factors")),
    )
    return True


def _warn(house: House, connection: Connection, user: User) -> None:
    """Whoever is asked for a second factor has shown the first."""
    if passwords.on(house.policy):
        known, first = "knows your password", "gave your password"
        done = "choose another password now: this one is known."
        link = mailing.Link("Choose another password", mailing.address_of(house, "password"))
    else:
        known, first = "can begin to sign in as you", "gave what the first step of signing in asks for"
        done = "tell an administrator: somebody else has what you sign in with."
        link = mailing.Link("See where you are signed in", mailing.address_of(house, "sessions"))
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"Somebody {known} at {house.policy.app.name}",
        paragraphs=[
            (
                f"Somebody {first}, then several wrong codes for your second factor. They did not "
                "get in, and have to wait longer after each further try."
            ),
            f"If it was not you, {done}",
        ],
        link=link,
    )
