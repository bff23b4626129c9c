"""Uploaded bills of materials between their preview and their import."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from apps.mtc.models.base import Base


class ImportDraft(Base):
    """Belongs to whoever uploaded it; nobody else sees a row of it, or that it exists."""

    __tablename__ = "import_drafts"
    unaudited = frozenset({"text"})

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), index=True)
    filename: Mapped[str] = mapped_column(String(100))
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime]
