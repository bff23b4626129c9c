"""The notes application for frameworks that bylaw does not know: its views, without any framework.

Django, Starlette and Bottle route, read bodies and answer in their own ways; who may call what stands in
the policy, by path.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from markupsafe import escape
from pydantic import BaseModel, ConfigDict, ValidationError

from bylaw.controls import errors, headers
from bylaw.exchange import current
from bylaw.pages import rendering
from bylaw.reasons import Refused
from bylaw.site import Site, identity
from tests.applications import notes as model
from tests.applications.notes import Notes

HERE = Path(__file__).parent


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str


class Choice(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    ids: list[int]


@cache
def policy() -> Path:
    """The policy of the test applications, with the rules by path behind it."""
    folder = Path(tempfile.mkdtemp(prefix="bylaw-by-path-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    texts = [(HERE / name).read_text("utf-8") for name in ("bylaw.toml", "access.toml")]
    (folder / "bylaw.toml").write_text("".join(texts), "utf-8")
    return folder / "bylaw.toml"


@dataclass
class Asked:
    """A request as a framework has read it. `body` and `form` are read when a view asks for them."""

    args: dict[str, Any] = field(default_factory=dict)
    query: list[tuple[str, str]] = field(default_factory=list)
    kind: str = ""
    body: Callable[[], bytes] = bytes
    form: Callable[[], dict[str, str]] = dict

    def one(self, name: str) -> str:
        return next((value for key, value in self.query if key == name), "")


@dataclass
class Said:
    """An answer, for the framework to give."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cookie: str = ""


Body = TypeVar("Body", bound=BaseModel)


class Views:
    """What the application does, for one start of it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.notes = Notes()
        # Where a laboratory and the tests find what they look for, whatever the framework.
        self.state = SimpleNamespace(notes=self.notes)

    # Reading and answering

    def _json(self, asked: Asked, kind: type[Body]) -> Body:
        if asked.kind.partition(";")[0].strip().lower() != "application/json":
            accept = (("Accept", "application/json"),)
            raise Refused(errors.UNSUPPORTED, detail="Send application/json.", headers=accept)
        try:
            return kind.model_validate(json.loads(asked.body()))
        except ValidationError as error:
            fields = {".".join(map(str, e["loc"])): e["type"] for e in error.errors()}
            raise Refused(errors.INVALID, fields=fields) from None
        except ValueError:
            raise Refused(errors.MALFORMED) from None

    def _said(self, data: Any, status: int = 200) -> Said:
        return Said(json.dumps(data).encode(), status)

    # Notes

    def listed(self, asked: Asked) -> Said:
        return self._said(self.notes.listed())

    def create(self, asked: Asked) -> Said:
        return self._said(self.notes.create(identity(), self._json(asked, Draft).text), 201)

    def change(self, asked: Asked) -> Said:
        return self._said(self.notes.change(identity(), asked.args["number"], self._json(asked, Draft).text))

    def delete(self, asked: Asked) -> Said:
        self.notes.delete(identity(), asked.args["number"])
        return self._said({})

    # Papers

    def papers(self, asked: Asked) -> Said:
        return self._said(self.notes.mine(identity(), asked.query))

    def write(self, asked: Asked) -> Said:
        return self._said(self.notes.write(identity(), self._json(asked, Draft).text), 201)

    def read(self, asked: Asked) -> Said:
        return self._said(self.notes.read(identity(), asked.args["number"]))

    def rewrite(self, asked: Asked) -> Said:
        return self._said(self.notes.rewrite(identity(), asked.args["number"], self._json(asked, Draft).text))

    def discard(self, asked: Asked) -> Said:
        self.notes.discard(identity(), [asked.args["number"]])
        return self._said({})

    def discard_many(self, asked: Asked) -> Said:
        self.notes.discard(identity(), self._json(asked, Choice).ids)
        return self._said({})

    def by_key(self, asked: Asked) -> Said:
        return self._said(self.notes.by_key(identity(), asked.args["key"]))

    def export(self, asked: Asked) -> Said:
        rows = self.notes.export(identity())
        with self.site.export("papers", ["id", "text"], rows, format=asked.one("format") or "csv") as made:
            headers = dict(made.headers)
            return Said(b"".join(made), kind=headers.pop("Content-Type"), headers=headers)

    # Pages

    def report(self, asked: Asked) -> Said:
        return self._said({"notes": len(self.notes.by_id)})

    def page(self, asked: Asked) -> Said:
        exchange = current()
        assert exchange is not None
        text = (
            f"<!doctype html><title>{escape(asked.one('q'))}</title>"
            f"<script nonce='{headers.nonce(exchange)}'>1</script>"
            f"<form method=post action=/form>{rendering.field(self.site.house, exchange)}"
            "<input name=text></form>"
        )
        return Said(text.encode(), kind="text/html; charset=utf-8")

    def form(self, asked: Asked) -> Said:
        given = asked.form()
        if "text" not in given:
            raise Refused(errors.INVALID, fields={"text": "needed"})
        return self._said(self.notes.create(identity(), given["text"]))

    def home(self, asked: Asked) -> Said:
        return Said(b"notes", kind="text/plain; charset=utf-8")

    def go(self, asked: Asked) -> Said:
        to = model.destination(asked.one("to"))
        return Said(b"", 303, "text/plain; charset=utf-8", {"Location": to})

    def download(self, asked: Asked) -> Said:
        named = {"Content-Disposition": model.disposition(asked.one("name"))}
        return Said(b"file", kind="application/octet-stream", headers=named)

    def greeting(self, asked: Asked) -> Said:
        chosen = model.language(asked.one("lang"))
        said = {"Content-Language": chosen}
        return Said(b"hello", kind="text/plain; charset=utf-8", headers=said, cookie=chosen)

    def broken(self, asked: Asked) -> Said:
        raise RuntimeError("SELECT secret FROM users -- canary-7f3a")


ROUTES: tuple[tuple[str, dict[str, str]], ...] = (
    ("/", {"GET": "home"}),
    ("/api/notes", {"GET": "listed", "POST": "create"}),
    ("/api/open/notes", {"POST": "create"}),
    ("/api/notes/{number}", {"PUT": "change", "PATCH": "change", "DELETE": "delete"}),
    ("/api/papers", {"GET": "papers", "POST": "write"}),
    ("/api/papers/discard", {"POST": "discard_many"}),
    ("/api/papers/export", {"GET": "export"}),
    ("/api/papers/key/{key}", {"GET": "by_key"}),
    ("/api/papers/{number}", {"GET": "read", "PUT": "rewrite", "PATCH": "rewrite", "DELETE": "discard"}),
    ("/report", {"GET": "report"}),
    ("/page", {"GET": "page"}),
    ("/form", {"POST": "form"}),
    ("/go", {"GET": "go"}),
    ("/download", {"GET": "download"}),
    ("/greeting", {"GET": "greeting"}),
    ("/broken", {"GET": "broken"}),
)
"""The paths, each with its view's name by method: what every one of the frameworks is told."""
