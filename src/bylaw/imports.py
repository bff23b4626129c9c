"""What an application's importers are made of.

from bylaw.imports import Columns, Counts, Noted, Record, Rejected, Skipped, Wrong
"""

from __future__ import annotations

from bylaw.operations.imports.columns import Columns
from bylaw.operations.imports.importers import Counts, Noted, Record, Rejected, Skipped, Wrong
from bylaw.spreadsheet import Row

__all__ = ["Columns", "Counts", "Noted", "Record", "Rejected", "Row", "Skipped", "Wrong"]
