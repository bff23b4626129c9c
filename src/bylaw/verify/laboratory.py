"""The laboratory: an application started on a database of its own, with people of every role.

Everything an attack needs is at hand: a clock that can be turned, a mailbox, what was logged and
recorded, clients at any address, bursts of them, and faults to inject. It never touches the
application's real database, mail or environment.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from email.contentmanager import ContentManager, raw_data_manager
from email.message import EmailMessage
from email.policy import EmailPolicy
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, event

from bylaw import ports
from bylaw.control import Broken, CouldNotLook
from bylaw.controls import audit, cookies, csrf, federated, jwt, passwords, sessions, signup, tokens
from bylaw.controls.roles import Settings as Roles
from bylaw.controls.tokens import form
from bylaw.errors import MisuseError, PolicyError
from bylaw.identity import AccessRule
from bylaw.operations import administering, api_keys, chores, services, signing_in, token_families
from bylaw.operations import tokens as token_verbs
from bylaw.operations.api_keys import Made
from bylaw.operations.authority import SYSTEM
from bylaw.operations.minting import Given
from bylaw.operations.signing_in import Known
from bylaw.operations.token_families import Pair, Use
from bylaw.pages import Pages
from bylaw.site import Site
from bylaw.store import audit as audit_rows
from bylaw.store import bearers, migrate, users
from bylaw.store.engine import connect
from bylaw.store.tables import access_tokens
from bylaw.verify import live, stubs
from bylaw.verify.authenticator import Authenticator
from bylaw.verify.client import AsgiTransport, Client, Reply, Sent, Transport, WsgiTransport
from bylaw.verify.issuer import Issuer
from bylaw.verify.target import Target
from bylaw.verify.world import BASE_URL, BUILDING, defaults, environment

T = TypeVar("T")
FOLLOWING = frozenset({"bylaw-feed", "bylaw-chores", "bylaw-notice"})
"""Threads that ask the database for themselves, and for nobody's request."""
PASSWORD = "Tr4vel by night, sleep by day!"  # noqa: S105 - of people who exist only here  # nosec B105  # no secret: an example, a word or a laboratory's


class Protected(Protocol):
    """What a framework's `Bylaw` offers a laboratory."""

    site: Site

    def routes(self) -> Iterable[tuple[str, str, AccessRule]]:
        """(method, path, rule) of the application's own routes."""


class FakeClock:
    """A clock that stands still until it is turned."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += seconds


_READ = ContentManager()
"""How a laboratory reads mail: of what is there as text and as HTML, `get_content` is the text."""
for _kind in ("text", "message/rfc822", "multipart/alternative"):
    _READ.add_get_handler(
        _kind,
        lambda message, *how, **more: (message.get_body(("plain",)) or message).get_content(
            *how, content_manager=raw_data_manager, **more
        ),
    )


class Mailbox:
    """Takes every message."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    def __call__(self, message: EmailMessage) -> None:
        message.policy = EmailPolicy(content_manager=_READ)
        self.messages.append(message)

    def to(self, address: str) -> list[EmailMessage]:
        return [m for m in self.messages if m["To"] == address]


class Logs(logging.Handler):
    """Everything that is logged, as text with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Laboratory:
    """One start of an application, under attack."""

    def __init__(
        self,
        target: Target,
        *,
        environ: Mapping[str, str] | None = None,
        template: Path | None = None,
        database: str | None = None,
        counters: str = "memory",
    ) -> None:
        self.target = target
        self.counters = counters
        self.clock = FakeClock()
        self.mailbox = Mailbox()
        self.logs = Logs()
        self._directory = Path(tempfile.mkdtemp(prefix="bylaw-laboratory-"))
        self.database = database or f"sqlite:///{self._directory / 'laboratory.db'}"
        self.environ = {**defaults(self.database), **(target.environ or {}), **(environ or {})}
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self._directory, ignore_errors=True)
        logging.getLogger().addHandler(self.logs)
        self._stack.callback(logging.getLogger().removeHandler, self.logs)
        try:
            if template is not None:
                shutil.copy(template, self._directory / "laboratory.db")
            else:
                prepare(target, self.database, self.environ)
            self._start()
        except BaseException:
            self._stack.close()
            raise

    def _start(self) -> None:
        self.app, self.bylaw = start(self.target, self.environ, self.clock, self.mailbox, self.counters)
        self._stack.callback(self.site.close)
        self.transport = self._transport()
        if isinstance(self.transport, WsgiTransport | AsgiTransport):
            self._stack.callback(self.transport.close)

    def _transport(self) -> Transport:
        if self.target.transport is not None:
            return self.target.transport(self.app)
        if hasattr(self.app, "wsgi_app"):
            return WsgiTransport(self.app.wsgi_app)
        return AsgiTransport(self.app)

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self._stack.close()

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

    # People

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
        `assurance` is 1, and owes nothing but what `owes` says (see sessions.OWED)."""
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

    # What was left behind

    def audit(self, **filters: Any) -> list[dict[str, Any]]:
        """Records of the audit log, the newest first."""
        with self.site.house.store.reading() as connection:
            return audit_rows.rows(connection, **filters)

    def mail(self) -> list[EmailMessage]:
        """Everything that was sent, after sending what waits."""
        chores.send(self.site.house)
        return self.mailbox.messages

    def dump(self) -> str:
        """Every table, as text: to look for what must not be in it."""
        from sqlalchemy import MetaData

        metadata = MetaData()
        metadata.reflect(self.site.house.store.engine)
        with self.site.house.store.reading() as connection:
            return "\n".join(
                str(tuple(row))
                for table in metadata.sorted_tables
                for row in connection.execute(table.select())
            )

    # Faults

    @contextmanager
    def instead(self, application: Callable[..., Any]) -> Iterator[None]:
        """Have another application answer behind the gate, to which no rules by path belong."""
        gated, gate = self.gated, self.site.gate
        before, gated.application = gated.application, application
        by_path, gate.by_path = gate.by_path, None
        try:
            yield
        finally:
            gated.application, gate.by_path = before, by_path

    @property
    def gated(self) -> Any:
        gated = self.bylaw.gated  # type: ignore[attr-defined]
        if gated is None:
            self.visitor().get("/")  # an ASGI stack is built at its first request
            gated = self.bylaw.gated  # type: ignore[attr-defined]
        return gated

    @contextmanager
    def queries(self, site: Site | None = None) -> Iterator[list[str]]:
        """What is asked of the database meanwhile, except by the threads that follow the feed."""
        asked: list[str] = []
        engine = (site or self.site).house.store.engine

        def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            if threading.current_thread().name not in FOLLOWING:
                asked.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            yield asked
        finally:
            event.remove(engine, "before_cursor_execute", note)

    @contextmanager
    def unreachable(self, holder: Any, name: str) -> Iterator[None]:
        """Have an engine, an attribute of `holder`, be that of a database that does not answer."""
        before = getattr(holder, name)
        setattr(holder, name, stubs.Unreachable())
        try:
            yield
        finally:
            setattr(holder, name, before)

    def raising(self, error: Exception) -> Any:
        """Have the application raise `error` on every request."""
        return self.instead(stubs.answering(self.is_wsgi, error=error))

    def answering(
        self, status: int = 200, headers: Iterable[tuple[str, str]] = (), body: bytes = b"ok"
    ) -> Any:
        """Have the application answer with this on every request."""
        return self.instead(stubs.answering(self.is_wsgi, status=status, headers=list(headers), body=body))

    @property
    def is_wsgi(self) -> bool:
        return isinstance(self.transport, WsgiTransport)

    def refuses_to_start(self, policy: str | None = None, **environ: str) -> PolicyError | None:
        """What a start with other variables (or another policy text) is refused with, if it is."""
        changed = {**self.environ, **environ}
        try:
            if policy is None:
                _, other = start(self.target, changed, self.clock, self.mailbox, self.counters)
                other.site.close()
            else:
                file = self._directory / "other" / "bylaw.toml"
                file.parent.mkdir(exist_ok=True)
                file.write_text(policy)
                Site(file, environ=changed).close()
        except PolicyError as error:
            return error
        return None

    @contextmanager
    def paced(self) -> Iterator[None]:
        """Have limits and lockout count, which otherwise would end every other attack early."""
        house = self.site.house
        before, house.paced = house.paced, True
        try:
            yield
        finally:
            house.paced = before

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """Have lists of addresses count: otherwise people come from anywhere."""
        house = self.site.house
        before, house.fenced = house.fenced, True
        try:
            yield
        finally:
            house.fenced = before

    @contextmanager
    def under(self, settings: type[Any], **changes: Any) -> Iterator[None]:
        """Have a control's settings be others while the block lasts: for attacks on what this policy
        leaves empty. `lab.under(proxies.Settings, trusted=("192.0.2.0/24",), x_for=1)`."""
        site, before, gate = self.site, self.site.policy, self.site.gate
        name = next(name for name, found in before.controls.items() if type(found) is settings)
        changed = before.controls[name].model_copy(update=changes)
        pages = site.pages
        site.policy = site.house.policy = replace(before, controls={**before.controls, name: changed})
        self._serve(Pages(site.house))
        site.gate = site.compiled()
        try:
            yield
        finally:
            site.policy = site.house.policy = before
            self._serve(pages)
            site.gate = gate

    def _serve(self, pages: Pages) -> None:
        """Have these of bylaw's own pages answer: which there are, a policy decides."""
        self.site.pages = pages
        self.site.house.routes.twins = pages.twins()
        self.site.house.routes.forget()

    @contextmanager
    def issuer(self, name: str = "laboratory") -> Iterator[Issuer]:
        """Have people sign in with a provider that exists only here, whatever the policy says of others."""
        house, number = self.site.house, uuid.uuid4().hex[:8]
        made = Issuer(self.clock, url=f"https://issuer-{number}.lab")
        settings = federated.Provider.model_validate(
            {
                "issuer": made.url,
                "label": "Laboratory",
                "client_id": made.client_id,
                "client_secret": made.client_secret,
            }
        )
        before, house.ports = house.ports, replace(house.ports, network=made)
        try:
            with self.under(federated.Settings, off=False, **{name: settings}):
                yield made
        finally:
            house.ports = before
            house.issuers.pop(made.url, None)

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

    @contextmanager
    def reading(self) -> Iterator[stubs.Reader]:
        """Have an application behind the gate that reads all it is given and answers with its SHA-256."""
        reader = stubs.Reader(wsgi=self.is_wsgi)
        with self.instead(reader.application):
            yield reader

    @contextmanager
    def witnessing(self) -> Iterator[list[stubs.Seen]]:
        """Have an application behind the gate that keeps what it was told of each request."""
        seen: list[stubs.Seen] = []
        with self.instead(stubs.witness(seen, wsgi=self.is_wsgi)):
            yield seen

    # Many at once

    def burst(self, work: Callable[[int], T], count: int) -> list[T]:
        """`work(0)` to `work(count - 1)`, begun at the same moment in as many threads."""
        gate = threading.Barrier(count)

        def one(number: int) -> T:
            gate.wait(30)
            return work(number)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    def tasks(self, sent: Iterable[Sent]) -> list[Reply]:
        """All of them at once: as tasks of one event loop, or as threads where there is none."""
        if isinstance(self.transport, AsgiTransport):
            return self.transport.together(sent)
        requests = list(sent)
        return self.burst(lambda number: self.transport(requests[number]), len(requests))

    def processes(self, work: Callable[[Elsewhere, int], T], count: int) -> list[T]:
        """`work(elsewhere, 0)` to `work(elsewhere, count - 1)`, each in a process of its own.

        `work` is a function of a module: it is found by its name there.
        """
        elsewhere = Elsewhere(self.database, dict(self.environ), self.clock(), self.counters)
        # Started afresh, not forked: the threads of this process would not be there.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, mp_context=context) as pool:
            return [f.result() for f in [pool.submit(work, elsewhere, n) for n in range(count)]]

    def live(self) -> AbstractContextManager[live.Live]:
        """The application behind a real server: `with laboratory.live() as server: server.raw(…)`."""
        scheme = "https" if self.policy.app.secure else "http"
        if isinstance(self.transport, WsgiTransport):
            return live.wsgi(self.app.wsgi_app, scheme)
        return live.asgi(self.app, scheme)

    def routes(self) -> list[tuple[str, str, AccessRule]]:
        """Every (method, path, rule): the application's and bylaw's own."""
        own = [
            (method, route.path, route.rule)
            for route in self.site.pages.routes()
            for method in route.methods
            if method != "HEAD"
        ]
        return [*self.bylaw.routes(), *own]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another process needs to work on a laboratory's database."""

    database: str
    environ: dict[str, str]
    now: float
    counters: str = "memory"

    def site(self, policy: Path) -> Site:
        """The policy at work there; whoever opens it closes it."""
        site = Site(
            policy,
            world=ports.Ports(
                clock=FakeClock(self.now),
                mail=Mailbox(),
                database=self.database,
                counters=self.counters,
                environ=self.environ,
            ),
        )
        site.open()
        return site


_HASHES: dict[tuple[str, str], str] = {}


def forget_hashes() -> None:
    """Make the next person's hash anew: those there are were made by a defect, perhaps."""
    _HASHES.clear()


def prepare(target: Target, database: str, environ: Mapping[str, str]) -> None:
    """Bring an empty database to where the application can start."""
    engine = connect(database)
    try:
        migrate.upgrade(engine)
        if target.prepare is not None:
            with BUILDING, environment(environ):
                target.prepare(engine)
    finally:
        engine.dispose()


def start(
    target: Target,
    environ: Mapping[str, str],
    clock: FakeClock,
    mailbox: Mailbox,
    counters: str = "memory",
) -> tuple[Any, Protected]:
    """Start the application in this process, with the laboratory's world. Raises PolicyError."""
    with (
        BUILDING,
        environment(environ),
        ports.using(
            clock=clock,
            mail=mailbox,
            network=stubs.offline,
            database=environ["DATABASE_URL"],
            counters=counters,
            environ={**os.environ, **environ},  # what else the policy names comes from whoever started us
        ),
    ):
        app = target.factory()
    found: Any = getattr(app, "extensions", {}).get("bylaw") or getattr(
        getattr(app, "state", None), "bylaw", None
    )
    if found is None and hasattr(app, "site"):
        found = app  # an adapter's Gated: any WSGI or ASGI application
    if found is None:
        raise LookupError(f"{target.name} is an application without Bylaw(app, …)")
    if found.site.house.ports.clock is not clock:
        # Made elsewhere: it would be attacked on its real database, with its real mail.
        raise MisuseError(f"{target.name} was made before the laboratory; name a factory")
    found.ready()
    found.site.house.paced = False  # until an attack is on the pace itself (Laboratory.paced)
    found.site.house.fenced = False  # until an attack is on the lists of addresses (Laboratory.fenced)
    return app, found


class Bench:
    """Laboratories of one target: the first prepares a database, the others begin with its copy.

    `template` is the database that another process has prepared, and keeps as long as this one works.
    """

    def __init__(self, target: Target, template: Path | None = None) -> None:
        self.target = target
        self._directory = Path(tempfile.mkdtemp(prefix="bylaw-bench-"))
        self.template = template or self._directory / "template.db"
        if template is None:
            self._prepare(target)

    def _prepare(self, target: Target) -> None:
        database = f"sqlite:///{self.template}"
        prepare(target, database, {**defaults(database), **(target.environ or {})})
        # One file, nothing left in the write-ahead log: it is copied as it is.
        engine = connect(database)
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()

    def laboratory(self, environ: Mapping[str, str] | None = None, *, counters: str = "memory") -> Laboratory:
        return Laboratory(self.target, environ=environ, template=self.template, counters=counters)

    def close(self) -> None:
        with suppress(OSError):
            shutil.rmtree(self._directory)


__all__ = [
    "BASE_URL",
    "PASSWORD",
    "Bench",
    "Elsewhere",
    "FakeClock",
    "Laboratory",
    "Logs",
    "Mailbox",
    "Protected",
    "Target",
    "audit",
    "defaults",
    "environment",
]
