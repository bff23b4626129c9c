"""Address lists: some paths are there only for whoever comes from certain networks.

Threat: a stolen administrator's session or password works from anywhere (ASVS 5.0.0 8.4.2). Mechanism:
a path and everything below it answers only clients in the listed networks; for all others it does not
exist. A path is compared in every spelling that anything on the way could give it, and one of bylaw's own
pages is known by its route, so that its JSON twin and its aliases are covered too. Source: S3-085.
It does not say who somebody is: whoever comes from a listed network still has to sign in and be allowed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import unquote

from pydantic import Field

from bylaw import control
from bylaw.control import Conflict, Control, Section
from bylaw.controls import errors, proxies
from bylaw.controls.ip_allowlist import probes, sabotages
from bylaw.controls.proxies import addresses
from bylaw.exchange import ALLOW, Exchange, Refuse, Step, Verdict, idle
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason

OUTSIDE = Reason(
    "ip_allowlist.outside",
    403,
    "This is not open to your network.",
    "The client's address is in none of the networks that ip_allowlist lists for the path. Behind a proxy: "
    "is it trusted to name the client (proxies.trusted, proxies.x_for)? With status 404 the visitor is told "
    "`errors.not_found`; this one is only counted.",
)
REMEMBERED: Final = 10_000
"""Paths whose entries are remembered."""
_DECODED: Final = 3


class Listed(Section):
    """A path, and the networks that it is open to."""

    path: str = Field(pattern=r"^/[^?#\s]*$", examples=["/auth/users/*"])
    """The path, or it and everything below it when it ends in `/*`."""
    networks: tuple[str, ...] = Field(min_length=1, examples=[["10.0.0.0/8"]])
    """Who may come: networks or addresses."""


class Settings(control.Settings):
    """Which paths are open to which networks."""

    paths: tuple[Listed, ...] = ()
    """The paths, each with its networks. Of several that cover one, all must let the client in."""

    status: Literal[403, 404] = 404
    """The status for everybody else: 404 says no more than that there is nothing."""


# Paths


@lru_cache(maxsize=1024)
def spellings(path: str) -> tuple[str, str]:
    """What `path` may come to further on: in lower case, decoded again, with `\\` as `/`, without
    parameters and empty segments; with its dot segments and without them.

    Whether a proxy, the server or the framework would read it so is not known: where any of the readings
    is listed, the path is.
    """
    text = path
    for _ in range(_DECODED):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    # What some servers cut off or pass over: a NUL ends a C string, blanks are stripped.
    text = "".join(c for c in text.partition("\0")[0] if c.isprintable() and not c.isspace())
    parts = [part.partition(";")[0] for part in text.lower().replace("\\", "/").split("/")]
    plain = [part for part in parts if part not in ("", ".")]
    resolved: list[str] = []
    for part in plain:
        if part != "..":
            resolved.append(part)
        elif resolved:
            resolved.pop()
    return "/" + "/".join(plain), "/" + "/".join(resolved)


def covers(listed: str, path: str) -> bool:
    """Whether the entry `listed` is about `path`, however that is spelt."""
    whole = listed.endswith("/*")
    base = spellings(listed.removesuffix("*"))[-1]
    below = base.rstrip("/") + "/"
    return any(text == base or (whole and text.startswith(below)) for text in spellings(path))


Find = Callable[[str], "tuple[addresses.Networks, ...]"]


def _twins(house: House, listed: str) -> set[str]:
    """`listed`, and where one of bylaw's own pages is behind it, its other paths as entries of their own."""
    found = {listed}
    for paths in house.routes.twins.values():
        if any(covers(listed, path) for path in paths):
            found.update(f"{path}*" if path.endswith("/") else path for path in paths)
    return found


def _finder(house: House, settings: Settings) -> Find:
    """The networks that a request for a path must come from: one for each entry that covers it."""
    entries = [(_twins(house, listed.path), addresses.Networks(listed.networks)) for listed in settings.paths]

    def find(path: str) -> tuple[addresses.Networks, ...]:
        return tuple(networks for paths, networks in entries if any(covers(each, path) for each in paths))

    return find


# A request


def _within(exchange: Exchange, networks: tuple[addresses.Networks, ...]) -> bool:
    """Whether the client is known, and in all of them."""
    return proxies.known(exchange) and all(exchange.client in each for each in networks)


def _arrive(house: House) -> Step:
    settings = house.policy.of(Settings)
    if not settings.paths:
        return idle
    find = _finder(house, settings)
    # What is not there looks the same wherever nothing is: `errors` says it, and no word of a list.
    refuse = Refuse(OUTSIDE) if settings.status == 403 else Refuse(errors.NOT_FOUND)
    remembered: dict[str, tuple[addresses.Networks, ...]] = {}

    def step(exchange: Exchange) -> Verdict:
        networks = remembered.get(exchange.path)
        if networks is None:
            if len(remembered) >= REMEMBERED:
                remembered.clear()  # paths are a stranger's to make up: memory is not
            networks = remembered[exchange.path] = find(exchange.path)
        if not networks or _within(exchange, networks) or not house.fenced:
            return ALLOW
        if refuse.reason is not OUTSIDE:
            house.count(OUTSIDE.code)
        return refuse

    return step if settings.paths else lambda exchange: ALLOW


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    for index, listed in enumerate(policy.of(Settings).paths):
        key = f"ip_allowlist.paths.{index}"
        yield from addresses.faults(f"{key}.networks", listed.networks)
        path = listed.path.removesuffix("*")
        if "*" in path or (listed.path.endswith("*") and not path.endswith("/")):
            yield Conflict(
                f"{key}.path",
                f"{listed.path!r} covers nothing",
                'one path ("/report") or all below one ("/auth/users/*")',
            )
        elif spellings(path)[-1] != (path.rstrip("/").lower() or "/"):
            yield Conflict(
                f"{key}.path", f"{listed.path!r} is not how the path is spelt", "the path as the route has it"
            )


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    if not settings.paths:
        return ["No path is kept to certain networks."]
    written = policy.written.get("ip_allowlist", {}).get("paths", [])
    sentences = []
    for index, listed in enumerate(settings.paths):
        # As written: which networks a variable names is nobody's business.
        networks = written[index]["networks"] if index < len(written) else listed.networks
        sentences.append(f"`{listed.path}` is open only to {', '.join(f'`{text}`' for text in networks)}.")
    return [
        *sentences,
        (
            f"For everybody else, an administrator too, these paths answer {settings.status}, in every "
            "spelling, by every alias and as JSON; whoever an unreadable header hides is everybody else."
        ),
    ]


CONTROL = Control(
    name="ip_allowlist",
    title="Address lists",
    settings=Settings,
    statement=_statement,
    reasons=(OUTSIDE,),
    steps={"arrive": _arrive},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S3-085",),
    asvs=("8.4.2",),
)
