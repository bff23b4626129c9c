"""The documentation runs: files are written, commands performed, requests sent, and it is as it says."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema_rs
import pytest
from django.conf import settings
from django.urls import clear_url_caches
from django.utils.functional import empty

from bylaw import order
from bylaw.controls import CONTROLS
from bylaw.schema import policy_schema
from bylaw.testing import Bench, Client, Laboratory, Reply, Target
from tests.cli.transcript import Exchange, matches
from tests.docs import pages
from tools import reference

Followed = tuple[Path, list[tuple[pages.Block, Exchange, Exchange]]]
SCHEMA = jsonschema_rs.validator_for(policy_schema())
DOCUMENTS = pages.documents()
WITH_COMMANDS = [page for page in DOCUMENTS if any(b.language == "console" for b in pages.blocks(page))]
WITH_REQUESTS = [page for page in DOCUMENTS if pages.rows(page)]


def name(page: Path) -> str:
    return page.relative_to(pages.ROOT).as_posix()


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Followed]:
    """A page, followed once from top to bottom: the folder that it leaves, and what was seen."""
    kept: dict[Path, Followed] = {}

    def follow(page: Path) -> Followed:
        if page not in kept:
            folder = tmp_path_factory.mktemp(page.stem)
            with _django_of_its_own():
                kept[page] = folder, list(pages.walk(page, folder))
        return kept[page]

    return follow


@pytest.mark.timeout(600)  # the README's page runs every probe there is
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_commands_print_what_the_page_shows(page: Path, followed: Callable[[Path], Followed]) -> None:
    """Typed one after another in an empty folder, every command says what a reader is told it says."""
    for block, said, seen in followed(page)[1]:
        if not matches(pages.shape(said.output), pages.shape(seen.output)):
            pytest.fail(f"{name(page)}:{block.line}\n{seen}\n--- but the page says\n{said}", pytrace=False)


@pytest.mark.parametrize("page", WITH_REQUESTS, ids=name)
def test_requests_are_answered_as_the_page_says(
    page: Path, followed: Callable[[Path], Followed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row of a page's table, sent to the page's application by the person it names."""
    folder, _ = followed(page)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    try:
        with _django_of_its_own():
            bench = Bench(Target.afresh("app"))
            with bench.laboratory() as laboratory:
                for row in pages.rows(page):
                    reply = _send(laboratory, row)
                    assert (row.status, True) == (reply.status, reply.text.startswith(row.begins)), row
            bench.close()
    finally:
        for file in folder.glob("*.py"):
            sys.modules.pop(file.stem, None)


@contextmanager
def _django_of_its_own() -> Iterator[None]:
    """Django has one configuration in a process: a page's must be neither another's, nor stay behind."""
    before = settings._wrapped
    settings._wrapped = empty
    clear_url_caches()
    try:
        yield
    finally:
        settings._wrapped = before
        clear_url_caches()


def _send(laboratory: Laboratory, row: pages.Row) -> Reply:
    who: Client = laboratory.visitor() if row.who == "anybody" else laboratory.client(row.who)
    if row.method == "GET":
        return who.get(row.path)
    return who.act(row.method, row.path, json={"what": "tea"})


@pytest.mark.parametrize("page", [p for p in DOCUMENTS if p.parent.name != "requirements"], ids=name)
def test_every_block_of_code_can_be_read(page: Path) -> None:
    """Python is Python, TOML is a policy, JSON is JSON: a typing mistake is not copied by anybody."""
    for block in pages.blocks(page):
        where = f"{name(page)}:{block.line}"
        if block.language == "python":
            ast.parse(block.text, filename=where)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml" and not block.name.startswith("wrong/"):
            tables = json.loads(json.dumps(tomllib.loads(block.text), default=str))
            assert [error.message for error in SCHEMA.iter_errors(tables)] == [], where
        else:
            assert block.language, f"{where}: a block says what it is"


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A file that is there, and a heading in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", pages.prose(page)):
        link = target[0] or target[1]
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name(page)} → {link}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{name(page)} → {link}"


def anchors(file: Path) -> set[str]:
    """The headings of a page as GitHub links them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"`", "", h).lower()).replace(" ", "-") for h in headings}


def test_every_page_is_in_the_table_of_contents() -> None:
    """From docs/README.md a reader reaches every page."""
    contents = (pages.ROOT / "docs/README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)", contents)
    linked = {(pages.ROOT / "docs" / link).resolve() for link in links}
    for page in DOCUMENTS[1:]:
        folder = page.parent
        assert page in linked or folder in linked or page.name == "README.md", name(page)


def test_the_readme_names_the_controls_that_there_are() -> None:
    """Not one that is planned, and none forgotten."""
    text = pages.prose(pages.ROOT / "README.md")
    named = re.search(r"controls?: ([a-z, \n_-]+)\.", text)
    assert named is not None
    names = {name.strip().replace("-", "").replace(" ", "_") for name in named[1].split(",")}
    assert names == {control.name for control in CONTROLS}


def test_the_reference_is_what_the_program_says() -> None:
    """Sections, keys, commands and the schema are read off the program."""
    assert reference.stale() == [], "run: python -m tools.reference"


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_a_page_is_plain(page: Path) -> None:
    """No machine's path, no promise about the future, one heading at the top."""
    text = pages.prose(page)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert not re.search(r"\b(coming soon|TODO|TBD|lorem ipsum)\b", text, re.IGNORECASE)


def test_the_architecture_names_every_room() -> None:
    """The floors of the page are those that the import contract keeps."""
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text("utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = set(re.findall(r"\((\w+)\)", " ".join(layers))) - {"registry"}
    table = pages.prose(pages.ROOT / "docs/architecture.md").partition("## The way")[0]
    second = re.findall(r"^\| [^|]+ \| ([^|]+) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", "".join(second))) == rooms


def test_the_way_of_a_request_names_every_control_in_the_order() -> None:
    """Whatever has a say in a request is on the page."""
    way = pages.prose(pages.ROOT / "docs/architecture.md").partition("## The way")[2].partition("\n## ")[0]
    assert {f"`{name}`" for _, name, _ in (*order.ENTER, *order.DEPART)} <= set(re.findall(r"`\w+`", way))
