"""Where files may be kept: not where anything is served as it is, nor where the application's code is.

A file below a static folder is given out by whoever serves that, as whatever its name says and to everybody;
one beside the code may one day be imported or rendered (CWE-219, CWE-434; ASVS 5.0.0 5.3.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bylaw.control import Conflict
from bylaw.house import House


def conflicts(house: House, storage: str) -> Iterable[Conflict]:
    """What is wrong with the directory `storage`, once every root is known (`house.roots`)."""
    place = Path(house.ports.files or storage).resolve()
    for root in sorted(house.roots):
        if within(place, root):
            yield Conflict(
                "uploads.storage",
                f"{storage} is in {root.name}/, which is served or run as it is",
                "a directory outside of the application and of its static files: /var/lib/app/uploads",
            )


def within(place: Path, root: Path) -> bool:
    """Whether one is in the other, links resolved: a root below the storage would serve it as well."""
    root = root.resolve()
    return place.is_relative_to(root) or root.is_relative_to(place)
