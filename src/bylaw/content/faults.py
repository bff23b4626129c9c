"""What is wrong with a file that is refused: a word for each fault, and the sentence that a person reads."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

FAULTS: Final = MappingProxyType(
    {
        "empty": "The file is empty.",
        "disagrees": "The file is not what its name says.",
        "unreadable": "The file is damaged, or not written as its format demands.",
        "truncated": "The file ends too early.",
        "trailing": "Something else follows the end of the file.",
        "polyglot": "The file is of two kinds at once.",
        "too_many_pixels": "The picture has too many pixels.",
        "too_much_metadata": "The picture carries too much beside its pixels.",
        "active": "The file holds something that runs: a script, a form that sends, or a program to start.",
        "encrypted": "The file is protected by a password, so that nobody can look into it.",
        "embedded": "The file holds other files.",
        "bomb": "The file unpacks to far more than it is.",
        "too_many_members": "The archive has too many members.",
        "lying": "What the file says about one of its parts is not true of it.",
        "hidden": "Something is hidden between the parts of the file.",
        "twice": "The archive names a member twice.",
        "path": "The archive has a member whose name leads elsewhere.",
        "link": "The archive holds a link or a special file.",
        "nested": "The archive holds another archive.",
        "macro": "The document holds macros.",
        "external": "The document draws in data or parts from elsewhere.",
        "entities": "The document's XML defines a type or entities of its own.",
        "binary": "The text holds characters that no text has.",
        "encoding": "The text is not in the encoding that it says, or in none that is read.",
    }
)
"""By its code: the tail of an `uploads.*` reason."""


class Hostile(Exception):
    """A file that is not taken: a code of FAULTS, and in a sentence what was found where.

    The detail is for whoever sent the file: it never holds more of its content than a name.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{FAULTS[code]} {detail}".strip())
        self.code = code
        self.detail = detail
