"""Attacks on who is taken for the sender."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import proxies
from bylaw.controls.proxies import addresses

PROXY: Final = "192.0.2.10"
OURS: Final = {
    "trusted": ("192.0.2.0/24", addresses.UNIX),
    "x_for": 1,
    "x_proto": 1,
    "x_host": 1,
    "x_port": 1,
    "forwarded": False,
}
"""A policy with one proxy in front, whatever the application's own says."""
REAL: Final = "198.51.100.23"
SPOOFED: Final = "203.0.113.66"
CLAIMS: Final = (
    ("X-Forwarded-For", SPOOFED),
    ("X-Forwarded-For", f"{SPOOFED}, {SPOOFED}"),
    ("Forwarded", f"for={SPOOFED};proto=http;host=elsewhere.invalid"),
    ("X-Real-IP", SPOOFED),
    ("X-Client-IP", SPOOFED),
    ("X-Cluster-Client-IP", SPOOFED),
    ("CF-Connecting-IP", SPOOFED),
    ("True-Client-IP", SPOOFED),
    ("X-Forwarded-Host", "elsewhere.invalid"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Port", "8443"),
    ("X-Forwarded-Prefix", "/elsewhere"),
    ("X-Host", "elsewhere.invalid"),
    ("X-Original-Host", "elsewhere.invalid"),
    ("X-Original-URL", "/elsewhere"),
    ("X-Rewrite-URL", "/elsewhere"),
)
UNREADABLE: Final = (
    "unknown",
    "localhost",
    "127.0.0.1.",
    "0x7f000001",
    "2130706433",
    "010.0.0.1",
    "[::1",
    "::1]:80",
    f"{SPOOFED}:",
    f"{SPOOFED}:port",
    f"{SPOOFED} {SPOOFED}",
    f"{SPOOFED};{SPOOFED}",
    "",
    f"{SPOOFED},",
    "1" * 5000,
    ",".join([SPOOFED] * 41),
)
QUOTED: Final = (
    f'for="{SPOOFED};host=elsewhere.invalid;proto=http"',
    f'for="{SPOOFED}, for={SPOOFED}"',
    f'for="\\"{SPOOFED}\\";host=elsewhere.invalid"',
    f'for="{SPOOFED}',
    f"for={SPOOFED};for={SPOOFED}",
    f"for={SPOOFED};host=a;host=elsewhere.invalid",
    f'for={SPOOFED}";host=elsewhere.invalid',
    f"for={SPOOFED} host=elsewhere.invalid",
    f"for:{SPOOFED}",
    f"{SPOOFED}",
    'for="_hidden";by=',
)


def seen(lab: Any, client: Any, path: str = "/", headers: Any = ()) -> Any:
    """What the application is given of a request; where it is given none, the answer in its place."""
    with lab.witnessing() as got:
        reply = client.get(path, headers=list(headers))
    return got[0] if got else str(reply)


def plainly(lab: Any, client: Any, path: str = "/") -> Any:
    """The same of a request without any claim. Raises CouldNotLook where it does not arrive."""
    told = seen(lab, client, path)
    if isinstance(told, str):
        raise CouldNotLook(f"the request did not reach the application: {told}")
    return told


def recorded(lab: Any, person: Any, headers: Any = ()) -> str:
    """The address under which a refusal of this person is recorded."""
    reply = person.get(lab.api("users"), headers=list(headers))
    for row in lab.audit(action="authz_fail", user_id=person.id, limit=1):
        if row["request_id"] == reply.header("x-request-id"):
            return str(row["ip_address"])
    raise CouldNotLook(f"the refusal left no record: {reply}")


def _stranger(lab: Any, known: str = REAL) -> str:
    """An address that is no proxy's by this policy."""
    trusted = addresses.Networks(lab.policy.of(proxies.Settings).trusted)
    for address in (known, "203.0.113.9", "100.64.9.9", "2001:db8:9::9"):
        if address not in trusted:
            return address
    raise CouldNotLook("the policy trusts every address that a stranger could have")


@probe("critical", "S1-084", "C-38")
def what_a_stranger_claims_is_not_believed(lab: Any) -> str:
    """Whoever is no proxy has the address of their socket in every record, whatever their headers claim."""
    person = lab.client()
    for changes in ({}, OURS, {**OURS, "forwarded": True, "x_port": 0}):
        with lab.under(proxies.Settings, **changes):
            person.peer = _stranger(lab)
            for claim in CLAIMS:
                address = recorded(lab, person, [claim])
                if address != person.peer:
                    raise Broken(f"{claim[0]}: {claim[1]} from {person.peer} is recorded as {address}")
    return f"{len(CLAIMS)} headers from {person.peer}: recorded as that each time, by three policies"


@probe("high", "S1-084", "C-38")
def the_application_is_not_told_either(lab: Any) -> str:
    """No header that claims who asks, for what host or over what reaches the application."""
    visitor = lab.visitor(peer=_stranger(lab))
    plain = plainly(lab, visitor)
    for claim in CLAIMS:
        told = seen(lab, visitor, headers=[claim])
        if told != plain:
            raise Broken(f"with {claim[0]}: {claim[1]} the application sees {told}, without it {plain}")
    with lab.under(proxies.Settings, **OURS):
        visitor.peer = PROXY
        told = seen(lab, visitor, headers=[(n, v) for n, v in CLAIMS if not n.startswith("X-Forwarded-")])
        if isinstance(told, str) or told.names != plain.names:
            raise Broken(f"through a proxy the application is told {told}")
    return f"{len(CLAIMS)} headers: the application sees none of them, and the same request each time"


@probe("critical", "S1-083", "C-38")
def the_nearest_hop_names_the_client(lab: Any) -> str:
    """Through a proxy the client is what the proxy added, not what the client wrote to the left of it."""
    person = lab.client()
    person.peer = PROXY
    chains = {
        REAL: (
            REAL,
            f"{SPOOFED}, {REAL}",
            f"{SPOOFED}, {SPOOFED},{REAL}:4711",
            f"not an address, {REAL}",
            f"::ffff:{REAL}",
        ),
        "2001:db8::7": (
            "2001:db8::7",
            f"{SPOOFED}, [2001:DB8::7]:4711",
            "[2001:db8:0::7]",
            "2001:db8::7%eth0",
        ),
    }
    with lab.under(proxies.Settings, **OURS):
        for client, texts in chains.items():
            for text in texts:
                address = recorded(lab, person, [("X-Forwarded-For", text)])
                if address != client:
                    raise Broken(f"X-Forwarded-For: {text} is recorded as {address}")
        two = recorded(lab, person, [("X-Forwarded-For", SPOOFED), ("X-Forwarded-For", REAL)])
        person.peer = ""
        socket = recorded(lab, person, [("X-Forwarded-For", f"{SPOOFED}, {REAL}")])
        if (two, socket) != (REAL, REAL):
            raise Broken(f"two fields are read as {two}; over a Unix socket as {socket}")
    with lab.under(proxies.Settings, **{**OURS, "x_for": 2}):
        person.peer = PROXY
        third = recorded(lab, person, [("X-Forwarded-For", f"{SPOOFED}, {REAL}, 192.0.2.11")])
        if third != REAL:
            raise Broken(f"of three values with two proxies {third} was taken")
    return "ten chains, of one proxy and of two: the client each time"


@probe("high", "S1-083")
def what_cannot_be_read_is_nobody(lab: Any) -> str:
    """A list with fewer values than hops, with too many, or with what is no address is not believed."""
    person = lab.client()
    person.peer = PROXY
    with lab.under(proxies.Settings, **OURS):
        for text in UNREADABLE:
            address = recorded(lab, person, [("X-Forwarded-For", text)])
            if address != PROXY:
                raise Broken(f"X-Forwarded-For: {text[:60]!r} is recorded as {address}")
    with lab.under(proxies.Settings, **{**OURS, "x_for": 3}):
        for text in (REAL, f"{SPOOFED}, {REAL}", f"{SPOOFED}, {REAL}, unknown"):
            address = recorded(lab, person, [("X-Forwarded-For", text)])
            if address != PROXY:
                raise Broken(f"of {text!r} with three proxies {address} was taken")
    return f"{len(UNREADABLE) + 3} lists: the proxy's own address each time"


@probe("high", "S1-083", "C-38")
def a_quoted_value_is_one_value(lab: Any) -> str:
    """Nothing inside quotes of Forwarded is a host, a scheme or another hop; what is torn counts nothing."""
    person, visitor = lab.client(), lab.visitor(peer=PROXY)
    person.peer = PROXY
    with lab.under(proxies.Settings, **{**OURS, "forwarded": True, "x_port": 0}):
        plain = plainly(lab, visitor)
        for text in QUOTED:
            for chain in (text, f"{text}, {text}"):
                told = seen(lab, visitor, headers=[("Forwarded", chain)])
                if told != plain:
                    raise Broken(f"Forwarded: {chain} gives the application {told}")
            if (address := recorded(lab, person, [("Forwarded", text)])) != PROXY:
                raise Broken(f"Forwarded: {text} is recorded as {address}")
        right = f'for="{SPOOFED}, x";host=elsewhere.invalid, for="[2001:db8::7]:4711";proto=https'
        if (address := recorded(lab, person, [("Forwarded", right)])) != "2001:db8::7":
            raise Broken(f"Forwarded: {right} is recorded as {address}")
        told = seen(lab, visitor, headers=[("Forwarded", right)])
        if isinstance(told, str) or told.host != plain.host:
            raise Broken(f"a host was taken from another hop: {told}")
    return f"{len(QUOTED)} values with odd quotes: nothing taken; one that is right: its client"


@probe("high", "S1-083", "C-38")
def scheme_and_host_come_from_the_proxy(lab: Any) -> str:
    """The application sees the scheme, host and address that the proxy names, and no word of how."""
    host = lab.policy.app.origin.partition("://")[2]
    scheme = "https" if lab.policy.app.secure else "http"
    visitor = lab.visitor(peer=PROXY)
    visitor.scheme = "http"
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    port = host.removeprefix(name).removeprefix(":") or ("443" if scheme == "https" else "80")
    with lab.under(proxies.Settings, **OURS):
        told = seen(
            lab,
            visitor,
            headers=[
                ("Host", "upstream.invalid:8000"),
                ("X-Forwarded-For", f"{SPOOFED}, {REAL}"),
                ("X-Forwarded-Proto", f"{'http' if scheme == 'https' else 'https'}, {scheme}"),
                ("X-Forwarded-Host", f"elsewhere.invalid, {name.upper()}"),
                ("X-Forwarded-Port", f"1, {port}"),
            ],
        )
    if isinstance(told, str) or (told.client, told.scheme, told.host) != (REAL, scheme, host):
        raise Broken(f"the application sees {told}")
    if claims := {n for n in told.names if n.startswith("x-forwarded")}:
        raise Broken(f"the application is told how: {sorted(claims)}")
    return f"{scheme}://{host} for {REAL}, by four headers that the application does not see"


@probe("high", "S1-084")
def a_policy_that_trusts_everybody_does_not_start(lab: Any) -> str:
    """Trusting the whole internet, or believing headers of nobody, is refused at the start."""
    settings = lab.policy.of(proxies.Settings)
    wrong: list[dict[str, Any]] = [
        {**OURS, "trusted": (text,)} for text in ("0.0.0.0/0", "::/0", "128.0.0.0/1", "10.0.0.0/8, ::/0")
    ]
    wrong += [{**OURS, "trusted": ()}, {**OURS, "trusted": ("proxy.internal",)}, {**OURS, "forwarded": True}]
    for changes in wrong:
        controls = {**lab.policy.controls, "proxies": settings.model_copy(update=changes)}
        policy = replace(lab.policy, controls=controls, environment="production")
        if not list(proxies.CONTROL.conflicts(policy)):
            raise Broken(f"a policy with {changes} would start")
    return f"{len(wrong)} policies that could not be kept: all refused"


PROBES: Final = (
    what_a_stranger_claims_is_not_believed,
    the_application_is_not_told_either,
    the_nearest_hop_names_the_client,
    what_cannot_be_read_is_nobody,
    a_quoted_value_is_one_value,
    scheme_and_host_come_from_the_proxy,
    a_policy_that_trusts_everybody_does_not_start,
)
