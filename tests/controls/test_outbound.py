"""Outbound: an address that somebody else has named leads nowhere that only this machine may reach."""

from __future__ import annotations

import datetime
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from bylaw import oidc
from bylaw.controls import federated, outbound, passwords
from bylaw.controls.outbound import CONTROL, Settings, probes, rules
from bylaw.operations import fetching
from bylaw.outbound import Client, Forbidden, Rules, Target, is_public
from bylaw.outbound.targets import Unreadable
from bylaw.ports import Ports, Received
from bylaw.reasons import Refused
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from tests.controls.houses import Builder

BACK = "https://app.lab/auth/callback/lab"


# Which addresses are public


@pytest.mark.requirement("S1-159")
@pytest.mark.parametrize(
    ("network", "public"),
    [
        # The IANA registries of special-purpose addresses (RFC 6890 and what was added).
        ("0.0.0.0/8", False),
        ("10.0.0.0/8", False),
        ("100.64.0.0/10", False),
        ("127.0.0.0/8", False),
        ("169.254.0.0/16", False),
        ("172.16.0.0/12", False),
        ("192.0.0.0/24", False),
        ("192.0.2.0/24", False),
        ("192.88.99.0/24", False),
        ("192.168.0.0/16", False),
        ("198.18.0.0/15", False),
        ("198.51.100.0/24", False),
        ("203.0.113.0/24", False),
        ("224.0.0.0/4", False),
        ("240.0.0.0/4", False),
        ("::/128", False),
        ("::1/128", False),
        ("::/96", False),
        ("::ffff:0:0/96", False),
        ("64:ff9b:1::/48", False),
        ("100::/64", False),
        ("2001::/23", False),
        ("2001:db8::/32", False),
        ("2002::/16", False),
        ("3fff::/20", False),
        ("5f00::/16", False),
        ("fc00::/7", False),
        ("fe80::/10", False),
        ("fec0::/10", False),
        ("ff00::/8", False),
        ("64:ff9b::a00:0/104", False),  # NAT64 of 10.0.0.0/8
        ("64:ff9b::808:0/112", True),  # NAT64 of 8.8.0.0/16
        ("8.8.8.0/24", True),
        ("172.32.0.0/12", True),
        ("100.128.0.0/9", True),
        ("2606:4700::/32", True),
        ("2a00:1450::/32", True),
    ],
)
def test_what_anybody_may_reach(network: str, public: bool) -> None:
    """Both ends of every special network, and of some that are none."""
    found = ip_network(network)
    assert (is_public(found[0]), is_public(found[-1])) == (public, public)


@pytest.mark.requirement("S1-159")
@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "fd00:ec2::254", "100.100.100.200"])
def test_where_clouds_keep_credentials_nothing_leads_by_a_name(address: str) -> None:
    """Not even where the policy names the origin: its name might come to lead there. By number, it may."""
    named = Rules(hosts=("inside.lan",), origins=("http://inside.lan",))
    with pytest.raises(Forbidden, match="cloud"):
        named.judge(Target.read("http://inside.lan"), [ip_address(address)])
    written = Target.read(f"http://[{address}]" if ":" in address else f"http://{address}")
    Rules(hosts=(written.host,), origins=(written.origin,)).judge(written, [ip_address(address)])


# How addresses are read


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://Example.COM", "https://example.com", "/"),
        ("https://example.com.:443/a b".replace(" ", "%20"), "https://example.com", "/a%20b"),
        ("https://b\u00fccher.example/\u00fc?q=\u00fc", "https://xn--bcher-kva.example", "/%C3%BC?q=%C3%BC"),
        ("https://xn--bcher-kva.example:8443", "https://xn--bcher-kva.example:8443", "/"),
        ("http://8.8.8.8/?a=b#c", "http://8.8.8.8", "/?a=b"),
        ("https://[2606:4700:0:0::1]:8443/x", "https://[2606:4700::1]:8443", "/x"),
        ("https://\uff18.8.8.8/", "https://8.8.8.8", "/"),
        ("https://a_b.example/", "https://a_b.example", "/"),
        ("https://example.com/a/../b", "https://example.com", "/a/../b"),
    ],
)
def test_an_address_is_read_as_browsers_read_it(url: str, origin: str, path: str) -> None:
    """In one way, and written so that nobody can read it in another."""
    target = Target.read(url)
    assert (target.origin, target.path) == (origin, path)
    assert Target.read(target.url) == target


@given(st.text(max_size=60) | st.from_regex(r"https?://[^/]{0,20}[:@#?/\\\\]?.{0,20}", fullmatch=True))
@example("http://[::1%25lo]/")
@example("https://\ud800/")
@example("https://%2e/")
def test_whatever_is_given_is_read_in_one_way_or_not_at_all(url: str) -> None:
    """No crash; and what was read is read the same again."""
    with suppress(Unreadable):
        target = Target.read(url)
        assert Target.read(target.url) == target
        assert target.url.isascii()
        assert not set(target.url) & set(" \r\n\t\\@"[:5])


@given(st.text(max_size=60))
def test_a_redirect_leads_somewhere_or_nowhere(location: str) -> None:
    """A Location that another server has written, bytes that are no text among them."""
    with suppress(Unreadable):
        moved = Target.read("https://a.example/b?c").moved(location)
        assert Target.read(moved.url) == moved


# Servers on this machine


def named(*urls: str, **how: Any) -> Client:
    """A client whose policy names these origins, as one with servers on this machine would."""
    targets = [Target.read(url) for url in urls]
    allowed = Rules(hosts=tuple(t.host for t in targets), origins=tuple(t.origin for t in targets))
    return Client(allowed, **how)


class Handler(BaseHTTPRequestHandler):
    """Redirects, goes on for ever, drips, or says what it was sent."""

    stop = threading.Event()
    heard: list[str] = []  # noqa: RUF012 - one server at a time

    def do_GET(self) -> None:
        self.heard.append(self.path)
        if self.path == "/dripping-head":
            self.drip(b"HTTP/1.1 200 OK\r\nX: ")
        elif self.path == "/moved":
            self.say(302, b"", Location="/said")
        elif self.path == "/packed":
            self.say(200, gzip.compress(b"x" * 60_000), **{"Content-Encoding": "gzip"})
        elif self.path == "/half":
            self.say(200, gzip.compress(b"x" * 60_000)[:-9], **{"Content-Encoding": "gzip"})
        elif self.path == "/endless":
            self.say(200, b"")
            for _ in range(100):
                self.wfile.write(b"x" * 10_000)
        elif self.path == "/drips":
            self.drip(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            self.say(200, str(self.headers).encode())

    def do_POST(self) -> None:
        self.say(200, self.rfile.read(int(self.headers["Content-Length"])))

    def say(self, status: int, body: bytes, **fields: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", **fields}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, begin: bytes) -> None:
        self.wfile.write(begin)
        while not self.stop.wait(0.02):
            self.wfile.write(b"x")
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def handle(self) -> None:
        with suppress(OSError):  # whoever asked has heard enough
            super().handle()


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on this machine."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    if tls is not None:
        made.socket = tls.wrap_socket(made.socket, server_side=True)
    Handler.stop.clear()
    Handler.heard.clear()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made.server_port
    finally:
        Handler.stop.set()
        made.shutdown()
        made.server_close()
        thread.join(5)


@pytest.fixture
def server() -> Iterator[str]:
    with serving() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.requirement("S1-159")
def test_a_server_is_asked_once_and_little_is_taken(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No redirect is followed, no proxy of the environment asked, and what is endless or drips has an end."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    ask = named(server)
    said = ask("GET", f"{server}/said?a=b#c", headers={"Accept": "text/plain"})
    assert (said.status, said.kind, said.url) == (200, "text/plain", f"{server}/said?a=b")
    assert Handler.heard == ["/said?a=b"]
    assert sorted(said.body.decode().strip().splitlines()) == [
        "Accept-Encoding: identity",
        "Accept: text/plain",
        "Connection: close",
        f"Host: {server.removeprefix('http://')}",
        "User-Agent: bylaw",
    ]
    assert ask("POST", server, body=b"sent").body == b"sent"
    assert ask("GET", f"{server}/moved").header("LOCATION") == "/said"
    assert ask("GET", f"{server}/moved", redirects=1).url == f"{server}/said"
    assert ask("GET", f"{server}/packed").body == b"x" * 60_000
    for path, limit in (("endless", 65_536), ("packed", 59_999)):
        with pytest.raises(OSError, match=f"longer than {limit} bytes"):
            ask("GET", f"{server}/{path}", limit=limit)
    with pytest.raises(OSError, match="breaks off"):
        ask("GET", f"{server}/half")
    for path in ("drips", "dripping-head"):
        with pytest.raises(OSError, match="too long|TimeoutError"):
            named(server, seconds=0.2)("GET", f"{server}/{path}")


def test_nobody_is_there() -> None:
    """A closed port, a silent server, a name that is none, a certificate that nobody signed: OSError each."""
    with socket.socket() as closed, socket.socket() as silent:
        closed.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        for url in (
            f"http://127.0.0.1:{closed.getsockname()[1]}",
            f"http://127.0.0.1:{silent.getsockname()[1]}",
            f"https://127.0.0.1:{silent.getsockname()[1]}",
            "http://nobody.invalid",
        ):
            with pytest.raises(OSError, match=r"."):
                named(url, piece=0.2)("GET", url)
        for url in ("http://[::1", "http://" + "x" * 300):
            with pytest.raises(Forbidden):
                Client(piece=0.2)("GET", url)


def test_a_name_server_that_says_nothing_has_an_end() -> None:
    """The system's look-up may take as long as it likes: whoever waits for it does not."""
    release = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        release.wait(30)
        return ["8.8.8.8"]

    began = time.monotonic()
    with pytest.raises(OSError, match="no address"):
        Client(resolve=resolve, piece=0.1)("GET", "https://public.example")
    assert time.monotonic() - began < 5
    release.set()


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"method": "CONNECT"}, "method"),
        ({"method": "TRACE"}, "method"),
        ({"method": "get"}, "method"),
        ({"headers": {"Host": "inside"}}, "Host"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "Transfer"),
        ({"headers": {"content-LENGTH": "5"}}, "content"),
        ({"headers": {"Proxy-Authorization": "x"}}, "Proxy"),
        ({"headers": {"X": "a\r\nHost: inside"}}, "Invalid header value"),
        ({"headers": {"X\r\nHost": "inside"}}, "Invalid header name"),
        ({"redirects": 11}, "redirects"),
        ({"redirects": -1}, "redirects"),
    ],
)
def test_nothing_is_smuggled_into_a_request(server: str, how: dict[str, Any], match: str) -> None:
    """What says where a request ends, and to whom it goes, is the client's alone to write."""
    how = {"method": "GET", **how}
    with pytest.raises(ValueError, match=match):
        named(server)(how.pop("method"), server, **how)
    assert Handler.heard == []


# By which name, at which address


def certificate(*names: str) -> tuple[bytes, bytes]:
    """A certificate for these names that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return made.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


def instead(port: int, asked: list[str]) -> Callable[[str, int, float], socket.socket]:
    """Every address leads to the server on this machine."""

    def dial(address: str, _port: int, seconds: float) -> socket.socket:
        asked.append(address)
        return socket.create_connection(("127.0.0.1", port), seconds)

    return dial


@pytest.mark.requirement("S1-159")
def test_the_certificate_is_the_names_at_the_judged_address(tmp_path: Path) -> None:
    """The connection goes to an address; TLS names and checks the host all the same."""
    cert, key = certificate("public.example")
    (tmp_path / "cert.pem").write_bytes(cert + key)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(tmp_path / "cert.pem")
    heard: list[str | None] = []
    inside.sni_callback = lambda sock, name, context: heard.append(name)
    asked: list[str] = []
    with serving(inside) as port:
        how: dict[str, Any] = {
            "resolve": lambda host, port: ["8.8.8.8"],
            "dial": instead(port, asked),
            "tls": ssl.create_default_context(cadata=cert.decode()),
        }
        assert Client(**how)("GET", "https://PUBLIC.example./said").status == 200
        with pytest.raises(OSError, match="SSLCertVerificationError"):
            Client(**how)("GET", "https://another.example/")
        with pytest.raises(OSError, match="SSLCertVerificationError"):
            Client(**{**how, "tls": None})("GET", "https://public.example/")
    assert heard == ["public.example", "another.example", "public.example"]
    assert set(asked) == {"8.8.8.8"}


@pytest.mark.requirement("S1-159")
def test_a_name_that_turns_leads_nowhere(server: str) -> None:
    """DNS rebinding: judged once, looked up again by the library that connects. Here there is one look-up."""
    answers = iter(["8.8.8.8", "127.0.0.1", "127.0.0.1"])
    looked_up: list[str] = []
    port = Target.read(server).port

    def turning(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return [next(answers)]

    def guarded_as_is_usual(url: str) -> bytes:
        """Judge the name, then give it to whoever connects."""
        assert is_public(ip_address(turning(Target.read(url).host, port)[0]))
        address = turning(Target.read(url).host, port)[0]
        return named(f"http://{address}:{port}")("GET", f"http://{address}:{port}/inside").body

    # The attack works on a guard that looks twice …
    assert guarded_as_is_usual(f"http://turning.example:{port}/inside")
    assert Handler.heard == ["/inside"]
    # … and not on one that connects to what it judged.
    answers = iter(["8.8.8.8", "127.0.0.1"])
    asked: list[str] = []
    loose = Rules(schemes=("http",), ports=(port,))
    ask = Client(loose, resolve=turning, dial=instead(port, asked))
    ask("GET", f"http://turning.example:{port}/outside")
    with pytest.raises(Forbidden, match="not public"):
        ask("GET", f"http://turning.example:{port}/outside")
    assert asked == ["8.8.8.8"]
    assert len(looked_up) == 4


def test_another_address_of_the_same_name_is_tried(server: str) -> None:
    """One of a name's machines is down: nothing was sent to it, so another is asked."""
    asked: list[str] = []

    def dial(address: str, port: int, seconds: float) -> socket.socket:
        asked.append(address)
        if len(asked) < 3:
            raise ConnectionRefusedError
        return socket.create_connection(("127.0.0.1", Target.read(server).port), seconds)

    found = ["2606:4700::1", "8.8.8.8", "8.8.4.4", "8.8.8.8"]
    ask = Client(Rules(schemes=("http",)), resolve=lambda host, port: found, dial=dial)
    assert ask("GET", "http://public.example/").status == 200
    assert asked == ["2606:4700::1", "8.8.8.8", "8.8.4.4"]


# Redirects


def led(*answers: Received) -> tuple[Client, list[tuple[str, str, dict[str, str], bytes]]]:
    """A client of a world in which every name is public and these are the answers; what it asks."""
    asked: list[tuple[str, str, dict[str, str], bytes]] = []
    following = iter(answers)

    class Led(Client):
        __slots__ = ()

        def _once(self, rules: Any, target: Any, ask: Any, limit: int, until: float) -> Received:
            asked.append((ask.method, target.url, ask.headers, ask.body))
            return next(following)

    return Led(Rules(schemes=("https", "http"))), asked


def moved(location: str, status: int = 302) -> Received:
    return Received(status, headers=(("Location", location),))


@pytest.mark.requirement("S1-159")
@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://a.example/", "https to http"),
        ("https://127.0.0.1/", "not public"),
        ("https://user@a.example/", "password"),
        ("https://a.example:22/", "port"),
        ("file:///etc/passwd", "scheme"),
        ("//[::1]/", "not public"),
        ("\\\\127.0.0.1\\", "character"),
        ("https://a.example/\u00ff\r\nx", "character"),
    ],
)
def test_a_redirect_is_an_address_like_any_other(location: str, why: str) -> None:
    """Whatever a public server says, it is judged before anybody is asked."""
    ask, asked = led(moved(location), Received(200))
    with pytest.raises(Forbidden, match=why):
        ask("GET", "https://a.example/", redirects=5)
    assert len(asked) == 1


@pytest.mark.requirement("S1-159")
def test_what_follows_a_redirect() -> None:
    """To the same origin everything; to another the question alone; never a body to somebody else."""
    sent = {"Accept": "image/png", "Authorization": "Bearer x", "X-Key": "x", "Content-Type": "text/plain"}
    ask, asked = led(moved("/b"), moved("https://b.example/c", 307), Received(200))
    ask("GET", "https://a.example/a", headers=sent, redirects=2)
    assert [each[1:3] for each in asked] == [
        ("https://a.example/a", sent),
        ("https://a.example/b", sent),
        ("https://b.example/c", {"Accept": "image/png", "Content-Type": "text/plain"}),
    ]
    ask, asked = led(moved("/b", 303), Received(200))
    ask("POST", "https://a.example/a", headers=sent, body=b"x", redirects=1)
    assert asked[1][0] == "GET"
    assert asked[1][3] == b""
    assert "Content-Type" not in asked[1][2]
    ask, asked = led(moved("/b", 308), Received(200))
    ask("PUT", "https://a.example/a", body=b"x", redirects=1)
    assert asked[1] == ("PUT", "https://a.example/b", {}, b"x")
    ask, asked = led(moved("https://b.example/", 307), Received(200))
    with pytest.raises(Forbidden, match="somebody else"):
        ask("POST", "https://a.example/a", body=b"x", redirects=1)
    ask, asked = led(*[moved("/")] * 4)
    with pytest.raises(Forbidden, match="more than 3 redirects"):
        ask("GET", "https://a.example/", redirects=3)
    assert len(asked) == 4


# The policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('hosts = ["https://a.example"]', "outbound.hosts"),
        ('hosts = ["A.example"]', "outbound.hosts"),
        ('hosts = ["a.example."]', "outbound.hosts"),
        ('hosts = ["a.*.example"]', "outbound.hosts"),
        ('hosts = [""]', "outbound.hosts"),
        ('allow = ["10.0.0.0/8"]', "outbound.allow"),
        ('allow = ["https://login.lan/path"]', "outbound.allow"),
        ('allow = ["https://u:p@login.lan"]', "outbound.allow"),
        ('allow = ["*"]', "outbound.allow"),
        ("schemes = []", "outbound.schemes"),
        ('schemes = ["ftp"]', "outbound.schemes"),
        ("ports = [70000]", "outbound.ports"),
        ('size = "10B"', "outbound.size"),
        ("seconds = 0", "outbound.seconds"),
    ],
)
def test_what_cannot_be_kept_is_refused_at_the_start(tmp_path: Path, text: str, said: str) -> None:
    """With the key, and what to write instead."""
    assert said in Builder(tmp_path).refusal(f"[outbound]\n{text}\n")


def test_what_is_below_the_standard_is_said(tmp_path: Path) -> None:
    """Any host, http, or no guard at all may be chosen, and each is shown."""
    policy = Builder(tmp_path).policy(
        '[outbound]\noff = true\nbecause = "a test"\nhosts = ["*"]\nschemes = ["https", "http"]\n'
        'allow = ["https://login.lan", "http://127.0.0.1:80"]\n'
    )
    assert [below.key for below in policy.of(Settings).below_standard()] == ["off", "hosts", "schemes"]
    assert "any host that is public" in " ".join(CONTROL.statement(policy))
    assert "`https://login.lan`" in CONTROL.statement(policy)[-1]
    strict = Builder(tmp_path).policy('[outbound]\nhosts = ["*.acme.eu"]\n')
    assert list(strict.of(Settings).below_standard()) == []
    assert "asks these hosts: `*.acme.eu`" in CONTROL.statement(strict)[0]


def test_what_the_policy_names_is_for_those_who_name_it(tmp_path: Path) -> None:
    """The provider inside the company's network: the sign-in asks it, no address that a user gives does."""
    settings = Builder(tmp_path).policy('[outbound]\nhosts = ["*"]\n').of(Settings)
    issuer = "https://login.acme.lan:8443"
    found = [ip_address("10.1.2.3")]
    own = rules(settings, f"{issuer}/realms/a")
    own.judge(own.target(f"{issuer}/token"), found)
    for url in (issuer, "https://login.acme.lan/", "https://10.1.2.3/"):
        with pytest.raises(Forbidden):
            rules(settings).judge(rules(settings).target(url), found)
    with pytest.raises(Forbidden, match="not public"):
        own.judge(own.target("https://other.acme.lan/"), found)


def test_off_means_off(tmp_path: Path) -> None:
    """Whoever switches the guard off, with a reason that is printed, has none."""
    settings = Builder(tmp_path).policy('[outbound]\noff = true\nbecause = "a test"\n').of(Settings)
    rules(settings).judge(rules(settings).target("http://127.0.0.1:22/"), [ip_address("127.0.0.1")])
    with pytest.raises(Forbidden):
        rules(settings).target("file:///etc/passwd")


# What applications and operations ask


@pytest.fixture(scope="module")
def laboratories(benches: Any) -> Iterator[dict[str, Laboratory]]:
    made = {name: benches[name].laboratory() for name in ("flask", "fastapi")}
    yield made
    for each in made.values():
        each.close()


@pytest.mark.requirement("S1-159")
@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_an_application_asks_for_somebody(laboratories: dict[str, Laboratory], framework: str) -> None:
    """A public address is answered; one that leads inside, nowhere or on for ever is refused, recorded."""
    laboratory = laboratories[framework]
    manager = laboratory.client("manager")
    with probes.outside(laboratory, ports=()) as world:
        world.leads("turned.lab", "169.254.169.254")

        def fetched(url: str) -> Any:
            return manager.act("POST", "/api/fetched", json={"url": url})

        assert fetched("http://public.lab/a").json() == {"status": 200, "body": "ok"}
        for url in ("http://turned.lab/s3cret", "http://nobody.lab/s3cret", "http://127.0.0.1/s3cret"):
            reply = fetched(url)
            assert (reply.status, reply.code) == (422, "outbound.forbidden")
            assert reply.json()["errors"] == [
                {"pointer": "#/url", "detail": "an address that anybody can reach"}
            ]
        world.says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000)
        reply = fetched("http://public.lab/")
        assert (reply.status, reply.code) == (502, "outbound.unanswered")
        assert world.dialled == [("8.8.8.8", 80)] * 2
        world.says(b"HTTP/1.1 200 OK\r\n\r\nok")
        with pytest.raises(Refused):
            fetching.fetch(laboratory.site.house, "http://public.lab/", limit=0)
    records = laboratory.audit(action="outbound_refused")
    assert [r["entity_id"] for r in records[:3]] == [
        "http://127.0.0.1",
        "http://nobody.lab",
        "http://turned.lab",
    ]
    assert {r["user_id"] for r in records[:3]} == {manager.id}
    assert "s3cret" not in laboratory.logs.text


def test_a_laboratorys_network_is_judged_too(laboratories: dict[str, Laboratory]) -> None:
    """An application's own tests, with a network of their own, see what would be refused."""
    site = laboratories["flask"].site
    answers = lambda method, url, /, **how: Received(200, body=str(how["limit"]).encode())  # noqa: E731
    before, site.house.ports = site.house.ports, replace(site.house.ports, network=answers)
    try:
        assert site.fetch("https://public.example").body == b"1048576"
        assert site.fetch("https://public.example", limit=10).body == b"10"
        with pytest.raises(Refused) as refused:
            site.fetch("https://127.0.0.1")
    finally:
        site.house.ports = before
    assert refused.value.reason is outbound.FORBIDDEN


@pytest.mark.requirement("S1-159")
def test_sign_in_elsewhere_and_the_look_up_of_leaks_go_the_same_way(tmp_path: Path) -> None:
    """What the policy names may be asked, wherever it is; what that names in turn must be public."""
    house = Builder(tmp_path).house(
        '[federated.lab]\nissuer = "https://login.lan"\nclient_id = "x"\nclient_secret = "env:LAB"\n'
        '[passwords]\nbreach_lookup = "https://leaks.lan/range"\nbreach_outage = "refuse"\n',
        LAB="a secret of the provider's, which it gave out",
    )
    asked: list[str] = []
    found = {"login.lan": "10.0.0.1", "leaks.lan": "10.0.0.2"}

    def dial(address: str, port: int, seconds: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    house.ports = Ports(resolver=lambda host, port: [found[host]], dial=dial)
    [offer] = federated.offered(house.policy).values()
    provider = federated.provider(house, offer)
    with pytest.raises(oidc.Unreachable, match="ConnectionRefused"):
        transaction = oidc.Transaction("s", "n", "v" * 43, 0)
        provider.address(oidc.Client("x", "y", BACK), transaction, state="s", nonce="n")
    with pytest.raises(Refused):
        passwords.breached(house, "a password that nobody has used before")
    assert asked == ["10.0.0.1", "10.0.0.2"]
    with pytest.raises(Forbidden):
        outbound.network(house, "https://login.lan")("GET", "https://10.0.0.1/")
    house.store.close()


def test_an_answer_is_no_record_of_where_it_came_from(tmp_path: Path) -> None:
    """What is recorded of a refused address has neither path nor password."""
    assert fetching._whom("https://a.example/path?token=x") == "https://a.example"
    assert fetching._whom("https://user:s3cret@a.example/") == "what is no address"


@pytest.mark.requirement("S1-159")
@pytest.mark.parametrize("probe", CONTROL.probes, ids=lambda probe: probe.name)
def test_probes_look_where_the_policy_asks_nobody(laboratories: dict[str, Laboratory], probe: Any) -> None:
    """Also under a policy whose application asks no host at all."""
    laboratory = laboratories["fastapi"]
    with laboratory.under(Settings, hosts=(), because=None):
        result = attempt(CONTROL, probe, laboratory)
    assert result.outcome == "pass", result.evidence
