"""Why a file is not taken, or not given out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bylaw.content.faults import FAULTS
from bylaw.reasons import Reason

NOT_HERE: Final = Reason(
    "uploads.not_here",
    415,
    "No file is taken here.",
    "The request has a part with a file's name, and its route has not declared that it takes any. Declare "
    "it (`@takes`, `Takes`, `[[uploads.routes]]`); nothing of the file was kept.",
)
FIELD: Final = Reason(
    "uploads.field",
    422,
    "There is a file in a field that takes none.",
    "The route declares which fields of its form bring files; this part is in another one, or its field is "
    "written so that two programs could read two names.",
)
NAME: Final = Reason(
    "uploads.name",
    422,
    "There is a file whose name cannot be read.",
    "The name is empty and there is content, or there are control characters or bytes in it that are no "
    "UTF-8: one program reads it, another leaves the file out. Where no file was chosen, browsers send a "
    "part without name and content; that is left out.",
)
TOO_MANY: Final = Reason(
    "uploads.too_many",
    413,
    "There are too many files in it.",
    "One request brings more files than its route declares. Nothing of them was kept.",
)
TOO_LARGE: Final = Reason(
    "uploads.too_large",
    413,
    "The file is too large.",
    "It is longer than uploads.size. It was measured while it came; the rest was not read, and nothing kept.",
)
WAITING: Final = Reason(
    "uploads.waiting",
    429,
    "Too many of your files belong to nothing yet.",
    "Whoever gives it has given uploads.waiting files already that no transaction has attached: without a "
    "bound one person could fill the disk. They go after a day.",
)
EXTENSION: Final = Reason(
    "uploads.extension",
    415,
    "Files of this kind are not taken.",
    "The name's extension is missing, unclear (a dot or a space at its end), not in uploads.kinds or not "
    "among those of its route; or one before it is a program's (`invoice.php.pdf`). The detail says which "
    "are taken.",
)
CLAIM: Final = Reason(
    "uploads.media_type",
    415,
    "The file's type and its name do not agree.",
    "The Content-Type of its part is none that belongs to the extension, is two, or has parameters that mean "
    "nothing there.",
)
UNKNOWN: Final = Reason(
    "uploads.unknown",
    404,
    "There is no such file here.",
    "It does not exist, was removed, or belongs to something else: the answer is the same.",
)
HELD: Final = Reason(
    "uploads.held",
    423,
    "The file is still being checked.",
    'No scanner has looked at it yet ([malware] on_outage = "hold"). It is given out once one has.',
)
WITHDRAWN: Final = Reason(
    "uploads.withdrawn",
    410,
    "The file was withdrawn: something harmful was found in it.",
    "A scanner with newer signatures found something in a file that had been taken. Nobody gets it any more; "
    "`bylaw files list --state refused` has it with what was found.",
)
DAMAGED: Final = Reason(
    "uploads.damaged",
    500,
    "The file cannot be given out.",
    "What storage holds is not what was taken: its length or its SHA-256 differs. `bylaw files verify` says "
    "which are so; have them back from a back-up.",
)
UNSTORED: Final = Reason(
    "uploads.unstored",
    503,
    "Files cannot be kept at the moment. Try again later.",
    "The storage does not answer, or is full. Nothing was kept of the file.",
)

# What content.examine finds: one reason for each of its faults, in its words.

_DISAGREES: Final = 415
_UNFIT: Final = 422
_HELP: Final = {
    "empty": "It has no bytes: nothing can be said about what it is.",
    "disagrees": "Its bytes are another kind's than its extension's and its claimed type's: the three agree, "
    "or it is not taken.",
    "unreadable": "Its structure breaks a rule of its format: a checksum, a length, an order, a table that "
    "leads nowhere. Have it written anew by the program that it comes from.",
    "truncated": "It stops before its own end: most often an upload that broke off.",
    "trailing": "Bytes follow its end. A picture with an archive behind it is both (CWE-434).",
    "polyglot": "Two kinds of programs would read two kinds of files in it.",
    "too_many_pixels": "It declares more pixels than uploads.pixels. It was not decoded.",
    "too_much_metadata": "Texts, profiles or segments beside its pixels are more than a picture needs.",
    "active": "A PDF that runs JavaScript, starts a program or sends a form (print it into a new PDF), or "
    "markup in the comments of a picture.",
    "encrypted": "Nobody, a scanner neither, can look into it. Have it sent without a password.",
    "embedded": "A document with other files in it. Have them sent one by one.",
    "bomb": "It unpacks to more than uploads.unpacked, or to more than uploads.ratio times its size.",
    "too_many_members": "It has more members than uploads.entries.",
    "lying": "A member's size or checksum is another than its directory says: two programs would unpack two "
    "things.",
    "hidden": "There are bytes or members that its directory does not name.",
    "twice": "Of two members with one name, one program takes the first and another the last.",
    "path": "A member's name is absolute, climbs directories or is a device's (zip slip, CWE-22).",
    "link": "Unpacked, it would lead out of its directory (CWE-59).",
    "nested": "An archive in an archive multiplies what it unpacks to. Have it sent by itself.",
    "macro": "A document with a program in it: save it as .xlsx, without macros.",
    "external": "Who opens it would fetch something from elsewhere: links, connections, remote templates.",
    "entities": "A DOCTYPE in its XML: an external entity reads files, nested ones fill memory (CWE-611, "
    "CWE-776).",
    "binary": "NUL or other controls in what should be text.",
    "encoding": "Save it as UTF-8.",
}
"""What it means for an operator, and what to do."""

CONTENT: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        code: Reason(
            f"uploads.{code}",
            _DISAGREES if code == "disagrees" else _UNFIT,
            sentence,
            _HELP.get(code, "Its content breaks a rule of its format."),
        )
        for code, sentence in FAULTS.items()
    }
)
"""The reason of each fault."""


def of(code: str) -> Reason:
    """The reason of a fault that `content.examine` found. Raises LookupError where there is none."""
    return CONTENT[code]


REASONS: Final = (
    NOT_HERE,
    FIELD,
    NAME,
    TOO_MANY,
    TOO_LARGE,
    WAITING,
    EXTENSION,
    CLAIM,
    UNKNOWN,
    HELD,
    WITHDRAWN,
    DAMAGED,
    UNSTORED,
    *CONTENT.values(),
)
