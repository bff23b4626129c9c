"""Attacks from a network that is not listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import errors, ip_allowlist, proxies
from bylaw.controls.proxies import addresses

INSIDE: Final = "192.0.2.77"
PROXY: Final = "198.51.100.200"
OFFICE: Final = ("192.0.2.0/24", "2001:db8:77::/48")
OUTSIDE: Final = (
    "203.0.113.9",
    "192.0.3.77",
    "2001:db8:78::1",
    "::ffff:203.0.113.9",
    "",
    "unix",
    "127.0.0.1",
)
_CHANGING: Final = re.compile(rb"[0-9a-f]{16}|nonce-[\w-]+")


@contextmanager
def _listed(lab: Any, *paths: str, status: int = 404) -> Iterator[None]:
    """These paths are open to the office alone, whatever the policy lists."""
    entries = tuple(ip_allowlist.Listed(path=path, networks=OFFICE) for path in paths)
    with lab.under(ip_allowlist.Settings, paths=entries, status=status), lab.fenced():
        yield


def _hidden(reply: Any) -> bool:
    return reply.status == 404 and errors.NOT_FOUND.code in reply.text


@probe("high", "S3-085")
def the_policys_own_paths_are_closed(lab: Any) -> str:
    """Each path of the policy's list is closed to whoever comes from elsewhere, an administrator too."""
    settings = lab.policy.of(ip_allowlist.Settings)
    admin = lab.administrator()
    closed = []
    for listed in settings.paths:
        networks = addresses.Networks(listed.networks)
        admin.peer = next((a for a in OUTSIDE if a not in networks), "")
        if admin.peer in networks:
            raise CouldNotLook(f"{listed.path} is open to every network that there is")
        path = listed.path.removesuffix("*")
        for each in dict.fromkeys((path, path.rstrip("/") or "/")):
            with lab.fenced():
                reply = admin.get(each)
            if reply.status != settings.status:
                raise Broken(f"{each} from {admin.peer or 'nowhere'}: {reply}")
        closed.append(listed.path)
    return f"closed: {', '.join(closed)}" if closed else "the policy lists no path"


@probe("critical", "S3-085")
def a_valid_administrator_from_elsewhere_is_nobody(lab: Any) -> str:
    """A listed page answers whoever comes from a listed network, and nobody else whatever their session."""
    admin = lab.administrator()
    page = lab.url("users")
    with _listed(lab, f"{page}/*"):
        for peer in (INSIDE, f"::ffff:{INSIDE}", "2001:db8:77:1::9"):
            admin.peer = peer
            if (reply := admin.page(page)).status != 200:
                raise Broken(f"from the office ({peer}): {reply}")
        for peer in OUTSIDE:
            admin.peer = peer
            for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
                reply = admin.send(method, page, headers=admin.from_here)
                if reply.status != 404 or (method != "HEAD" and not _hidden(reply)):
                    raise Broken(f"{method} from {peer or 'nowhere'}: {reply}")
    with _listed(lab, f"{page}/*", status=403):
        if (reply := admin.get(page)).code != ip_allowlist.OUTSIDE.code:
            raise Broken(f"with status 403: {reply}")
    return f"open to three addresses of the office, closed to {len(OUTSIDE)} others by five methods"


@probe("critical", "S3-085")
def no_spelling_gets_by(lab: Any) -> str:
    """A listed path is closed in capitals, encoded, with slashes, dots and parameters added."""
    admin = lab.administrator()
    admin.peer = OUTSIDE[0]
    page = lab.url("users")
    first, _, last = page.rpartition("/")
    tricks = [
        page.upper(),
        page.title(),
        f"{page}/",
        f"/{page}",
        f"{first}//{last}",
        f"{first}/./{last}",
        f"{first}/x/../{last}",
        f"/x/..{page}",
        f"{page}/../{last}",
        f"{page}/x/../..",
        f"{page};x=1",
        f"{first};x/{last}",
        f"{page}/;x",
        f"{first}%2f{last}",
        f"{first}/%2e/{last}",
        f"{first}%5c{last}",
        f"{first}\\{last}",
        f"{first}/%{ord(last[0]):02x}{last[1:]}",
        f"{first}/%25{ord(last[0]):02x}{last[1:]}",
        f"{page}%00",
        f"{page}%20",
        f"{page}%09",
        f"{page}?x=1",
        f"{page}/{admin.id}",
        f"{page}//{admin.id}",
        f"{page}/{admin.id}/",
    ]
    with _listed(lab, f"{page}/*"):
        for path in tricks:
            for accept in ("text/html", "application/json"):
                reply = admin.get(path, headers=[("Accept", accept)])
                if not _hidden(reply):
                    raise Broken(f"GET {path} from elsewhere: {reply} {reply.header('location')}")
    open_ = [path for path in tricks if ip_allowlist.covers(f"{page}/*", path.partition("?")[0]) is False]
    if open_:
        raise Broken(f"not seen as listed: {open_}")
    return f"{len(tricks)} spellings: each is nothing to whoever comes from elsewhere"


@probe("critical", "S3-085")
def the_same_page_by_another_path_is_closed_too(lab: Any) -> str:
    """Where one of bylaw's own pages is listed, so are its JSON twin and its aliases, and nothing else."""
    admin = lab.administrator()
    twins = lab.site.house.routes.twins
    looked = 0
    for name in ("users", "me", "sign_in"):
        paths = twins[f"bylaw.{name}"]
        listed = lab.url(name) or paths[0]
        with _listed(lab, listed):
            for path in paths:
                admin.peer = OUTSIDE[0]
                if not _hidden(reply := admin.get(path)):
                    raise Broken(f"{listed} is listed, and {path} answers {reply}")
                admin.peer = INSIDE
                if (reply := admin.get(path)).status not in (200, 405):
                    raise Broken(f"{listed} is listed, and {path} answers the office with {reply}")
                looked += 1
            admin.peer = OUTSIDE[0]
            other = lab.api("sessions")
            if (reply := admin.get(other)).status != 200:
                raise Broken(f"{listed} is listed, and {other} is closed: {reply}")
    with _listed(lab, f"{lab.url('users')}/*"):
        for path in (*twins["bylaw.users"], *(f"{p}{admin.id}" for p in twins["bylaw.user"])):
            if not _hidden(reply := admin.get(path)):
                raise Broken(f"{lab.url('users')}/* is listed, and {path} answers {reply}")
            looked += 1
    return f"{looked} paths of five endpoints: closed together; another page stays open"


@probe("high", "S3-085", "S1-084")
def no_header_opens_it(lab: Any) -> str:
    """A claimed address opens nothing, and neither does one that cannot be read through a trusted proxy."""
    admin = lab.administrator()
    page = lab.url("users")
    claims = ("X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP")
    with _listed(lab, f"{page}/*"):
        admin.peer = OUTSIDE[0]
        for name in claims:
            if not _hidden(reply := admin.get(page, headers=[(name, INSIDE)])):
                raise Broken(f"{name}: {INSIDE} from elsewhere: {reply}")
        admin.peer = INSIDE
        if not _hidden(reply := admin.get(page, headers=[("X-Forwarded-For", "203.0.113.9")])):
            raise Broken(f"somebody in the office passes on what somebody else asks: {reply}")
        # The proxy itself is in a listed network: whom it does not name must not have its address.
        with lab.under(
            proxies.Settings, trusted=(INSIDE, PROXY), x_for=1, x_proto=0, x_host=0, x_port=0, forwarded=False
        ):
            for text in ("unknown", "", f"{INSIDE}, unknown", ",".join([INSIDE] * 50), "203.0.113.9"):
                if not _hidden(reply := admin.get(page, headers=[("X-Forwarded-For", text)])):
                    raise Broken(f"X-Forwarded-For: {text[:40]!r} through the proxy: {reply}")
            admin.peer = PROXY
            reply = admin.get(page, headers=[("X-Forwarded-For", f"203.0.113.9, {INSIDE}")])
            if reply.status != 200:
                raise Broken(f"the office through a trusted proxy: {reply}")
    return f"{len(claims)} claims and five unreadable lists: closed; the office through its proxy: open"


@probe("medium", "S3-085")
def what_is_closed_looks_like_nothing(lab: Any) -> str:
    """The answer to a listed path says no more than the answer to a path that nothing has."""
    stranger, admin = lab.visitor(), lab.administrator()
    # A page that nothing has says to somebody signed in who they are; nobody has asked that here yet.
    for client, accept in ((stranger, "text/html"), (stranger, "*/*"), (admin, "application/json")):
        client.peer = OUTSIDE[0]
        with _listed(lab, f"{lab.url('users')}/*"):
            closed = client.get(lab.url("users"), headers=[("Accept", accept)])
        nothing = client.get("/no/such-7f3a", headers=[("Accept", accept)])
        if _normal(closed, lab.url("users")) != _normal(nothing, "/no/such-7f3a"):
            raise Broken(f"closed: {closed.status} {closed.headers}; nothing: {nothing.headers}")
    return "a page and data for a stranger, data for an administrator: no difference"


def _normal(reply: Any, path: str) -> tuple[Any, ...]:
    names = sorted(k.lower() for k, _ in reply.headers)
    body = _CHANGING.sub(b"", reply.body.replace(path.encode(), b"").replace(path[1:].encode(), b""))
    return reply.status, names, re.sub(rb"next=[^\"']*", b"", body)


@probe("medium", "S3-085")
def a_list_that_lets_nobody_in_or_covers_nothing_does_not_start(lab: Any) -> str:
    """An entry whose networks cannot be read, or whose path is spelt as no route is, refuses to start."""
    settings = lab.policy.of(ip_allowlist.Settings)
    entries = [
        ip_allowlist.Listed(path="/x", networks=(text,))
        for text in ("office", "10.0.0.1/8", "", "10.0.0.0/33")
    ]
    entries += [
        ip_allowlist.Listed(path=path, networks=OFFICE)
        for path in ("/x*", "/x/*/y", "//x", "/x/../y", "/x;y", "/%78")
    ]
    for entry in entries:
        controls = {**lab.policy.controls, "ip_allowlist": settings.model_copy(update={"paths": (entry,)})}
        if not list(ip_allowlist.CONTROL.conflicts(replace(lab.policy, controls=controls))):
            raise Broken(f"{entry.path} open to {entry.networks} would start")
    return f"{len(entries)} entries, all refused"


PROBES: Final = (
    the_policys_own_paths_are_closed,
    a_valid_administrator_from_elsewhere_is_nobody,
    no_spelling_gets_by,
    the_same_page_by_another_path_is_closed_too,
    no_header_opens_it,
    what_is_closed_looks_like_nothing,
    a_list_that_lets_nobody_in_or_covers_nothing_does_not_start,
)
