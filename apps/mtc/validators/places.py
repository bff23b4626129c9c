"""Places on a board: `R1,R2,R5-R8` names six of them."""

from __future__ import annotations

import re

_PLACE = r"[A-Za-z_]{1,10}[0-9]{1,5}[A-Za-z]?"
_RANGE = re.compile(
    r"(?P<name>[A-Za-z_]{1,10})(?P<first>[0-9]{1,5})\s*(?:-|–|—|\.{2,3}|:|\bto\b|\bbis\b)\s*"
    r"(?P<again>[A-Za-z_]{1,10})?(?P<last>[0-9]{1,5})"
)
_ONE = re.compile(_PLACE)
MOST = 2_000
"""Places at most in one cell: `R1-R99999` is a slip of the hand, or meant to cost memory."""


def expanded(text: str) -> tuple[str, ...]:
    """Every place that `text` names, once each and in its order; () where it names anything else too.

    Ranges are written out: `R1-R4`, `R1..R4`, `R1 – R4` and `R1-4`.
    """
    found: dict[str, None] = {}
    rest = re.sub(_RANGE, _tight, text)
    for word in re.split(r"[\s,;]+", rest):
        if not word:
            continue
        places = _places(word)
        if not places or len(found) + len(places) > MOST:
            return ()
        found.update(dict.fromkeys(places))
    return tuple(found)


def looks_like_places(cells: list[str]) -> bool:
    """Whether most of these cells name places: R101 under "Name" is no name of a part."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and sum(1 for cell in filled if expanded(cell)) * 2 > len(filled)


def _tight(match: re.Match[str]) -> str:
    """A range without the spaces in it, so that splitting at spaces leaves it whole."""
    return f"{match['name']}{match['first']}-{match['again'] or match['name']}{match['last']}"


def _places(word: str) -> tuple[str, ...]:
    if _ONE.fullmatch(word):
        return (word,)
    match = _RANGE.fullmatch(word)
    if match is None or match["again"] != match["name"]:
        return ()
    first, last = int(match["first"]), int(match["last"])
    if not first < last < first + MOST:
        return ()
    width = len(match["first"]) if match["first"].startswith("0") else 1
    return tuple(f"{match['name']}{number:0{width}}" for number in range(first, last + 1))
