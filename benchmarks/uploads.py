"""What taking a file costs, beside a bare framework that saves what it is sent.

In process, without a network: every variant takes its turn in every round, and all of them write to one disk.
The bare application believes the sender, and copies. Behind bylaw the same bytes are metered while they come,
examined from their first to their last, hashed, looked into by a scanner where there is one, written once and
confirmed by the disk, and recorded. Real time has the disk and the scanner in it, and whatever else the
machine does; the processor's is this process's own.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import random
import shutil
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

from fastapi import FastAPI, UploadFile
from flask import Flask, request

from benchmarks import requests
from benchmarks.premises import ORIGIN, Visit, production
from benchmarks.requests import BROWSER, Sent
from benchmarks.spread import Spread
from bylaw import fastapi as for_fastapi
from bylaw import flask as for_flask
from bylaw.fastapi import Given, Identity, Permit, Takes
from bylaw.site import Site
from bylaw.store import migrate
from bylaw.store.engine import connect

SIZES: Final = (1, 10)
"""Megabytes of the file, less what a form and a document need around it."""
PIECE: Final = 64 * 1024
"""Bytes that a server hands over at once."""
BOUNDARY: Final = "----benchmark"
POLICY: Final = """
[app]
name = "Uploads"
[roles]
user = ["item:*"]
[rate_limits]
default = ["1000000000/day"]
signed_in = ["1000000000/day"]
[store]
database = "{database}"
[uploads]
kinds = ["pdf"]
storage = "{storage}"
[malware]
clamd = "{clamd}"
"""
Once = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One framework, one size, one way of taking the file."""

    name: str
    millis: Spread
    ratio: Spread
    """Of the bare application's time, round by round."""
    processor: Spread
    """Milliseconds of this process's own: neither the disk nor the scanner is in it, nor other programs."""
    processor_ratio: Spread


def measure(*, rounds: int = 20, sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """Both frameworks, each size, with and without a scanner (where there is ClamAV)."""
    with production(), TemporaryDirectory() as folder, ExitStack() as stack:
        directory = Path(folder)
        policies = {"bylaw": _policy(directory, "bylaw", "")}
        if url := stack.enter_context(_scanner()):
            policies["bylaw with a scanner"] = _policy(directory, "scanned", url)
        return asyncio.run(_measure(directory, policies, rounds, sizes))


def _policy(directory: Path, name: str, clamd: str) -> Path:
    database = f"sqlite:///{directory / name}.db"  # each its own: what one has taken, the other would look at
    engine = connect(database)
    migrate.upgrade(engine)
    engine.dispose()
    file = directory / f"{name}.toml"
    text = POLICY.format(database=database, storage=directory / name, clamd=clamd)
    file.write_text(text, "utf-8")
    return file


@contextmanager
def _scanner() -> Iterator[str]:
    """The address of the scanner that the tests start; nothing where there is none."""
    try:
        daemon: Any = importlib.import_module("tests.scanner").Daemon()
    except RuntimeError:
        yield ""
        return
    try:
        yield daemon.unix
    finally:
        daemon.close()


async def _measure(
    directory: Path, policies: dict[str, Path], rounds: int, sizes: tuple[int, ...]
) -> list[Row]:
    rows: list[Row] = []
    for framework in ("Flask", "FastAPI"):
        apps = {name: _guarded(framework, policy) for name, policy in policies.items()}
        try:
            for size in sizes:
                variants = await _variants(framework, apps, directory, _form(size))
                rows += _compared(f"{framework}, {size} MB", await _rounds(variants, rounds))
        finally:
            for _, site in apps.values():
                site.close()
    return rows


def _form(megabytes: int) -> bytes:
    """A form with a PDF of almost that size: a page, and a picture's worth of bytes that do not shrink."""
    making: Any = importlib.import_module("tests.content.making")
    content = random.Random(megabytes).randbytes(megabytes * 1024**2 - 4096)  # noqa: S311 - the same each run
    stream = b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream"
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="drawing.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    )
    whole: bytes = head.encode() + making.pdf(objects=[stream]) + f"\r\n--{BOUNDARY}--\r\n".encode()
    return whole


# The applications


def _bare_flask(directory: Path) -> Flask:
    app = Flask("bare")

    @app.post("/items")
    def create() -> Any:
        request.files["file"].save(directory / uuid.uuid4().hex)
        return {}, 201

    return app


def _bare_fastapi(directory: Path) -> FastAPI:
    app = FastAPI()

    @app.post("/items", status_code=201)
    def create(file: UploadFile) -> dict[str, str]:
        with (directory / uuid.uuid4().hex).open("wb") as kept:
            shutil.copyfileobj(file.file, kept)
        return {}

    return app


def _guarded(framework: str, policy: Path) -> tuple[Any, Site]:
    if framework == "Flask":
        flask = _guarded_flask(policy)
        return flask, flask.extensions["bylaw"].site
    fastapi = _guarded_fastapi(policy)
    return fastapi, fastapi.state.bylaw.site


def _guarded_flask(policy: Path) -> Flask:
    app = Flask("guarded")
    bylaw = for_flask.Bylaw(app, policy)

    @app.get("/items")
    @for_flask.permit("item:read")
    def read() -> Any:
        return {}

    @app.post("/items")
    @for_flask.permit("item:create")
    @for_flask.takes("file", kinds=("pdf",))
    def create() -> Any:
        for given in bylaw.files.given("file"):
            bylaw.files.take(given, by=for_flask.current_user, subject="item:7")
        return {}, 201

    bylaw.ready()
    return app


def _guarded_fastapi(policy: Path) -> FastAPI:
    app = FastAPI()
    bylaw = for_fastapi.Bylaw(app, policy)

    @app.get("/items")
    def read(who: Annotated[Identity, Permit("item:read")]) -> dict[str, str]:
        return {}

    @app.post("/items", status_code=201)
    def create(
        who: Annotated[Identity, Permit("item:create")],
        given: Annotated[list[Given], Takes("file", kinds=("pdf",))],
    ) -> dict[str, str]:
        for each in given:
            bylaw.files.take(each, by=who, subject="item:7")
        return {}

    bylaw.ready()
    return app


# Asking them


async def _variants(
    framework: str, apps: dict[str, tuple[Any, Site]], directory: Path, form: bytes
) -> dict[str, Once]:
    bare = _bare_flask(directory) if framework == "Flask" else _bare_fastapi(directory)
    variants = {"bare": _asking(framework, bare, _sent(form))}
    for name, (app, site) in apps.items():
        visit = Visit(site, f"{uuid.uuid4().hex}@people.test")
        await _asking(framework, app, requests.get(visit.cookie))()  # the process knows the session now
        carried = (("cookie", visit.cookie), ("x-csrf-token", visit.token()))
        variants[name] = _asking(framework, app, _sent(form, *carried))
    return variants


def _sent(form: bytes, *carried: tuple[str, str]) -> Sent:
    about = (
        ("origin", ORIGIN),
        ("content-type", f"multipart/form-data; boundary={BOUNDARY}"),
        ("content-length", str(len(form))),
    )
    return Sent("POST", 201, (*BROWSER, *about, *carried), form)


def _asking(framework: str, app: Any, sent: Sent) -> Once:
    if framework == "FastAPI":
        return requests.asgi(app, sent, piece=PIECE)
    once = requests.wsgi(app, sent)

    async def ask() -> None:
        once()

    return ask


async def _rounds(variants: dict[str, Once], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """The seconds that each variant took, and those of the processor, round by round."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for number in range(-2, rounds):  # two to get warm
        names = list(variants)
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            gc.collect()
            os.sync()  # what another one has left to be written is not this one's work
            began, used = time.perf_counter(), time.process_time()
            await variants[name]()
            if number >= 0:
                times[name].append((time.perf_counter() - began, time.process_time() - used))
    return times


def _compared(what: str, times: dict[str, list[tuple[float, float]]]) -> list[Row]:
    rows = []
    for name, own in times.items():
        pairs = list(zip(own, times["bare"], strict=True))
        rows.append(
            Row(
                f"{what}: {name}",
                Spread.of([real * 1e3 for real, _ in own]),
                Spread.of([one[0] / bare[0] for one, bare in pairs]),
                Spread.of([used * 1e3 for _, used in own]),
                Spread.of([one[1] / bare[1] for one, bare in pairs]),
            )
        )
    return rows
