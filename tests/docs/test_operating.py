"""docs/operating.md: what it says of rotation, of a database that is gone, and of mail."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bylaw.controls import csrf, secrets
from bylaw.exchange import Exchange, PairHeaders
from bylaw.site import Site
from bylaw.testing import Bench, Laboratory
from tests.docs import pages

PAGE = pages.ROOT / "docs/operating.md"
ROTATION = next(b.text for b in pages.blocks(PAGE) if b.language == "toml" and "previous" in b.text)


def site(folder: Path, **environ: str) -> Site:
    """A process with the page's policy and these secrets."""
    (folder / "bylaw.toml").write_text(ROTATION)
    return Site(
        folder / "bylaw.toml",
        environ={
            "BASE_URL": "https://shop.acme.eu",
            "DATABASE_URL": f"sqlite:///{folder}/shop.db",
            **environ,
        },
    )


def token_of(one: Site) -> tuple[str, str]:
    """A token for a form, and the visitor's cookie that it is bound to."""
    exchange = Exchange(method="GET", path="/", headers=PairHeaders([]))
    made = csrf.token(one.house, exchange)
    assert exchange.cookie_changes is not None
    return made, exchange.cookie_changes[0].partition(";")[0]


def accepts(one: Site, token: str, cookie: str) -> bool:
    exchange = Exchange(method="POST", path="/", headers=PairHeaders([("cookie", cookie)]))
    return csrf._right(one.house, exchange, token)


@pytest.mark.requirement("C-21", "S1-140")
def test_a_new_secret_ends_nothing_until_the_old_one_is_taken_out(tmp_path: Path) -> None:
    """An open form works before, while and as long as the previous secret is accepted, in both directions."""
    old, new = secrets.new(), secrets.new()
    before, during = site(tmp_path, SECRET_KEY=old), site(tmp_path, SECRET_KEY=new, OLD_SECRET_KEY=old)
    beside = site(tmp_path, SECRET_KEY=old, OLD_SECRET_KEY=new)
    after = site(tmp_path, SECRET_KEY=new)
    open_form = token_of(before)
    assert accepts(during, *open_form)
    assert accepts(beside, *token_of(during)), "restarted one after another, each accepts the other's"
    assert accepts(after, *token_of(during))
    assert not accepts(after, *open_form)
    for each in (before, during, beside, after):
        each.close()


def test_the_pages_policy_is_a_policy() -> None:
    """The rotation's lines are as they must be written."""
    assert tomllib.loads(ROTATION)["secrets"]["previous"] == ["env:OLD_SECRET_KEY?"]


@pytest.fixture
def without_database(benches: dict[str, Bench]) -> Laboratory:
    """The notes application, whose database has gone while it runs."""
    laboratory = benches["flask"].laboratory()
    laboratory.visitor().get("/")
    return laboratory


def test_what_is_public_is_answered_without_a_database(without_database: Laboratory) -> None:
    """A front page needs nobody's session; a session is checked or refused; a failure says nothing."""
    with without_database as laboratory:
        person, other = laboratory.client("user"), laboratory.person("user")
        laboratory.site.house.store.engine.dispose()
        Path(laboratory.database.removeprefix("sqlite:///")).unlink()
        assert laboratory.visitor().get("/").status == 200
        held = person.get("/api/notes")
        assert (held.status, held.code) == (503, "sessions.unavailable")
        assert held.header("retry-after")
        failed = laboratory.sign_in(other)
        assert (failed.status, failed.code) == (503, "errors.unavailable")
        assert "sqlite" not in failed.text
        assert "users" not in failed.text


def test_a_process_that_only_signs_people_up_sends_its_mail(benches: dict[str, Bench]) -> None:
    """No session was ever looked up: the chores are done all the same."""
    with benches["flask"].laboratory() as laboratory:
        assert laboratory.site.house.store.feed._pid == 0
        stranger = laboratory.visitor()
        stranger.send(
            "POST",
            laboratory.api("sign_up"),
            headers=stranger.from_here,
            json={"email": "ann@people.test", "name": "", "password": "another long passphrase"},
        )
        assert laboratory.site.house.store.feed._pid != 0
