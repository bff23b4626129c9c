"""File uploads: a file comes in one way, and only what the policy names comes in.

Threat: a file that is not what it says and runs where it is opened or served (CWE-434); one whose name leads
elsewhere (CWE-22) or whose size, pixels or archive fill disk and memory (CWE-400, CWE-409); one that reaches
a route that never asked for any. Mechanism: a route declares the fields that bring files; anywhere else a
part with a file's name is refused before the application runs. Where files are taken, each is measured while
it passes and cut off at `size`; then its name is cleaned, and extension, claimed type and content must be one
of `kinds`, its structure read to the end. It is stored under a generated name outside of what is served, and
given out as an attachment in a sandbox to those alone who may have it. Source: OWASP File Upload, ASVS 5.0.0
5.2.1 to 5.4.3, RFC 7578, RFC 6266; C-29.
It does not make a file harmless: a well-formed document may still attack the program that opens it (see
malware for what a scanner knows), and it does not judge bodies that are no multipart forms (see body).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field, SecretStr

from bylaw import content, control, rules
from bylaw.control import Below, Conflict, Control, Section
from bylaw.controls.uploads import names, placing, probes, reasons, sabotages
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.quantities import Size, weighed
from bylaw.reasons import Refused
from bylaw.routes import Taking

PROGRAM: Final = re.compile(
    r"php[\ds]?|pht(?:ml?)?|phar|as[ap]x?|as[chm]x|cfml?|cfc|jspx?|jspf|cgi|pl|py|rb|sh|shtml?|htaccess|"
    r"html?|xht|xhtml?|mht|mhtml|svgz?|xsl|m?js|"
    r"exe|dll|bat|cmd|msi|scr|pif|cpl|chm|scf|swf|hta|lnk|jar|jse|vbs|vbe|ws[cfh]|ps1|psm1"
)
"""Extensions that a server or a desktop runs, or a browser shows as a page: not even before the last one."""
S3: Final = "s3://"
_PART: Final = re.compile(r"\{[^}]*\}|\*")
_PLACE: Final = re.compile(r"s3://[a-z0-9][a-z0-9._-]{0,62}(/[A-Za-z0-9._/-]*)?", re.ASCII)
"""A bucket, and a prefix: neither credentials nor a query."""
_OCTETS: Final = ("", "utf-8", "utf8", "us-ascii", "utf-16", "windows-1252", "iso-8859-1")
_MANY: Final = 100 * 1024 * 1024


class UploadPath(Section):
    """A path that takes files, in an application whose framework bylaw does not know."""

    path: str = Field(pattern=rules.PATH, examples=["/lots/{id}/files"])
    """The path; `{name}` stands for one segment, `*` at the end for whatever is below. The nearest counts."""

    methods: tuple[Literal["POST", "PUT", "PATCH"], ...] = Field(("POST",), min_length=1)
    """The methods that bring them."""

    fields: tuple[str, ...] = Field(("file",), min_length=1, examples=["file", "drawing"])
    """The fields of its form that bring files."""

    kinds: tuple[str, ...] = Field((), examples=["pdf", "png"])
    """What they may be, of uploads.kinds; empty: all of that."""

    most: int = Field(1, ge=1, le=1000)
    """How many one request may bring."""

    @property
    def taking(self) -> Taking:
        return Taking(frozenset(self.fields), self.kinds, self.most)


class Settings(control.Settings):
    """Which files are taken, and where they are kept."""

    kinds: tuple[str, ...] = Field((), examples=["pdf", "png", "jpg", "csv", "xlsx"])
    """The extensions of files that are taken, in small letters, without a dot. None: no route takes files."""

    size: Size = Field(10 * 1024 * 1024, ge=1)
    """The bytes that one file may have."""

    pixels: int = Field(50_000_000, ge=1)
    """The pixels that a picture may have, width times height."""

    entries: int = Field(2000, ge=1)
    """The members that an archive may have; an .xlsx is one."""

    unpacked: Size = Field(200 * 1024 * 1024, ge=1)
    """The bytes that an archive's members may have together, unpacked."""

    ratio: int = Field(200, ge=2)
    """How many times its size an archive may unpack to. Sheets reach 50; bombs begin near 500."""

    reencode: bool = False
    """Keep pictures as they are written anew, without what they carried beside their pixels."""

    waiting: int = Field(100, ge=1)
    """The files that one person may have given that belong to nothing yet; after a day they go."""

    storage: str = Field("var/uploads", min_length=1, examples=["var/uploads", "s3://bucket/prefix"])
    """Where files are kept: a directory, or a bucket of an S3-compatible service."""

    endpoint: str = Field("", examples=["https://s3.example"])
    """The service's address, where it is not Amazon's."""

    region: str = Field("", examples=["eu-central-1"])
    """The bucket's region."""

    access_key: SecretStr | None = Field(None, examples=["env:S3_ACCESS_KEY"])
    """The key to the service; without it, what the machine itself may (an instance's role)."""

    secret_key: SecretStr | None = Field(None, examples=["env:S3_SECRET_KEY"])
    """The secret that belongs to it."""

    routes: tuple[UploadPath, ...] = ()
    """Paths that take files, where no framework says it: beside `[[access.routes]]`."""

    def below_standard(self) -> Iterable[Below]:
        if self.off:
            yield Below("off", "true", "files only where a route declares them", "ASVS 5.0.0 5.2.2")
        if self.size > _MANY:
            yield Below("size", weighed(self.size), weighed(_MANY), "ASVS 5.0.0 5.2.1")
        if self.endpoint.startswith("http://"):
            yield Below("endpoint", "http", "https", "ASVS 5.0.0 12.3.1")


# What is taken where


def by_path(policy: Policy) -> Callable[[str, str], Taking | None]:
    """What the policy says of paths: the files that (method, path) takes, or None."""
    found = rules.Nearest((each.path, each) for each in policy.of(Settings).routes)

    def takes(method: str, path: str) -> Taking | None:
        entry = found.at(path)
        return entry.taking if entry is not None and method in entry.methods else None

    return takes


def declare(house: House) -> None:
    """Have routes take what the policy says of their paths, beside what they declare themselves."""
    house.routes.takes = by_path(house.policy)
    for each in house.policy.of(Settings).routes:
        for method in each.methods:
            house.routes.files[method, each.path] = each.taking


def limits(settings: Settings) -> content.Limits:
    """What content may cost, for `content.examine`."""
    return content.Limits(
        pixels=settings.pixels,
        entries=settings.entries,
        unpacked=settings.unpacked,
        ratio=settings.ratio,
    )


# The rule: name, extension and claim


@dataclass(frozen=True, slots=True)
class Judged:
    """A file whose name and claimed type are in order. Its content is still to be looked at."""

    name: str
    """What people may be shown."""
    extension: str
    kind: str
    """What its content must be, a name of `content.KINDS`."""


def judge(policy: Policy, name: str, media_type: str, kinds: Iterable[str] = ()) -> Judged:
    """Whether a file of this name and claimed type may come in; `kinds` narrows the policy's list.

    Raises Refused (uploads.extension, uploads.media_type).
    """
    narrowed = tuple(kinds)
    allowed = [each for each in policy.of(Settings).kinds if not narrowed or each in narrowed]
    extension = names.extension(name)
    if extension not in allowed:
        raise Refused(reasons.EXTENSION, detail=_taken(allowed))
    before = next(filter(PROGRAM.fullmatch, names.inner(name)), None)
    if before is not None:
        raise Refused(reasons.EXTENSION, detail=f"There is a program's before it: .{before}.")
    kind = kind_of(extension)
    if kind is None or not claims(media_type, kind):
        raise Refused(reasons.CLAIM, detail=f"Its name ends in .{extension}.")
    return Judged(names.cleaned(name), extension, kind.name)


def kind_of(extension: str) -> content.Kind | None:
    """The kind of files that have this extension; None where nobody here knows any."""
    return content.KINDS.get(extension)


def claims(media_type: str, kind: content.Kind) -> bool:
    """Whether a part's Content-Type says that it is of this kind, or nothing at all.

    Two types, or a parameter that means nothing, are what one program reads as a picture and another as a
    page (`image/png;x=text/html`, `image/png, text/html`).
    """
    essence, *parameters = (part.strip().lower() for part in media_type.split(";"))
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name != "charset" or value.strip('"') not in _OCTETS or not essence.startswith("text/"):
            return False
    # What a program sends that knows no type (RFC 2046 section 4.5.1) claims none either.
    return essence in ("", "application/octet-stream") or essence in kind.media_types


def _taken(allowed: Iterable[str]) -> str:
    listed = ", ".join(f".{each}" for each in allowed)
    return f"Taken here: {listed}." if listed else "None is taken here."


# What cannot be kept


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    known = sorted(content.KINDS)
    for index, kind in enumerate(settings.kinds):
        if kind not in known:
            yield Conflict(f"uploads.kinds.{index}", f'no kind of file is called "{kind}"', ", ".join(known))
    body = policy.controls.get("body")  # it imports this one, since it reads the forms
    if body is not None and body.off and not settings.off:
        yield Conflict(
            "body.off", "nobody would look what forms bring: any route would take files", "[uploads] off too"
        )
    yield from _routes(settings)
    yield from _storage(settings)


def _routes(settings: Settings) -> Iterable[Conflict]:
    seen: set[tuple[str, str]] = set()
    for index, each in enumerate(settings.routes):
        key = f"uploads.routes.{index}"
        for unknown in sorted(set(each.kinds) - set(settings.kinds)):
            yield Conflict(f"{key}.kinds", f".{unknown} is not in uploads.kinds", _listed(settings.kinds))
        if not settings.kinds:
            yield Conflict(key, "uploads.kinds is empty: no file could be taken there", 'kinds = ["pdf"]')
        same = seen & {(method, each.path) for method in each.methods}
        if same:
            yield Conflict(f"{key}.path", f"{each.path} comes twice", "one entry for each path")
        seen |= {(method, each.path) for method in each.methods}


def _storage(settings: Settings) -> Iterable[Conflict]:
    remote = settings.storage.startswith(S3)
    if remote and not _PLACE.fullmatch(settings.storage):
        yield Conflict("uploads.storage", "it names no bucket", '"s3://bucket/prefix"')
    if not remote and "://" in settings.storage:
        yield Conflict(
            "uploads.storage", "nothing is known of such a storage", 'a directory, or "s3://bucket"'
        )
    if not remote and (settings.endpoint or settings.access_key):
        yield Conflict("uploads.storage", "a directory has no endpoint and no keys", '"s3://bucket/prefix"')
    if (settings.access_key is None) != (settings.secret_key is None):
        yield Conflict("uploads.access_key", "key and secret go together", "both, or neither")


def _start(house: House) -> Iterable[Conflict]:
    """What this process lacks to tell what files are."""
    settings = house.policy.of(Settings)
    if not settings.kinds:
        return
    try:
        content.require()
    except ImportError as missing:
        yield Conflict("uploads.kinds", "what looks at files is not installed", str(missing))
    if settings.storage.startswith(S3) and importlib.util.find_spec("boto3") is None:
        yield Conflict("uploads.storage", "what speaks to it is not installed", 'pip install "bylaw[s3]"')


def _routed(house: House) -> Iterable[Conflict]:
    """Routes that declare what the policy does not take, and storage that somebody serves."""
    settings = house.policy.of(Settings)
    for (method, path), taking in house.routes.files.items():
        if not settings.kinds:
            yield Conflict(
                "uploads.kinds", f"{method} {path} takes files, and the policy takes none", '["pdf", "png"]'
            )
        elif unknown := sorted(set(taking.kinds) - set(settings.kinds)):
            yield Conflict(
                "uploads.kinds",
                f"{method} {path} takes .{', .'.join(unknown)}, and the policy does not",
                _listed(settings.kinds),
            )
    for index, entry in enumerate(settings.routes if house.policy.access.routes else ()):
        sample = _PART.sub("1", entry.path)
        for method in entry.methods:
            if house.routes.at(method, sample).rule is None:
                yield Conflict(
                    f"uploads.routes.{index}.path",
                    f"nobody may call {method} {entry.path}",
                    "the path of one of [[access.routes]]",
                )
    if settings.kinds and not settings.storage.startswith(S3):
        yield from placing.conflicts(house, settings.storage)


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(kinds)


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    gate = (
        "A part of a form that has a file's name is refused (415) on every route that has not declared that "
        "it takes files, before the application sees the form."
    )
    if not settings.kinds:
        return [gate, "No route takes files: the policy names no kind of them."]
    kept = (
        f"the bucket `{settings.storage}`"
        if settings.storage.startswith(S3)
        else f"`{settings.storage}`, outside of the application and of what is served,"
    )
    return [
        gate,
        (
            f"Taken are {', '.join(f'`.{each}`' for each in settings.kinds)}, of at most "
            f"{weighed(settings.size)} each: a file is measured while it comes and cut off there (413)."
        ),
        (
            "Its extension, the type that it claims and its content must be one and the same kind; its "
            "structure is read to its end, and what follows the end, runs, is encrypted or draws in "
            "something from elsewhere is refused (415, 422)."
        ),
        (
            f"Pictures have at most {settings.pixels:,} pixels"
            + (", and are written anew" if settings.reencode else "")
            + f"; archives (also .xlsx) at most {settings.entries:,} members, {weighed(settings.unpacked)} "
            f"unpacked and {settings.ratio} times their size, without links and archives inside."
        ),
        (
            f"Files are kept in {kept} under generated names, written once, with their SHA-256; the given "
            "name is kept as text alone, cleaned."
        ),
        (
            "They are given out as attachments, with `nosniff` and a sandbox, and whoever asks must be "
            "allowed to each time. Taking, refusing, giving out and removing are recorded."
        ),
    ]


CONTROL = Control(
    name="uploads",
    title="File uploads",
    settings=Settings,
    statement=_statement,
    reasons=reasons.REASONS,
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    start=_start,
    routed=_routed,
    requirements=(
        "S1-091",
        "S1-092",
        "S1-093",
        "S1-094",
        "S1-096",
        "S2-074",
        "S2-075",
        "S2-076",
        "S2-078",
        "C-29",
    ),
    asvs=("5.2.1", "5.2.2", "5.2.3", "5.2.4", "5.3.1", "5.3.2", "5.4.1", "5.4.2"),
)
