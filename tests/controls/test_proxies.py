"""Trusted proxies: a header counts where a declared proxy wrote it, and reaches nobody otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from bylaw.control import Conflict
from bylaw.controls import proxies
from bylaw.controls.proxies import CONTROL, addresses, group
from bylaw.exchange import ALLOW, EnvironHeaders, Exchange, Headers, PairHeaders, Step
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.stubs import Seen
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import Builder

CREATE: dict[str, Any] = {"flask": flask_app.create_app, "fastapi": fastapi_app.create_app}
PLAIN = """
[app]
name = "Notes"
[roles]
admin = ["*"]
editor = ["note:*"]
[signup]
open = true
role = "editor"
"""
OTHERS = [
    "",
    '[proxies]\ntrusted = ["10.0.0.0/8", "unix"]\nx_for = 2\nx_proto = 1\n',
    '[proxies]\ntrusted = ["2001:db8:77::/48"]\nx_for = 1\nx_host = 1\nforwarded = true\n',
]
ONE = """
[proxies]
trusted = ["10.0.0.0/8", "unix"]
x_for = 1
x_proto = 1
x_host = 1
x_port = 1
"""
TWO = """
[proxies]
trusted = ["10.0.0.0/8"]
x_for = 2
"""
RFC = """
[proxies]
trusted = ["10.0.0.0/8"]
x_for = 1
x_proto = 1
x_host = 1
forwarded = true
"""
CLIENT, SPOOF = "203.0.113.5", "198.51.100.66"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("proxies"))


def environ(pairs: list[tuple[str, str]]) -> Headers:
    """The same fields as a WSGI server gives them: joined, and in capitals."""
    joined: dict[str, Any] = {}
    for name, value in pairs:
        key = "HTTP_" + name.upper().replace("-", "_")
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return EnvironHeaders(joined)


KINDS = {"raw": PairHeaders, "environ": environ}


def arrived(step: Step, kind: str, *pairs: tuple[str, str], peer: str = "10.0.0.9", **how: Any) -> Exchange:
    asked = Exchange("GET", "/", KINDS[kind]([("Host", "app.lab"), *pairs]), peer=peer, **how)
    assert step(asked) is ALLOW
    return asked


each_kind = pytest.mark.parametrize("kind", sorted(KINDS))


# Addresses


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:DB8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
        ("a:b", "a:b"),
    ],
)
def test_whom_a_limit_counts(address: str, key: str) -> None:
    """Whoever has an IPv6 network has 2^64 addresses in it, and is one client all the same."""
    assert group(address) == key


@pytest.mark.requirement("S1-083")
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7\t", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("192.0.2.7:", None),
        ("192.0.2.7:x", None),
        ("192.0.2.7:123456", None),
        ("192.0.2", None),
        ("192.0.2.7.", None),
        ("192.0.2.07", None),
        ("0x7f000001", None),
        ("2130706433", None),
        ("[192.0.2.7]", None),
        ("[2001:db8::7", None),
        ("[2001:db8::7]x", None),
        ("[2001:db8::7]:x", None),
        ("2001:db8::7]:80", None),
        ("1" * 200, None),
    ],
)
def test_what_is_an_address(text: str, address: str | None) -> None:
    """An entry of a list is one address with or without a port, or nothing."""
    assert addresses.node(text) == address


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("app.lab", ("app.lab", None)),
        ("APP.Lab.", ("app.lab", None)),
        ("app.lab:8443", ("app.lab", 8443)),
        ("[2001:DB8:0::1]:80", ("[2001:db8::1]", 80)),
        ("a_b.lab", ("a_b.lab", None)),
        ("x--y.lab", ("x--y.lab", None)),
        ("[::1].", None),
        ("[zz::1]", None),
        ("[1:2]", None),
        ("app.lab:65536", None),
        ("app.lab:0", None),
        ("app..lab", None),
        ("-app.lab", None),
        ("app.lab\n", None),
        ("a" * 64 + ".lab", None),
        ("a." * 127 + "lab", None),
        ("\u212a.lab", None),
    ],
)
def test_what_is_a_host(text: str, read: tuple[str, int | None] | None) -> None:
    """Two names that a resolver takes for one are one here too, and what it would not take is none."""
    assert addresses.host(text) == read


@examples(st.text(max_size=60) | st.text(alphabet="0123456789.:[]%ab", max_size=40))
def test_no_text_breaks_a_parser(text: str) -> None:
    """Whatever somebody writes, it is an address, a host, a list, or nothing; never an error."""
    assert addresses.node(text) is None or addresses.one(text) or addresses.node(text)
    addresses.host(text)
    group(text)
    found = proxies.elements(text)
    assert found is None or all(element for element in found)


@examples(st.lists(st.text(alphabet='abf=;,:"\\ \t_.1', max_size=30), max_size=4))
def test_nothing_in_quotes_is_another_parameter(parts: list[str]) -> None:
    """A value that is quoted as RFC 9110 says comes out as it went in, whatever stands in it."""
    for part in parts:
        quoted = part.replace("\\", "\\\\").replace('"', '\\"')
        assert proxies.elements(f'for="{quoted}";proto=https') == [{"for": part, "proto": "https"}]


@pytest.mark.requirement("S1-083")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("for=192.0.2.7", [{"for": "192.0.2.7"}]),
        ("For=a;Proto=http, for=b", [{"for": "a", "proto": "http"}, {"for": "b"}]),
        ('for="[2001:db8::7]:47"', [{"for": "[2001:db8::7]:47"}]),
        (" for=a ; by=b ,, ; for=c", [{"for": "a", "by": "b"}, {"for": "c"}]),
        ("", []),
        ("for", None),
        ("for=", None),
        ("for=a b", None),
        ("for=a;for=b", None),
        ("for=a;FOR=b", None),
        ('for="a', None),
        ('for="a"b', None),
        ('for="a\\', None),
        ("for=[::1]", None),
        ("for=192.0.2.7:80", None),
        ("for=a\x00", None),
        ('for="a\nb"', None),
        (",".join(["for=a"] * 42), None),
    ],
)
def test_the_grammar_of_forwarded(text: str, found: list[dict[str, str]] | None) -> None:
    """RFC 7239 section 4, and nothing that only resembles it."""
    assert proxies.elements(text) == found


# The resolver


@pytest.mark.requirement("S1-083", "S1-084", "C-38")
@each_kind
@pytest.mark.parametrize(
    ("text", "values", "client"),
    [
        (ONE, [CLIENT], CLIENT),
        (ONE, [f"{SPOOF}, {CLIENT}"], CLIENT),
        (ONE, [SPOOF, CLIENT], CLIENT),
        (ONE, [f"nobody,{CLIENT}:80"], CLIENT),
        (ONE, [f"{CLIENT},"], None),
        (ONE, [f"{CLIENT}, unknown"], None),
        (ONE, [",".join([SPOOF] * 39 + [CLIENT])], CLIENT),
        (ONE, [",".join([SPOOF] * 40 + [CLIENT])], None),
        (ONE, ["x" * 3000 + f",{CLIENT}"], None),
        (TWO, [f"{CLIENT}, 10.0.0.8"], CLIENT),
        (TWO, [f"{SPOOF}, {CLIENT}, 10.0.0.8"], CLIENT),
        (TWO, [CLIENT], None),
        (TWO, [f"{CLIENT}, unknown"], None),
    ],
)
def test_the_client_is_counted_from_the_right(
    build: Builder, kind: str, text: str, values: list[str], client: str | None
) -> None:
    """What a client writes stands on the left; what the proxies add, on the right."""
    step = CONTROL.steps["arrive"](build.house(text))
    for _ in range(2):  # the second time from memory
        asked = arrived(step, kind, *[("X-Forwarded-For", value) for value in values])
        assert asked.client == (client or "10.0.0.9")
        assert proxies.known(asked) is (client is not None)
        assert asked.forwarded is not None
        assert asked.forwarded.client == client


@pytest.mark.requirement("S1-083", "C-38")
@each_kind
@pytest.mark.parametrize(
    ("pairs", "scheme", "host"),
    [
        ([("X-Forwarded-Proto", "https")], "https", None),
        ([("X-Forwarded-Proto", "http, HTTPS")], "https", None),
        ([("X-Forwarded-Proto", "https, http")], "http", None),
        ([("X-Forwarded-Proto", "wss")], "https", None),
        ([("X-Forwarded-Proto", "ftp")], "http", None),
        ([("X-Forwarded-Host", "Shop.lab")], "http", "shop.lab"),
        ([("X-Forwarded-Host", "evil.test, shop.lab")], "http", "shop.lab"),
        ([("X-Forwarded-Host", "shop.lab/evil")], "http", None),
        ([("X-Forwarded-Host", "shop.lab:81"), ("X-Forwarded-Port", "82")], "http", "shop.lab:82"),
        ([("X-Forwarded-Host", "shop.lab:81")], "http", "shop.lab:81"),
        ([("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443")], "https", "app.lab"),
        ([("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "8443")], "https", "app.lab:8443"),
        ([("X-Forwarded-Port", "1, 80")], "http", "app.lab:80"),
        ([("X-Forwarded-Port", "65536")], "http", None),
        ([("X-Forwarded-Port", "x")], "http", "app.lab"),
    ],
)
def test_scheme_and_host(
    build: Builder, kind: str, pairs: list[tuple[str, str]], scheme: str, host: str | None
) -> None:
    """The proxy's own value of each counts, and one that cannot be read changes nothing."""
    asked = arrived(CONTROL.steps["arrive"](build.house(ONE)), kind, *pairs, scheme="http")
    assert asked.scheme == scheme
    assert asked.forwarded is not None
    assert asked.forwarded.host == host


@pytest.mark.requirement("S1-083", "C-38")
@each_kind
@pytest.mark.parametrize(
    ("value", "client", "scheme", "host"),
    [
        (f"for={CLIENT};proto=https;host=app.lab", CLIENT, "https", "app.lab"),
        (f'for={SPOOF};host=evil.test, for="{CLIENT}:80"', CLIENT, "http", None),
        ("for=unknown;proto=https", None, "https", None),
        ("for=_hidden;proto=https", None, "https", None),
        ("proto=https", None, "https", None),
        (f"for={CLIENT}, proto=https", None, "https", None),
        ('for="x y";proto=https', None, "http", None),
        ('for="127.0.0.1;host=evil.test;proto=https"', None, "http", None),
        (f'for="{CLIENT}', None, "http", None),
        ("for=" + "1" * 3000, None, "http", None),
        ("", None, "http", None),
    ],
)
def test_forwarded(
    build: Builder, kind: str, value: str, client: str | None, scheme: str, host: str | None
) -> None:
    """The last element is the proxy's; a field that is torn anywhere counts nothing."""
    step = CONTROL.steps["arrive"](build.house(RFC))
    asked = arrived(step, kind, ("Forwarded", value), ("X-Forwarded-For", SPOOF), scheme="http")
    assert (asked.client, asked.scheme) == (client or "10.0.0.9", scheme)
    assert asked.forwarded is not None
    assert (asked.forwarded.client, asked.forwarded.host) == (client, host)


@pytest.mark.requirement("S1-084", "C-38")
@each_kind
@pytest.mark.parametrize("name", proxies.CLAIMS.text)
@pytest.mark.parametrize("text", ["", ONE, RFC])
def test_nothing_of_a_strangers_is_believed_or_passed_on(
    build: Builder, kind: str, name: str, text: str
) -> None:
    """Whoever is no proxy keeps the address of their socket, and the application never sees the header."""
    step = CONTROL.steps["arrive"](build.house(text))
    asked = arrived(step, kind, (name, f"for={CLIENT}"), peer="192.0.2.1", scheme="http")
    assert (asked.client, asked.scheme) == ("192.0.2.1", "http")
    assert not proxies.known(asked)
    assert asked.forwarded is not None
    assert name in asked.forwarded.drop.text
    assert (asked.forwarded.client, asked.forwarded.scheme, asked.forwarded.host) == (None, None, None)


@each_kind
def test_who_needs_no_header(build: Builder, kind: str) -> None:
    """A request without any of them is the usual one: nothing is noted, nothing dropped."""
    step = CONTROL.steps["arrive"](build.house(ONE))
    for peer, client in (("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("", "")):
        asked = arrived(step, kind, peer=peer)
        assert (asked.client, asked.forwarded, asked.notes) == (client, None, None)
    assert arrived(step, kind, peer="::ffff:what").client == "::ffff:what"


def test_a_unix_socket_may_be_the_proxys(build: Builder) -> None:
    """Where there is no address at the other end, the policy names the socket itself."""
    named = CONTROL.steps["arrive"](build.house(ONE))
    unnamed = CONTROL.steps["arrive"](build.house(TWO))
    for step, client in ((named, CLIENT), (unnamed, "")):
        assert arrived(step, "raw", ("X-Forwarded-For", f"{CLIENT}"), peer="").client == client


def test_memory_is_not_a_strangers_to_fill(build: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand made-up lists through the proxy: what is remembered of them is bounded."""
    monkeypatch.setattr(proxies, "_REMEMBERED", 60)
    step = CONTROL.steps["arrive"](build.house(ONE))
    for number in range(200):
        assert arrived(step, "raw", ("X-Forwarded-For", f"192.0.2.{number}")).client == f"192.0.2.{number}"
        long = arrived(step, "raw", ("X-Forwarded-For", f"{'x' * 80}, 192.0.2.{number}"))
        assert long.client == f"192.0.2.{number}"
    networks = addresses.Networks(("10.0.0.0/8",))
    for number in range(5000):
        assert f"10.0.{number >> 8}.{number & 255}" in networks
    assert len(networks._known) <= 4096


def test_networks_in_ipv6s_clothes() -> None:
    """A policy that writes IPv4 as IPv6 means the same, as does a server that does."""
    networks = addresses.Networks(("::ffff:10.0.0.0/104", "2001:db8::/32, 192.0.2.7"))
    assert "10.1.2.3" in networks
    assert "::ffff:10.1.2.3" in networks
    assert "2001:db8:5::1" in networks
    assert "192.0.2.7" in networks
    for other in ("11.1.2.3", "", "unix", "localhost", "2001:db9::1"):
        assert other not in networks
    assert addresses.network("::/0").prefixlen == 0
    assert addresses.network("2001:db8::/112").version == 6


# The policy


@pytest.mark.requirement("S1-084")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x_for = 1", "proxies.x_for"),
        ("forwarded = true\nx_proto = 1", "proxies.x_proto"),
        ('trusted = ["10.0.0.0/8"]', "none of their headers is believed"),
        ('trusted = ["10.0.0.0/8"]\nforwarded = true', "none of their headers is believed"),
        ('trusted = ["10.0.0.0/8"]\nforwarded = true\nx_for = 1\nx_port = 1', "proxies.x_port"),
        ('trusted = ["0.0.0.0/0"]\nx_for = 1', "everybody could say who they are"),
        ('trusted = ["10.0.0.0/8", "::/0"]\nx_for = 1', "everybody could say who they are"),
        ('trusted = ["0.0.0.0/1", "128.0.0.0/1"]\nx_for = 1', "everybody could say who they are"),
        ('trusted = ["nginx"]\nx_for = 1', "is no network"),
        ('trusted = ["10.0.0.1/8"]\nx_for = 1', "has bits set after its prefix"),
        ('trusted = [""]\nx_for = 1', "is no network"),
        ('trusted = ["10.0.0.0/8"]\nx_for = 11', "too large"),
    ],
)
def test_what_does_not_start(build: Builder, text: str, said: str) -> None:
    """A policy that would believe everybody, or nobody without saying so, is refused with what to write."""
    assert said in build.refusal(f"[proxies]\n{text}\n")


def test_development_may_trust_everybody(build: Builder) -> None:
    """On a developer's machine a tunnel may come from anywhere."""
    text = '[proxies]\ntrusted = ["0.0.0.0/0"]\nx_for = 1\n'
    assert build.refusal(text, BYLAW_ENV="development", BASE_URL="http://127.0.0.1:5000") == ""


@pytest.mark.requirement("S1-083")
def test_a_variable_may_name_the_proxies(build: Builder) -> None:
    """The network of a load balancer is the place's, not the policy's; absent, the others are left."""
    text = '[proxies]\ntrusted = ["127.0.0.1", "env:TRUSTED_PROXY?"]\nx_for = 1\n'
    alone = CONTROL.steps["arrive"](build.house(text))
    both = CONTROL.steps["arrive"](build.house(text, TRUSTED_PROXY="10.0.0.0/8, 2001:db8::/32"))
    told = ("X-Forwarded-For", CLIENT)
    assert arrived(alone, "raw", told, peer="127.0.0.1").client == CLIENT
    assert arrived(alone, "raw", told).client == "10.0.0.9"
    assert arrived(both, "raw", told).client == CLIENT
    assert arrived(both, "raw", told, peer="2001:db8::9").client == CLIENT
    refused = build.refusal(text, TRUSTED_PROXY="secret.internal.example")
    assert "TRUSTED_PROXY" in refused
    assert "secret.internal" not in refused


def test_the_statement_is_what_the_policy_says(build: Builder) -> None:
    """SECURITY.md names who is believed, of which header and how far; a variable by its name."""
    assert "No proxy is trusted" in CONTROL.statement(build.policy())[0]
    text = ONE.replace('"unix"', '"env:TRUSTED_PROXY"')
    said = " ".join(CONTROL.statement(build.policy(text, TRUSTED_PROXY="192.0.2.0/24")))
    assert "from `10.0.0.0/8`, `env:TRUSTED_PROXY` alone" in said
    assert "`X-Forwarded-For` (1), `X-Forwarded-Proto` (1)" in said
    assert "192.0.2.0" not in said
    assert "of `Forwarded`" in CONTROL.statement(build.policy(RFC))[0]


def test_mtc_has_one_proxy_in_front() -> None:
    """The source's ProxyFix: each of the four headers, by one hop (S1-083)."""
    policy = (Path(__file__).parents[2] / "apps/mtc/bylaw.toml").read_text("utf-8")
    for key in ("x_for", "x_proto", "x_host", "x_port"):
        assert f"\n{key} = 1\n" in policy


def test_a_conflict_names_its_entry() -> None:
    """Of several networks the wrong one is named, by its place in the list."""
    found = list(addresses.faults("proxies.trusted", ("10.0.0.0/8", "unix", "x, 192.0.2.0/24, y")))
    assert [conflict.key for conflict in found] == ["proxies.trusted.2", "proxies.trusted.2"]
    assert all(isinstance(conflict, Conflict) for conflict in found)


# One answer for everything


@pytest.mark.requirement("S1-083", "S1-084", "C-38")
def test_one_address_for_record_session_and_application(laboratory: Laboratory) -> None:
    """Through the proxy a sign-in is recorded, listed and seen by the application under one address."""
    alice = laboratory.person("user")
    alice.peer = "10.9.0.7"
    told = [("X-Forwarded-For", f"{SPOOF}, {CLIENT}")]
    signed_in = alice.send(
        "POST",
        laboratory.api("sign_in"),
        headers=[*alice.from_here, *told],
        json={"email": alice.email, "password": alice.password},
    )
    assert signed_in.status == 200
    listed = alice.get(laboratory.api("sessions"), headers=told).json()["sessions"]
    record = laboratory.audit(action="authn_login_success", limit=1)[0]
    seen = proxies.probes.seen(laboratory, alice, headers=told)
    assert isinstance(seen, Seen)
    assert {listed[0]["address"], record["ip_address"], seen.client} == {CLIENT}


# Proof


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("framework", sorted(CREATE))
def test_the_promises_hold_on_another_policy(framework: str, text: str, tmp_path: Path) -> None:
    """The probes know what a policy says: they pass for one that says something else."""
    file = tmp_path / "bylaw.toml"
    file.write_text(PLAIN + text, "utf-8")
    with Laboratory(Target("notes", lambda: CREATE[framework](file))) as laboratory:
        results = [attempt(CONTROL, probe, laboratory) for probe in CONTROL.probes]
    assert [r.evidence for r in results if r.outcome != "pass"] == []
