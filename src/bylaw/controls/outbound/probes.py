"""Attacks by the addresses that an application is asked to ask.

Names lead where the laboratory says, and every connection that is made ends at a listener of its own on this
machine, whatever address it was for: nothing leaves, and nothing that ought not be asked gets by unseen.
"""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import outbound
from bylaw.ports import Received
from bylaw.reasons import Refused

PUBLIC: Final = "8.8.8.8"
"""An address that anybody may reach. It is never asked: the laboratory's listener is."""
OTHER: Final = "9.9.9.9"
INSIDE: Final = (
    "127.0.0.1",  # this machine
    "0.0.0.0",  # noqa: S104 - this machine, to some # nosec B104
    "10.0.0.1",  # private (RFC 1918)
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",  # a provider's own (RFC 6598)
    "169.254.169.254",  # a cloud's credentials
    "168.63.129.16",  # the same, and looks public
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",  # mapped
    "::ffff:8.8.8.8",
    "::127.0.0.1",  # compatible
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b:1::1",
    "2002:7f00:1::1",  # 6to4
    "2001::1",  # Teredo
    "fc00::1",  # unique local
    "fd00:ec2::254",  # a cloud's credentials
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "3fff::1",
)
"""Where nothing may lead: one of each kind (RFC 6890 and its registries)."""
SPELLINGS: Final = (
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://\uff11\uff12\uff17\u3002\uff10\u3002\uff10\u3002\uff11:{port}/",  # full-width digits and dots
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[fe80::1%25eth0]:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://LOCALHOST:{port}/",
    "http://inside.lab:{port}/",
    "http://inside.lab.:{port}/",
    "http://public.lab@127.0.0.1:{port}/",
    "http://127.0.0.1\\@public.lab/",
    "http://127.0.0.1#@public.lab:{port}\\/",
    "http:\\\\127.0.0.1:{port}/",
    "http:/\t/127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http://public.lab:22/",
    "ftp://public.lab/",
    "file:///etc/hostname",
    "gopher://127.0.0.1:{port}/_x",
    "data:text/plain,x",
    "http://",
    "",
    "http://\ud800.lab/",
    "http://x\r\nhost: inside.lab/",
    "http://" + "x" * 5000,
)
"""Ways to write an address that may not be asked: each was read otherwise by some library."""
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LIMIT: Final = 4096
_TLS: Final = b"\x16"


@dataclass(slots=True)
class Outside:
    """The world as a probe makes it: where names lead, what is answered, and who was asked."""

    lab: Any
    port: int
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    """Where a name leads: at the first look-up, at the next; at the last for ever."""
    answer: Callable[[bytes], bytes] = field(default=lambda request: _OK)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    def leads(self, name: str, *addresses: str) -> None:
        """Have a name lead to these addresses."""
        self.names[name] = [list(addresses)]

    def resolve(self, host: str, port: int) -> list[str]:
        self.looked_up.append(host)
        if host not in self.names:
            raise OSError("no such name")
        answers = self.names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def dial(self, address: str, port: int, seconds: float) -> socket.socket:
        self.dialled.append((address, port))
        return socket.create_connection(("127.0.0.1", self.port), seconds)

    def says(self, *answers: bytes) -> None:
        """Have every server answer with these, one after the other and round again."""
        following = itertools.cycle(answers)
        self.answer = lambda request: next(following)

    def ask(self, url: str, **how: Any) -> Received:
        """As the application does."""
        return self.lab.site.fetch(url, **how)  # type: ignore[no-any-return]

    def refused(self, url: str, **how: Any) -> Refused:
        """How it is refused. Raises Broken where it is asked, or anybody else is."""
        before = len(self.dialled)
        try:
            self.ask(url, **how)
        except Refused as refused:
            asked = [f"{address}:{port}" for address, port in self.dialled[before:]]
            if asked and not how.get("redirects"):
                raise Broken(f"{url!r} is refused, after {', '.join(asked)} was asked") from None
            if refused.reason is not outbound.FORBIDDEN:
                raise Broken(f"{url!r} is refused with {refused.reason.code}") from None
            return refused
        raise Broken(f"{url!r} is asked") from None


@contextmanager
def outside(lab: Any, **changes: Any) -> Iterator[Outside]:
    """Have the application ask a world of the probe's, by the policy's rules; whom, `changes` say."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        world = Outside(lab, listener.getsockname()[1])
        world.leads("public.lab", PUBLIC)
        world.leads("other.lab", OTHER)
        world.leads("inside.lab", "127.0.0.1")
        world.leads("localhost", "127.0.0.1")
        thread = threading.Thread(target=_serve, args=(listener, world), daemon=True)
        thread.start()
        house = lab.site.house
        before = house.ports
        house.ports = replace(before, network=None, resolver=world.resolve, dial=world.dial)
        named = {"hosts": ("*",), "schemes": ("https", "http"), "ports": (world.port,), "allow": ()}
        try:
            with lab.under(outbound.Settings, off=False, size=_LIMIT, **{**named, **changes}):
                yield world
        finally:
            house.ports = before
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _serve(listener: socket.socket, world: Outside) -> None:
    """Answer one request after the other."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.settimeout(5)
            request = b""
            # TLS is hung up on: nobody is to be asked that way here.
            while b"\r\n\r\n" not in request and request[:1] != _TLS and (piece := connection.recv(65_536)):
                request += piece
            world.heard.append(request)
            connection.sendall(world.answer(request))


def _moved(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@probe("critical", "S1-159")
def nothing_inside_is_asked(lab: Any) -> str:
    """However an address is written, this machine is not asked, nor anything that is no web server's."""
    with outside(lab) as world:
        for spelling in SPELLINGS:
            world.refused(spelling.format(port=world.port) if "{port}" in spelling else spelling)
        if world.heard:
            raise Broken(f"the listener on this machine was asked {len(world.heard)} times")
    return f"{len(SPELLINGS)} spellings refused; the listener on 127.0.0.1 saw no connection"


@probe("critical", "S1-159")
def what_a_name_leads_to_counts(lab: Any) -> str:
    """A name is judged by every address that it leads to; one that is not public is enough."""
    with outside(lab) as world:
        for address in INSIDE:
            for number, found in enumerate(([address], [PUBLIC, address], [address, PUBLIC])):
                world.leads(f"name{number}.lab", *found)
                world.refused(f"http://name{number}.lab/")
        if world.ask("http://public.lab/").body != b"ok" or world.dialled != [(PUBLIC, 80)]:
            raise Broken("a public address is not asked as it should")
    return f"{len(INSIDE)} kinds of address, alone and beside a public one: refused, and nobody was asked"


@probe("critical", "S1-159")
def a_name_is_looked_up_once(lab: Any) -> str:
    """A name that leads inside from the second look-up on leads nowhere: the judged address is asked."""
    with outside(lab) as world:
        world.names["turning.lab"] = [[PUBLIC], ["127.0.0.1"]]
        world.ask("http://turning.lab/")
        if world.dialled != [(PUBLIC, 80)] or world.looked_up != ["turning.lab"]:
            raise Broken(f"looked up {len(world.looked_up)} times; {world.dialled} was asked")
        if b"\r\nhost: turning.lab\r\n" not in world.heard[0].lower():
            raise Broken("the server was not told which of its names was meant")
        world.refused("http://turning.lab/")
    return "one look-up; the address that was judged was asked, by its name; the next request was refused"


@probe("critical", "S1-159")
def a_redirect_is_judged_anew(lab: Any) -> str:
    """A public server cannot send the application inside; by itself no redirect is followed."""
    with outside(lab) as world:
        world.leads("turned.lab", "10.0.0.1")
        places = [
            f"http://127.0.0.1:{world.port}/",
            f"//127.0.0.1:{world.port}/",
            f"http://inside.lab:{world.port}/",
            "http://turned.lab/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://2130706433/",
            "http://user@other.lab/",
            "file:///etc/hostname",
            "http://public.lab/",  # to itself, for ever
        ]
        for place in places:
            world.says(_moved(place))
            before = len(world.dialled)
            _unfollowed(world)
            world.refused("http://public.lab/", redirects=3)
            asked = {address for address, _ in world.dialled[before:]}
            if asked != {PUBLIC}:
                raise Broken(f"after a redirect to {place!r} these were asked: {', '.join(sorted(asked))}")
    return f"{len(places)} redirects: none followed by itself, none inside where it was asked for"


def _unfollowed(world: Outside) -> None:
    with suppress(Refused):
        if world.ask("http://public.lab/").status == 302:
            return
    raise Broken("a redirect was followed, and nobody had asked for that")


@probe("high", "S1-159")
def credentials_go_to_one_origin(lab: Any) -> str:
    """What is sent along stays with the origin that it was for, when that redirects."""
    secrets = {"Authorization": "Bearer s3cret", "Cookie": "a=s3cret", "X-Api-Key": "s3cret"}
    with outside(lab) as world:
        world.says(_moved("http://other.lab/"), _OK)
        world.ask("http://public.lab/", headers=secrets, redirects=1)
        told = [b"s3cret" in request for request in world.heard]
        if told != [True, False]:
            raise Broken("another origin was told what was for the first alone")
        # 307 means: the same again, body and all.
        world.says(_moved("http://other.lab/").replace(b"302 Found", b"307 Again"))
        world.refused("http://public.lab/", method="POST", body=b"s3cret", redirects=1)
        if world.dialled[-1] != (PUBLIC, 80):
            raise Broken("what was posted was posted to somebody else")
    return "three credentials and a body stayed with the first origin"


@probe("high", "S1-159")
def an_answer_has_an_end(lab: Any) -> str:
    """Endless, announced as huge, unpacking to much more, or with a head that never ends: it is not taken."""
    bomb = gzip.compress(b"\0" * 1_000_000)
    answers = {
        "without an end": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000,
        "announced as huge": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nx",
        "a bomb": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + bomb,
        "packed twice": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n\r\n" + bomb,
        "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50_000,
        "waiting for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
        "no HTTP": b"\x16\x03\x01 hello",
        "broken off": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx",
    }
    with outside(lab) as world:
        for kind, answer in answers.items():
            world.says(answer)
            try:
                taken = len(world.ask("http://public.lab/").body)
            except Refused as refused:
                if refused.reason is not outbound.UNANSWERED:
                    raise Broken(f"an answer that is {kind} is refused with {refused.reason.code}") from None
            else:
                raise Broken(f"an answer that is {kind} is taken: {taken:,} bytes of {_LIMIT:,}")
    return f"{len(answers)} answers that are none were not taken"


@probe("high", "S1-159")
def strangers_are_not_asked(lab: Any) -> str:
    """Only hosts that the policy names are asked, by what it allows; inside, only what it names exactly."""
    with outside(lab, hosts=("public.lab", "*.friends.lab"), schemes=("https",), ports=()) as world:
        world.leads("a.friends.lab", PUBLIC)
        for url in (
            "https://other.lab/",
            "https://xpublic.lab/",
            "https://public.lab.other.lab/",
            "https://friends.lab/",
            "https://xfriends.lab/",
            f"https://{PUBLIC}/",
            "http://public.lab/",
            "https://public.lab:8443/",
        ):
            world.refused(url)
    origin = "http://inside.lab:8080"
    for hosts in (("*",), ("public.lab",)):
        with outside(lab, hosts=hosts, allow=(origin,), ports=()) as world:
            world.refused(origin)  # it is allowed for those who name it, not for `*`
    with outside(lab, hosts=("inside.lab",), allow=(origin,), ports=()) as world:
        world.ask(origin)
        for url in ("http://inside.lab/", "http://inside.lab:8081/", "https://inside.lab/"):
            world.refused(url)
    return "eight strangers refused; what is inside was asked where host, scheme and port are named"


@probe("medium", "S1-159")
def a_refusal_tells_nothing_and_is_recorded(lab: Any) -> str:
    """Whether a name leads inside or nowhere cannot be told; both are in the audit log, without the path."""
    with outside(lab) as world:
        told = []
        for url in ("http://inside.lab/secret", "http://nobody.lab/secret", "http://169.254.169.254/secret"):
            refused = world.refused(url)
            told.append((refused.reason.code, refused.status, refused.detail, refused.fields))
            record = next(iter(lab.audit(action="outbound_refused")), None)
            if record is None or record["entity_id"] != url.removesuffix("/secret"):
                raise Broken(f"the refusal of {url!r} is not recorded")
            if "/secret" in str(record):
                raise Broken("the record has what may be secret: the path")
        if any(each != told[0] for each in told):
            raise Broken("who gave an address can tell whether there is such a name inside")
    return "three refusals, alike to whoever asked, each recorded with its host alone"


PROBES: Final = (
    nothing_inside_is_asked,
    what_a_name_leads_to_counts,
    a_name_is_looked_up_once,
    a_redirect_is_judged_anew,
    credentials_go_to_one_origin,
    an_answer_has_an_end,
    strangers_are_not_asked,
    a_refusal_tells_nothing_and_is_recorded,
)
