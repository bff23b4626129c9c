"""`python -m apps.projects`: make the register's tables in the policy's database, where they are missing."""

from __future__ import annotations

from pathlib import Path

from apps.projects import database
from bylaw.site import Site

if __name__ == "__main__":
    site = Site(Path(__file__).with_name("bylaw.toml"))
    site.open(serving=False)  # bylaw's own tables come first: bylaw db upgrade
    database.prepare(site.house.store.engine)
    site.close()
    print("The register's tables are there.")  # noqa: T201 - a command says what it did
