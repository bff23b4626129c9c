"""Attacks on files that were taken: on where they are kept, and on how they are given out.

They go to `bylaw.files`, which every application has and through which alone it gives files out, and what it
answers is sent once through the whole stack.
"""

from __future__ import annotations

import io
import re
import stat
import sys
import uuid
from pathlib import Path
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls.uploads.probes.taken import png, taking
from bylaw.identity import Identity
from bylaw.reasons import Refused

_NAME: Final = re.compile(r"[a-z2-7]{22}")


def _subject() -> str:
    return f"laboratory:{uuid.uuid4().hex}"


def _taken(lab: Any, subject: str, name: str = "x.png") -> Any:
    """A picture that belongs to a subject."""
    with taking(lab) as take:
        taken = take(name, png(40, 30))
        if isinstance(taken, str):
            raise Broken(f"a picture is refused: {taken}")
        with lab.site.house.store.transaction() as connection:
            who = Identity(taken.user_id)
            return lab.site.files.attach(connection, taken.id, subject, by=who)


def _code(call: Any, *args: Any, **how: Any) -> str:
    """The reason that a call is refused for; empty where it is not."""
    try:
        given = call(*args, **how)
    except Refused as refused:
        return refused.reason.code
    close = getattr(getattr(given, "pieces", given), "close", None)
    if close is not None:  # it should not have been given, and is let go of
        close()
    return ""


def _kept(lab: Any) -> Path:
    return Path(lab.files)


def _path(lab: Any, file: Any) -> Path:
    found = [path for path in _kept(lab).rglob(file.id) if path.is_file()]
    if len(found) != 1:
        raise Broken(f"a file that was taken is there {len(found)} times")
    return found[0]


@probe("high", "S1-096", "S2-076")
def files_are_kept_where_nobody_looks(lab: Any) -> str:
    """What was taken is under a name of bylaw's own that only the application may read, outside of what is
    served."""
    file = _taken(lab, _subject(), "../../static/x.png")
    place = _path(lab, file)
    if not _NAME.fullmatch(file.id):
        raise Broken(f"it is kept as {file.id!r}")
    for path in (place, place.parent, _kept(lab)):
        if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            raise Broken(f"others on this machine may read it: {path.name} has the mode {mode:o}")
    for root in lab.site.house.roots:
        if place.resolve().is_relative_to(root.resolve()):
            raise Broken(f"it is below {root}, which is served or run as it is")
    if place.read_bytes() != png(40, 30):
        raise Broken("what is kept is not what was taken")
    return f"kept as {file.id}, mode 600 in 700, outside of {len(lab.site.house.roots)} roots"


@probe("high", "S2-076")
def what_is_kept_is_never_written_again(lab: Any) -> str:
    """A name that storage has given out is not written a second time."""
    file = _taken(lab, _subject())
    storage, before = lab.site.house.storage, _path(lab, file).read_bytes()
    try:
        storage.write_once(file.id, io.BytesIO(b"something else"))
    except FileExistsError:
        if _path(lab, file).read_bytes() != before:
            raise Broken("it was refused, and written all the same") from None
        return "refused, and what is kept is as it was"
    raise Broken("what was examined was written over")


@probe("critical", "S2-077", "S2-078", "C-29")
def files_are_given_out_as_attachments(lab: Any) -> str:
    """Every answer with a file is an attachment with the type that it was examined as, in a sandbox."""
    file = _taken(lab, _subject(), "x.png")
    for method, sent in (("GET", {}), ("HEAD", {}), ("GET", {"range": "bytes=0-9"})):
        given = lab.site.files.download(file.id, file.subject, method=method, headers=sent)
        body = b"".join(given.pieces)
        with lab.answering(given.status, given.headers, body):
            reply = lab.visitor().get("/laboratory")
        _attached(reply, method, sent)
    return "whole, in part and HEAD: attachment, nosniff, sandbox, for one visitor alone"


def _attached(reply: Any, method: str, sent: dict[str, str]) -> None:
    what = f"{method} {sent or ''}"
    if not reply.header("content-disposition").startswith("attachment;"):
        raise Broken(f"{what}: it may be shown: {reply.header('content-disposition')!r}")
    if "sandbox" not in ", ".join(reply.all("content-security-policy")):
        raise Broken(f"{what}: opened in spite of that, it would be a page of this site")
    if reply.header("x-content-type-options") != "nosniff" or reply.header("content-type") != "image/png":
        raise Broken(f"{what}: a browser may take it for something else: {reply.header('content-type')!r}")
    if "no-store" not in reply.header("cache-control"):
        raise Broken(f"{what}: caches keep it: {reply.header('cache-control')!r}")


@probe("critical", "S2-078", "A163")
def what_belongs_elsewhere_is_not_there(lab: Any) -> str:
    """An id of something else's file answers like an id that nobody has; nothing is seen before it belongs
    somewhere."""
    files, mine = lab.site.files, _taken(lab, _subject())
    other = _subject()
    with taking(lab) as take:
        loose = take("x.png", png())
    ids = {"another's": mine.id, "not attached": loose.id, "nobody's": "a" * 22, "a path": "../../etc/passwd"}
    for what, file_id in ids.items():
        for call in (files.find, files.download, files.thumbnail, files.open):
            if (code := _code(call, file_id, other)) != "uploads.unknown":
                raise Broken(f"{what}: {call.__name__} answers {code or 'with the file'}")
    if files.of(other):
        raise Broken("a subject has files that were given to another")
    with lab.site.house.store.transaction() as connection:
        somebody = Identity(str(uuid.uuid4()))
        if _code(files.attach, connection, loose.id, other, by=somebody) != "uploads.unknown":
            raise Broken("somebody attached a file that another had given")
    return f"{len(ids)} kinds of ids answer alike, and a fresh file is its giver's"


@probe("high", "S1-095", "S2-075")
def what_is_not_clean_is_given_to_nobody(lab: Any) -> str:
    """A file that is still being checked, or in which something was found, is given to nobody."""
    seen = []
    for state in ("held", "refused"):
        file = _taken(lab, _subject())
        table = sys.modules["bylaw.store.tables"].files
        with lab.site.house.store.transaction() as connection:
            connection.execute(table.update().where(table.c.id == file.id).values(state=state))
        for call in (lab.site.files.download, lab.site.files.thumbnail, lab.site.files.open):
            if not (code := _code(call, file.id, file.subject)):
                raise Broken(f"{call.__name__} gives out a file that is {state}")
            seen.append(code)
        if [each.state for each in lab.site.files.of(file.subject)] != [state]:
            raise Broken("people do not see what became of their file")
    return f"refused: {', '.join(sorted(set(seen)))}; its subject shows why"


@probe("high", "S2-076")
def what_was_changed_is_not_given_out(lab: Any) -> str:
    """A file whose bytes were changed where it is kept is not given out, neither whole nor in part."""
    file = _taken(lab, _subject())
    b"".join(lab.site.files.download(file.id, file.subject, method="GET", headers={}).pieces)
    place = _path(lab, file)
    content = place.read_bytes()
    place.write_bytes(content[:-13] + bytes([content[-13] ^ 1]) + content[-12:])
    for sent in ({}, {"range": "bytes=0-9"}):
        code = _code(lab.site.files.download, file.id, file.subject, method="GET", headers=sent)
        if code != "uploads.damaged":
            raise Broken(f"{sent or 'the whole'}: {code or 'it is given out'}")
    return "one bit was changed, and nobody gets it"


@probe("medium", "S2-076")
def what_nobody_needs_is_cleared_away(lab: Any) -> str:
    """A file that no transaction wanted is gone a day later, row and bytes; one that is needed is not."""
    needed = _taken(lab, _subject())
    with taking(lab) as take:
        loose = take("x.png", png())
    with lab.site.house.store.transaction() as connection:
        lab.site.files.remove(connection, needed.id, needed.subject)
    wanted = _taken(lab, _subject())
    lab.clock.advance(86_400 + 1)
    sys.modules["bylaw.operations.files.sweeping"].sweep(lab.site.house)
    left = {path.name for path in _kept(lab).rglob("*") if path.is_file()}
    if loose.id in left or needed.id in left:
        raise Broken("what nobody needs any more is still there")
    if wanted.id not in left or lab.site.files.find(wanted.id, wanted.subject).state != "clean":
        raise Broken("what is needed was cleared away")
    return "one that nothing wanted and one that was removed are gone, and what is needed is there"
