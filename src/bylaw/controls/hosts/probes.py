"""Attacks by the name that a request is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import hosts, proxies
from bylaw.controls.proxies import addresses

EVIL: Final = "elsewhere.invalid"
LISTED: Final = (".example.test", "app.example.test:8443")
"""Names of a policy that lists some, whatever the application's own lists."""
UNREADABLE: Final = (
    "",
    " ",
    "/",
    ":443",
    "{host}:",
    "{host}:0",
    "{host}:0443",
    "{host}:65536",
    "{host}:443:443",
    "{host}:" + EVIL,
    "{host}@" + EVIL,
    EVIL + "@{host}",
    "user:pw@{host}",
    "{host}/" + EVIL,
    "{host}?" + EVIL,
    "{host}#" + EVIL,
    "{host}\\" + EVIL,
    "{host}, " + EVIL,
    EVIL + ",{host}",
    "{host} " + EVIL,
    " {host}",
    "{host}\t",
    "{host}..",
    ".{host}",
    "a..{host}",
    "https://{host}",
    "//{host}",
    "[{host}]",
    "[::1",
    "::1",
    "[fe80::1%25eth0]",
    "h%6fst",
    "{host}%00." + EVIL,
    "\xe4.test",
    "a" * 300,
)


def _told(reply: Any) -> bool:
    """Whether an answer repeats the name that the request was for."""
    return EVIL in reply.text or any(EVIL in value for _, value in reply.headers)


def _plain(lab: Any) -> tuple[str, str]:
    """The name of base_url and its port, empty where it is the usual one."""
    name, port = addresses.host(lab.policy.app.origin.partition("://")[2]) or ("", None)
    return name, f":{port}" if port else ""


@probe("high", "C-38")
def another_name_is_refused(lab: Any) -> str:
    """A request for a name that is not the application's is refused on every path, and leads nowhere."""
    visitor, (name, port) = lab.visitor(), _plain(lab)
    settings = lab.policy.of(hosts.Settings)
    others = [EVIL, f"{EVIL}:443", f"{name}.{EVIL}", f"x{name}{port}", f"{name}:4711", "203.0.113.9"]
    others += ["[2001:db8::9]", "[2001:db8::9]:443", "3405803785", "0xcb007109", "203.0.113.9.", "0"]
    if lab.policy.production:
        others += ["localhost", "127.0.0.1", "[::1]:8000", "localhost.localdomain"]
    for host in others:
        for path in ("/", lab.url("sign_in"), lab.api("me"), lab.url("stylesheet"), "/no/such/path-7f3a"):
            for accept in ("text/html", "application/json"):
                reply = visitor.get(path, headers=[("Host", host), ("Accept", accept)])
                if reply.status != settings.status or _told(reply):
                    raise Broken(f"GET {path} for {host}: {reply} {reply.header('location')}")
                if hosts.UNKNOWN.code not in reply.text:
                    raise Broken(f"GET {path} for {host} is refused for another reason: {reply}")
    return f"{len(others)} names on five paths: {settings.status} each time"


@probe("high", "C-38")
def what_is_no_name_is_refused(lab: Any) -> str:
    """No Host, two of them, or one with a user, an empty label or a second name in it gets 400."""
    visitor, (name, port) = lab.visitor(), _plain(lab)
    own = f"{name}{port}"
    for text in UNREADABLE:
        host = text.replace("{host}", name if text.startswith("{host}:") else own)
        reply = visitor.get(lab.url("sign_in"), headers=[("Host", host)])
        if reply.status != 400 or _told(reply):
            raise Broken(f"Host: {host[:60]!r} got {reply}")
    for first, second in ((own, EVIL), (EVIL, own), (own, own)):
        reply = visitor.get(lab.url("sign_in"), headers=[("Host", first), ("Host", second)])
        if reply.status != 400 or _told(reply):
            raise Broken(f"Host: {first} and Host: {second} got {reply}")
    sent = visitor.prepared("GET", lab.url("sign_in"))
    sent.headers = [pair for pair in sent.headers if pair[0] != "Host"]
    if (reply := lab.transport(sent)).status != 400:
        raise Broken(f"without Host: {reply}")
    return f"{len(UNREADABLE)} values, three pairs and none at all: 400 each time"


@probe("medium", "C-38")
def its_own_name_is_answered(lab: Any) -> str:
    """The application's own name is known in any case, with a dot at its end and with the usual port."""
    visitor, (name, port) = lab.visitor(), _plain(lab)
    usual = port or (":443" if lab.policy.app.secure else ":80")
    spellings = [f"{name}{port}", f"{name.upper()}{port}", f"{name}{usual}"]
    if not name.startswith("[") and not name[-1:].isdigit():
        spellings += [f"{name}.{port}", f"{name.title()}.{usual}"]
    for host in spellings:
        reply = visitor.get(lab.url("sign_in"), headers=[("Host", host)])
        if reply.status != 200:
            raise Broken(f"for {host}: {reply}")
    return ", ".join(spellings)


@probe("high", "C-38")
def a_list_holds_its_members_alone(lab: Any) -> str:
    """A leading dot stands for the name and its genuine sub-domains; a port counts where it is written."""
    visitor = lab.visitor()
    usual = "443" if lab.policy.app.secure else "80"
    members = ["example.test", "app.example.test", "a.b.example.test", "APP.example.test."]
    members += [f"app.example.test:{usual}", "app.example.test:8443"]
    others = ["example.test.elsewhere.invalid", "xexample.test", "example.testx", "test", ".example.test"]
    others += ["example.test:8443", "x.app.example.test:8443", "app.example.test:8444", "app-example.test"]
    with lab.under(hosts.Settings, allowed=LISTED):
        for host in members:
            reply = visitor.get(lab.url("sign_in"), headers=[("Host", host)])
            if reply.status != 200:
                raise Broken(f"{host} is a member, and got {reply}")
        for host in others:
            reply = visitor.get(lab.url("sign_in"), headers=[("Host", host)])
            if reply.status not in (400, 421):
                raise Broken(f"{host} is no member, and got {reply}")
    return f"{len(members)} members answered, {len(others)} others refused"


@probe("high", "C-38")
def no_header_stands_in_for_it(lab: Any) -> str:
    """A name in a header of somebody's own changes nothing; one that a trusted proxy names is looked at."""
    visitor = lab.visitor(peer="198.51.100.7")
    own = lab.policy.app.origin.partition("://")[2]
    for header in ("X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded"):
        value = f"host={EVIL}" if header == "Forwarded" else EVIL
        reply = visitor.get(lab.url("sign_in"), headers=[(header, value)])
        if _told(reply):
            raise Broken(f"{header}: {value} is repeated: {reply}")
        back = visitor.get(lab.url("sign_in"), headers=[("Host", EVIL), (header, value.replace(EVIL, own))])
        if back.status not in (400, 421):
            raise Broken(f"Host: {EVIL} with {header} of this site got {back}")
    visitor.peer = "192.0.2.10"
    with lab.under(proxies.Settings, trusted=("192.0.2.0/24",), x_for=1, x_host=1, forwarded=False):
        reply = visitor.get(lab.url("sign_in"), headers=[("X-Forwarded-Host", EVIL)])
        if reply.status not in (400, 421):
            raise Broken(f"a proxy passed on {EVIL}, and it was answered: {reply}")
        reply = visitor.get(
            lab.url("sign_in"), headers=[("Host", "upstream.invalid"), ("X-Forwarded-Host", own)]
        )
        if reply.status != 200:
            raise Broken(f"a proxy passed on {own}, and it got {reply}")
    return "four headers of a stranger: nothing; through a proxy the name it passes on is the one that counts"


@probe("medium", "C-38")
def a_list_cannot_hold_everything(lab: Any) -> str:
    """A policy whose list holds any name, or what no browser sends, refuses to start."""
    settings = lab.policy.of(hosts.Settings)
    for text in ("*", "*.example.test", ".test", ".", "", "https://a.test", "a.test/x", "A.test", "a.test."):
        changed = settings.model_copy(update={"allowed": (text,)})
        policy = replace(lab.policy, controls={**lab.policy.controls, "hosts": changed})
        if not list(hosts.CONTROL.conflicts(policy)):
            raise Broken(f"allowed = [{text!r}] would start")
    return "nine lists, all refused"


PROBES: Final = (
    another_name_is_refused,
    what_is_no_name_is_refused,
    its_own_name_is_answered,
    a_list_holds_its_members_alone,
    no_header_stands_in_for_it,
    a_list_cannot_hold_everything,
)
