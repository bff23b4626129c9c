"""The people of a laboratory, and what they show: passwords, sessions, tokens, keys, passkeys.

They are made without a request: an attack begins with somebody who is there, not with how they came to be.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Protocol

from sqlalchemy import Connection

from bylaw.control import Broken, CouldNotLook
from bylaw.controls import cookies, csrf, jwt, passwords, sessions, signup, tokens
from bylaw.controls.roles import Settings as Roles
from bylaw.controls.tokens import form
from bylaw.identity import AccessRule
from bylaw.operations import administering, api_keys, services, signing_in, token_families
from bylaw.operations import tokens as token_verbs
from bylaw.operations.api_keys import Made
from bylaw.operations.authority import SYSTEM
from bylaw.operations.minting import Given
from bylaw.operations.signing_in import Known
from bylaw.operations.token_families import Pair, Use
from bylaw.site import Site
from bylaw.store import bearers, users
from bylaw.store.tables import access_tokens
from bylaw.verify.authenticator import Authenticator
from bylaw.verify.client import Client, Reply, Transport

PASSWORD = "Tr4vel by night, sleep by day!"  # noqa: S105 - of people who exist only here  # nosec B105  # no secret: an example, a word or a laboratory's


class Protected(Protocol):
    """What a framework's `Bylaw` offers a laboratory."""

    site: Site

    def routes(self) -> Iterable[tuple[str, str, AccessRule]]:
        """(method, path, rule) of the application's own routes."""


class People:
    """An application that was started, and who may be met there."""

    bylaw: Protected
    transport: Transport

    @property
    def site(self) -> Site:
        return self.bylaw.site

    @property
    def policy(self) -> Any:
        return self.site.policy

    @property
    def roles(self) -> list[str]:
        return sorted(self.policy.of(Roles).grants)

    def url(self, name: str) -> str:
        """The path of one of bylaw's own pages, e.g. `sign_in`. Raises CouldNotLook where it is not there."""
        if name == "stylesheet":
            return f"{self.policy.pages.prefix}/static/bylaw.css"
        if name not in self.site.pages.urls:
            raise CouldNotLook(f"the policy has no page that could be attacked: {name.replace('_', ' ')}")
        return self.site.pages.urls[name]

    def api(self, name: str) -> str:
        """The path of a page's JSON twin, e.g. of `sign_in`. Raises CouldNotLook where it is not there."""
        for route in self.site.pages.routes():
            if route.api and route.endpoint.name == name:
                return route.path
        raise CouldNotLook(f"the policy has no endpoint that could be attacked: {name.replace('_', ' ')}")

    # Who is there

    def visitor(self, *, peer: str = "198.51.100.7") -> Client:
        """Somebody who is not signed in."""
        return Client(
            self.transport,
            self.policy.app.origin,
            self.url("sign_in"),
            self.policy.of(csrf.Settings).header,
            peer=peer,
            scheme="https" if self.policy.app.secure else "http",
        )

    def person(self, *roles: str, email: str = "", password: str | None = PASSWORD) -> Client:
        """A new account with these roles, not signed in yet, with what this policy has people sign in by: a
        password (None: this one has none, nor a token beside it) or an access token."""
        bare = password is None
        if not passwords.on(self.policy):
            password, bare = None, False
        email = email or f"{'-'.join(roles) or 'nobody'}-{uuid.uuid4().hex[:8]}@people.test"
        user_id = str(uuid.uuid4())
        with self.site.house.store.transaction() as connection:
            users.add(
                connection,
                {
                    "id": user_id,
                    "email": email,
                    "name": email.partition("@")[0],
                    "password_hash": None if password is None else self._hash(password),
                    "epoch": 1,
                    "created_at": self.site.house.now(),
                    "confirmed_at": self.site.house.now(),
                },
            )
            users.set_roles(connection, user_id, frozenset(roles), by=None)
            secret = "" if bare else self._give_token(connection, user_id)
        client = self.visitor()
        client.email, client.password, client.id = email, password or "", user_id
        client.access_token = secret
        return client

    def _give_token(self, connection: Connection, user_id: str) -> str:
        """A token of somebody's, where people sign in by one: given without a record, as if long ago."""
        if not tokens.used(self.policy):
            return ""
        secret, now = self.access_token(), self.site.house.now()
        row = {
            "id": uuid.uuid4().hex[:22],
            "digest": tokens.stored(self.policy, secret),
            "user_id": user_id,
            "name": "laboratory",
            "created_at": now,
            "expires_at": now + self.policy.of(tokens.Settings).lifetime,
            "origin": "",
        }
        bearers.add(connection, access_tokens, row)
        return secret

    def access_token(self) -> str:
        """An access token as the policy has them, which is nobody's."""
        count = self.policy.of(tokens.Settings).bytes
        return form.make(tokens.head(self.policy), self.site.house.ports.entropy(count))

    def _hash(self, password: str) -> str:
        scheme = self.site.house.scheme
        # By its prefix, which names cost and pepper: a hash of another pepper would open nobody's account.
        known = _HASHES.get((scheme.prefix, password))
        if known is None:
            known = _HASHES[(scheme.prefix, password)] = scheme.make(password)
        return known

    def client(self, *roles: str, peer: str = "198.51.100.7") -> Client:
        """A new account with these roles, signed in (the session is opened without a request)."""
        client = self.person(*roles)
        client.peer = peer
        self.open_session(client)
        client.token_page = self.url("sessions")
        return client

    def browser(self, of: Client, *, assurance: int = 1) -> Client:
        """Another browser of somebody's, in which only the first factor was shown (the session is opened
        without a request)."""
        made = self.visitor()
        made.email, made.password, made.access_token, made.id = of.email, of.password, of.access_token, of.id
        self.open_session(made, assurance=assurance)
        made.token_page = self.url("second_factor")
        return made

    def sample(self, path: str) -> str:
        """A path that a route matches and that names nothing that exists."""
        from bylaw.verify.matrix import sample

        return sample(path)

    def open_session(
        self, client: Client, *, method: str = "password", assurance: int = 2, owes: Iterable[str] = ()
    ) -> str:
        """Give the client a session; its secret. It has shown all that any role may ask for, unless
        `assurance` is 1, and owes nothing but what `owes` says (see sessions.owing)."""
        with self.site.house.store.reading() as connection:
            user = users.by_id(connection, client.id)
        if user is None:
            raise LookupError("the client has no account")
        opened = signing_in.open_session(self.site.house, user, method=method, assurance=assurance, owes=owes)
        client.cookies[self.cookie] = opened.secret
        return opened.secret

    def pair(self, client: Client, *, assurance: int = 2) -> Pair:
        """A new access token and refresh token of somebody's, given without a request. Raises CouldNotLook
        where the policy has none."""
        if not jwt.used(self.policy):
            raise CouldNotLook("there are no JWT access tokens here")
        with self.site.house.store.reading() as connection:
            user = users.by_id(connection, client.id)
        if user is None:
            raise LookupError("the client has no account")
        known = Known(user, (), None, "")
        return token_families.begin(
            self.site.house,
            known,
            method="password",
            assurance=assurance,
            use=Use(client.peer, "laboratory"),
        )

    def borne(self, path: str) -> bool:
        """Whether credentials come in the Authorization field there, and a cookie says nothing."""
        return sessions.bearers(self.policy).covers(self.sample(path))

    def bear(self, client: Client) -> Client:
        """Have the client bear an access token of its own wherever bearers are asked for. It keeps its
        cookies, which count everywhere else."""
        client.bearer = self.pair(client).access
        client.bearing = jwt.family(self.policy)
        return client

    @property
    def cookie(self) -> str:
        """The name of the session's cookie."""
        return cookies.name(self.policy, cookies.SESSION)

    def ordinary(self) -> Client:
        """Somebody with the role that signing up gives, signed in."""
        role = self.policy.of(signup.Settings).role
        return self.client(*([role] if role else []))

    def administrator(self) -> Client:
        """Somebody who may do everything, signed in. Raises CouldNotLook where no role may."""
        grants = self.policy.of(Roles).grants
        for role, held in sorted(grants.items()):
            if "*" in held:
                return self.client(role)
        raise CouldNotLook("no role of the policy may do everything")

    @property
    def door(self) -> str:
        """The endpoint at which people sign in with what they know: a password, or an access token. Raises
        CouldNotLook where there is neither."""
        if passwords.on(self.policy):
            return "sign_in"
        if tokens.used(self.policy):
            return "sign_in_token"
        raise CouldNotLook("people sign in with another provider's account or a passkey alone")

    def shown(self, client: Client, wrong: str = "") -> dict[str, str]:
        """What somebody shows there; `wrong` in the place of the secret."""
        if passwords.on(self.policy):
            return {"email": client.email, "password": wrong or client.password}
        return {"token": wrong or client.access_token}

    def proof(self, client: Client, wrong: str = "") -> dict[str, str]:
        """What somebody without a second factor shows to be trusted with more."""
        return {name: value for name, value in self.shown(client, wrong).items() if name != "email"}

    def sign_in(self, client: Client, password: str | None = None) -> Reply:
        """Sign in over HTTP, as a script of this site: `password` is the secret, where it is not the own."""
        return client.send(
            "POST", self.api(self.door), headers=client.from_here, json=self.shown(client, password or "")
        )

    def token(self, client: Client, **how: Any) -> Given:
        """An access token of the client's, as an administrator makes it; `lifetime` in seconds."""
        return token_verbs.issue(self.site.house, SYSTEM, client.id, **how)

    def sign_in_with(self, client: Client, token: str) -> Reply:
        """Sign in with an access token over HTTP, as a script of this site."""
        return client.send("POST", self.api("sign_in_token"), headers=client.from_here, json={"token": token})

    def authenticator(self, **how: Any) -> Authenticator:
        """A device of somebody's, in a browser that shows this site."""
        return Authenticator(self.policy.app.origin, **how)

    def passkey(self, client: Client, device: Authenticator | None = None) -> Authenticator:
        """Set up a passkey for whoever is signed in, over HTTP; the device that keeps it.

        Raises CouldNotLook where the site has no passkeys, Broken where it could not be done.
        """
        device = device or self.authenticator()
        asked = client.act("POST", self.api("passkey_add_options"), json={})
        if asked.code == "passkeys.unavailable":
            raise CouldNotLook("there are no passkeys here: app.base_url names an IP address")
        if asked.status == 200:
            answer = {"credential": device.create(asked.json())}
            asked = client.act("POST", self.api("passkey_add"), json=answer)
        if asked.status != 200:
            raise Broken(f"nobody can set up a passkey: {asked}")
        return device

    def key(self, client: Client, *scopes: str, **wanted: Any) -> Made:
        """An API key of somebody's: `lab.key(person, "note:read", rate="2/minute")`.
        The policy may have no keys: a probe takes them on a path of its own (`lab.under`)."""
        wanted = {"name": "laboratory", "scopes": scopes or ("*",), **wanted}
        return api_keys.make(self.site.house, SYSTEM, owner=client.id, **wanted)

    def rotate_key(self, client: Client, key_id: str, overlap: int | str) -> Made:
        """Have somebody's API key replaced."""
        return api_keys.rotate(self.site.house, SYSTEM, key_id, overlap=overlap, owner=client.id)

    def revoke_key(self, client: Client, key_id: str) -> None:
        """Have somebody's API key end now."""
        api_keys.revoke(self.site.house, SYSTEM, key_id, owner=client.id)

    def keys_of(self, client: Client) -> list[dict[str, Any]]:
        """What is shown of somebody's good API keys."""
        return api_keys.of_account(self.site.house, SYSTEM, client.id)

    def service(self, *roles: str) -> Client:
        """A service account with these roles, and somebody of its own who answers for it."""
        name = f"lab-{uuid.uuid4().hex[:8]}"
        contact = f"{name}@people.test"
        made = services.make(self.site.house, SYSTEM, name=name, contact=contact, granted=roles)
        client = self.visitor()
        client.email, client.id = made.email, made.id
        return client

    def disable(self, client: Client) -> None:
        """Shut somebody's account."""
        administering.disable(self.site.house, administering.SYSTEM, client.id)

    def whoami(self, client: Client) -> Reply:
        """Who the application thinks this is: 200, or 401."""
        return client.get(self.api("me"))

    # Coming from another provider

    def go_to(self, client: Client, name: str = "laboratory", **fields: str) -> str:
        """Begin to sign in with a provider, as a script of this site; where the browser is sent."""
        reply = client.act("POST", self.api("federated_begin").replace("{id}", name), json=fields)
        if reply.status != 200:
            raise CouldNotLook(f"signing in with another provider cannot be begun: {reply}")
        return str(reply.json()["location"])

    def come_back(self, client: Client, query: str, name: str = "laboratory") -> Reply:
        """Come back from a provider, as a browser does that another site has redirected."""
        headers = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        ]
        return client.send("GET", f"{self.url('federated_callback')}/{name}?{query}", headers=headers)


_HASHES: dict[tuple[str, str], str] = {}


def forget_hashes() -> None:
    """Make the next person's hash anew: those there are were made by a defect, perhaps."""
    _HASHES.clear()
