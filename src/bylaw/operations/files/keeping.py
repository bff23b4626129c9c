"""Where an application's files are kept, by its policy; and whether that is in order."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import urlsplit

from bylaw.controls import uploads
from bylaw.controls.uploads import reasons
from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.reasons import Refused
from bylaw.storage import Storage
from bylaw.storage.local import Directory

log = logging.getLogger("bylaw.files")


def storage_of(house: House) -> Storage:
    """The storage that the policy names (or a laboratory's), made when somebody first asks.

    Raises MisuseError where it cannot be made.
    """
    if house.storage is None:
        house.storage = _made(house)
    return house.storage


def _made(house: House) -> Storage:
    settings = house.policy.of(uploads.Settings)
    if house.ports.files is not None:
        return Directory(Path(house.ports.files), house.ports.clock)
    if not settings.storage.startswith("s3://"):
        return Directory(Path.cwd() / settings.storage, house.ports.clock)
    from bylaw.storage.s3 import Bucket

    where = urlsplit(settings.storage)
    return Bucket(
        where.netloc,
        where.path.strip("/"),
        settings.endpoint,
        settings.region,
        settings.access_key.get_secret_value() if settings.access_key is not None else "",
        settings.secret_key.get_secret_value() if settings.secret_key is not None else "",
    )


def unstored(house: House, error: OSError) -> Refused:
    """What a visitor is told where the storage did not do its part; the operator reads why in the log."""
    house.count("files.unstored")
    log.error("%s", error)
    return Refused(reasons.UNSTORED, headers=(("Retry-After", "60"),))


def packaged(directory: Path | None) -> list[Path]:
    """`directory`, if it is a package: where code is imported from nothing that was uploaded may be. A single
    module's directory is everything that the operator has there."""
    return [directory] if directory is not None and (directory / "__init__.py").is_file() else []


def check(house: House) -> str:
    """What readiness asks: why nothing could be kept now."""
    try:
        return storage_of(house).problem()
    except MisuseError as error:
        return str(error)
