"""Ids in addresses."""

from __future__ import annotations

from werkzeug.routing import IntegerConverter

from apps.planner.validators import LARGEST_ID


class IdConverter(IntegerConverter):
    """``<int:...>`` for ids that the database can hold; a larger number is simply not found.

    The digits are bounded in the pattern too: Python refuses to read a number of 5,000 digits,
    which would be an error and not a 404.
    """

    regex = "[1-9][0-9]{0,9}"

    def __init__(self, map, **options) -> None:  # type: ignore[no-untyped-def]  # noqa: A002, ANN001, ANN003 - Werkzeug's signature
        super().__init__(map, **{"max": LARGEST_ID, **options})
