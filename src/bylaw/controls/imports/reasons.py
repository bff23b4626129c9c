"""Why an import is refused."""

from __future__ import annotations

from bylaw.reasons import Reason

UNKNOWN = Reason(
    "imports.unknown",
    404,
    "There is no such import.",
    "There is no import of that id, or it is somebody else's: both are answered alike. Imports that were "
    "not touched for [imports] kept are gone, with their files.",
)
UNREADABLE = Reason(
    "imports.unreadable",
    422,
    "This file cannot be read as a table.",
    "Its encoding, its delimiter or its structure is not that of a table, or it is larger than [imports] "
    "allows; the detail names the row. Nothing was imported. Save it as CSV (UTF-8) or as XLSX and send it "
    "again, choose encoding and delimiter, or split it.",
)
COLUMNS = Reason(
    "imports.columns",
    422,
    "The columns cannot be taken like this.",
    "Two columns stand for one field, or a field that is needed has no column; the fields of the answer name "
    "each.",
)
OPTIONS = Reason(
    "imports.options",
    422,
    "Something of what is asked beside the file cannot be taken.",
    "The importer asks for more than the file holds; the fields of the answer say what is accepted.",
)
STATE = Reason(
    "imports.state",
    409,
    "That cannot be done with this import now.",
    "The import is under way, or it has ended: what is under way can be cancelled, what has ended stays as "
    "it is.",
)
TOO_MANY = Reason(
    "imports.too_many",
    429,
    "You have as many imports under way as are taken.",
    "Somebody has [imports] running imports under way, or [imports] unfinished that were never finished. "
    "Wait for them, cancel or discard one.",
)
REPEATED = Reason(
    "imports.repeated",
    409,
    "This file was imported already. Nothing was changed.",
    "The same person has imported the same file with the same columns and options. To do it once more all "
    "the same, say so (`again`).",
)
ALL: tuple[Reason, ...] = (UNKNOWN, UNREADABLE, COLUMNS, OPTIONS, STATE, TOO_MANY, REPEATED)
