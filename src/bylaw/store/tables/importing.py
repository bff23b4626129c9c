"""Imports: their runs, who works at one, what was noted, and what columns were said to mean."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table

from bylaw.store.tables.base import metadata

imports = Table(
    "imports",
    metadata,
    Column("id", String(22), primary_key=True),
    # The application's name for what is imported, and the file that it comes from.
    Column("importer", String(64), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="SET NULL")),
    # The administrator who acted as this user, and what an API key narrowed him to: both hold for the worker.
    Column("acting", String(36)),
    Column("scopes", JSON),
    Column("file_id", String(22), nullable=False),
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    # open, checking, running, done, failed, cancelled (see store.imports).
    Column("state", String(16), nullable=False, index=True),
    # `all` or `good`: all rows or none, or the good ones.
    Column("mode", String(8), nullable=False, default="all"),
    # What the person chose: encoding, delimiter, sheet, row of the headings, meaning of the columns, options.
    Column("chosen", JSON, nullable=False),
    # What was seen at the first look: the headings and the beginning of the file.
    Column("seen", JSON, nullable=False),
    # What the last run found: counts, what is noted, where its result is.
    Column("found", JSON, nullable=False),
    # File, meaning of the columns and options as one: the same again changes nothing.
    Column("fingerprint", String(64), nullable=False, default=""),
    # Records that are committed: after a crash the next worker goes on behind them.
    Column("done", Integer, nullable=False, default=0),
    # Where a run is, for people to look at: it decides nothing.
    Column("at_row", Integer, nullable=False, default=0),
    Column("rows", Integer),
    Column("because", String(500), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False, index=True),
    Column("started_at", Float),
    Column("finished_at", Float),
    # Somebody wants it ended: the worker sees it between two batches.
    Column("cancel_at", Float),
    Index("ix_imports_user", "user_id", "created_at"),
)

import_claims = Table(
    "import_claims",
    metadata,
    # Apart from `imports`: a worker holds this row for as long as its transaction lasts, and whoever cancels
    # or looks on must not wait for it.
    Column("import_id", ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    # One more with each worker that takes it: what an older one still writes is refused (fencing).
    Column("fence", Integer, nullable=False, default=0),
    Column("until", Float, nullable=False, default=0.0),
)

import_notes = Table(
    "import_notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("import_id", ForeignKey("imports.id", ondelete="CASCADE"), nullable=False),
    # `error`: cannot be taken; `skipped`: no record, and why.
    Column("kind", String(8), nullable=False),
    Column("row", Integer, nullable=False),
    Column("column", String(120), nullable=False, default=""),
    Column("value", String(120), nullable=False, default=""),
    Column("said", String(300), nullable=False),
    Index("ix_import_notes_import", "import_id", "kind", "id"),
)

import_mappings = Table(
    "import_mappings",
    metadata,
    # What somebody said that the columns with these headings mean.
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("importer", String(64), primary_key=True),
    Column("headings", String(64), primary_key=True),
    Column("columns", JSON, nullable=False),
    Column("used_at", Float, nullable=False),
)
