"""Who may be asked: by scheme, port and name before anybody looks a name up, by address afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from bylaw.outbound.addresses import Address, is_public, metadata, nowhere
from bylaw.outbound.targets import PORTS, Target, Unreadable

ANYBODY: Final = "*"


class Forbidden(OSError):
    """An address that may not be asked. `why` is for the log: it may tell what is inside the network."""

    def __init__(self, why: str) -> None:
        super().__init__(f"this address may not be asked: {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be asked. Without anything said: whatever is public, by https, on its usual port.

    `hosts` are names, `*.name` for all below one, or `*` for whatever is public. `origins` are named by
    whoever answers for the machine (scheme, host, port, exactly): they may be asked although they are not
    public, where `hosts` has their name too. `*` has not: what is inside is never meant by it.
    """

    hosts: tuple[str, ...] = (ANYBODY,)
    schemes: tuple[str, ...] = ("https",)
    ports: tuple[int, ...] = ()
    origins: tuple[str, ...] = ()

    def target(self, url: str) -> Target:
        """Where `url` leads, as far as its text shows. Raises Forbidden."""
        try:
            target = Target.read(url)
        except Unreadable as error:
            raise Forbidden(str(error)) from None
        self.demand(target)
        return target

    def demand(self, target: Target) -> None:
        """Raises Forbidden where scheme, port, name or an address in the place of a name may not be asked."""
        if self._inside(target):
            return
        if target.scheme not in self.schemes:
            raise Forbidden(f"{target.scheme} and not {' or '.join(self.schemes)}")
        if target.port not in (PORTS[target.scheme], *self.ports):
            raise Forbidden(f"port {target.port}")
        if ANYBODY not in self.hosts and not self._by_name(target.host):
            raise Forbidden("a host that the policy does not name")
        if target.literal is not None:
            self.judge(target, [target.literal])
        elif "." not in target.host:
            raise Forbidden("a name without a dot: it is looked for in the own network")

    def judge(self, target: Target, addresses: Iterable[Address]) -> None:
        """Raises Forbidden where one of the addresses that a name leads to may not be asked: which of them
        is taken, chance decides, or whoever answers for the name."""
        inside = self._inside(target)
        for address in addresses:
            if nowhere(address):
                raise Forbidden(f"{address} is no machine's")
            if metadata(address) and not (inside and target.literal == address):
                raise Forbidden(f"{address} is a link's or a cloud's own")
            if not (inside or is_public(address)):
                raise Forbidden(f"{address} is not public")

    def _inside(self, target: Target) -> bool:
        """Whether whoever answers for the machine has named this very origin."""
        return target.origin in self.origins and self._by_name(target.host)

    def _by_name(self, host: str) -> bool:
        return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in self.hosts)

    def only_by_https(self) -> Rules:
        """The same without http: for what comes after an answer by https."""
        return replace(self, schemes=tuple(s for s in self.schemes if s == "https"))
