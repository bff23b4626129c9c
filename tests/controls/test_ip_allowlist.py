"""Address lists: a listed path is there for its networks alone, in every spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from bylaw.controls import errors, ip_allowlist
from bylaw.controls.ip_allowlist import CONTROL
from bylaw.exchange import ALLOW, Refuse, Verdict
from bylaw.site import Site
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import Builder, exchange

CREATE: dict[str, Any] = {"flask": flask_app.create_app, "fastapi": fastapi_app.create_app}
PLAIN = """
[app]
name = "Notes"
[roles]
admin = ["*"]
editor = ["note:*"]
[signup]
open = true
role = "editor"
"""
OTHERS = [
    "",
    '[ip_allowlist]\nstatus = 403\n[[ip_allowlist.paths]]\npath = "/auth/*"\nnetworks = ["10.0.0.0/8"]\n',
    """
[pages.aliases]
"/staff" = "/auth/users"
[[ip_allowlist.paths]]
path = "/staff"
networks = ["2001:db8::/32", "192.0.2.1"]
""",
]
OFFICE = """
[pages.aliases]
"/staff" = "/auth/users"
"/who" = "/auth/api_me"

[[ip_allowlist.paths]]
path = "/auth/users/*"
networks = ["192.0.2.0/24", "2001:db8:77::/48"]

[[ip_allowlist.paths]]
path = "/Admin"
networks = ["192.0.2.0/24"]

[[ip_allowlist.paths]]
path = "/admin/*"
networks = ["192.0.2.0/25", "10.0.0.0/8"]
"""

TRICKS = ["/", "//", "/./", "/x/../", "/%2e/", "\\", "%2f", "/;a/", "/ "]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("ip_allowlist"))


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The control's step of a whole site, which knows its own pages."""
    return _step(tmp_path_factory.mktemp("site"), OFFICE)


def _step(folder: Path, text: str, **environ: str) -> Any:
    builder = Builder(folder)
    builder.policy(text, **environ)
    database = f"sqlite:///{folder / 'house.db'}"
    site = Site(
        folder / "bylaw.toml",
        environ={
            "BASE_URL": "https://app.lab",
            "SECRET_KEY": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "DATABASE_URL": database,
            **environ,
        },
    )
    return CONTROL.steps["arrive"](site.house)


def verdict(step: Any, path: str, peer: str) -> Verdict:
    found = step(exchange("GET", path, peer=peer))
    assert isinstance(found, Verdict)
    return found


# Paths


@pytest.mark.requirement("S3-085")
@pytest.mark.parametrize(
    ("listed", "path", "covered"),
    [
        ("/admin", "/admin", True),
        ("/admin", "/ADMIN/", True),
        ("/admin", "/admin/x", False),
        ("/admin", "/administrator", False),
        ("/admin", "/x/admin", False),
        ("/admin/*", "/admin", True),
        ("/admin/*", "/admin/x/y", True),
        ("/admin/*", "/administrator", False),
        ("/admin/*", "//admin//x", True),
        ("/admin/*", "/./admin", True),
        ("/admin/*", "/x/../admin/y", True),
        ("/admin/*", "/admin/../public", True),
        ("/admin/*", "/public/../../../admin", True),
        ("/admin/*", "/%61dmin", True),
        ("/admin/*", "/%2561dmin", True),
        ("/admin/*", "/%2525252561dmin", False),
        ("/admin/*", "/x%2f..%2fadmin", True),
        ("/admin/*", "\\admin\\x", True),
        ("/admin/*", "/admin;a=b/x", True),
        ("/admin/*", "/;a/admin", True),
        ("/admin/*", "/admin\x00.css", True),
        ("/admin/*", "/admin%00.css", True),
        ("/admin/*", "/adm\u200bin", True),
        ("/admin/*", "/ admin ", True),
        ("/admin/*", "/\uff41dmin", True),
        ("/admin/*", "/admin.css", False),
        ("/*", "/", True),
        ("/*", "/x", True),
        ("/", "/", True),
        ("/", "//", True),
        ("/", "/x", False),
    ],
)
def test_what_an_entry_covers(listed: str, path: str, covered: bool) -> None:
    """A path is listed where anything on the way might read it as one that is."""
    assert ip_allowlist.covers(listed, path) is covered


@examples(
    st.lists(
        st.sampled_from(["/", "//", "/./", "/x/../", "/%2e/", "\\", "%2f", "/;a/", "/ "]),
        min_size=2,
        max_size=2,
    ),
    st.sampled_from(["admin", "ADMIN", "%61dmin", "adm%69n", "admin;x", "admin%00", "admin\t"]),
)
def test_no_combination_of_tricks_gets_by(around: list[str], name: str) -> None:
    """Slashes, dots, parameters, capitals and escapes in any combination are the same path."""
    path = f"/{around[0]}{name}{around[1]}"
    assert ip_allowlist.covers("/admin/*", path)


@examples(st.text(max_size=80))
def test_no_path_breaks_it(path: str) -> None:
    """Whatever somebody asks for, it is listed or not; never an error."""
    for text in ip_allowlist.spellings(path):
        assert text.startswith("/")


# Requests


@pytest.mark.requirement("S3-085")
@pytest.mark.parametrize(
    ("path", "peer", "passes"),
    [
        ("/", "203.0.113.9", True),
        ("/auth/login", "203.0.113.9", True),
        ("/auth/users", "192.0.2.7", True),
        ("/auth/users/x", "2001:db8:77::1", True),
        ("/auth/users/x", "203.0.113.9", False),
        ("/auth/api_users", "203.0.113.9", False),
        ("/auth/api_users/x", "203.0.113.9", False),
        ("/auth/API_users//x", "203.0.113.9", False),
        ("/staff", "203.0.113.9", False),
        ("/STAFF;x", "203.0.113.9", False),
        ("/staff", "192.0.2.7", True),
        ("/who", "203.0.113.9", True),
        ("/admin", "192.0.2.7", True),
        ("/admin", "192.0.2.200", False),
        ("/admin", "10.0.0.1", False),
        ("/admin/x", "10.0.0.1", True),
        ("/admin", "", False),
    ],
)
def test_who_may_come(step: Any, path: str, peer: str, passes: bool) -> None:
    """An entry's networks, its own page's twins and aliases; all entries that cover a path must agree."""
    for _ in range(2):  # the second time from memory
        found = verdict(step, path, peer)
        assert (found is ALLOW) is passes
        if isinstance(found, Refuse):
            assert (found.reason, found.detail, found.status) == (errors.NOT_FOUND, "", None)


@pytest.mark.requirement("S3-085")
def test_the_status_is_the_policys(tmp_path: Path) -> None:
    """With 403 the visitor is told that it is the network."""
    step = _step(tmp_path, "[ip_allowlist]\nstatus = 403\n" + OFFICE)
    found = verdict(step, "/admin", "203.0.113.9")
    assert isinstance(found, Refuse)
    assert found.reason is ip_allowlist.OUTSIDE


def test_memory_is_not_a_strangers_to_fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many paths somebody makes up, only so many are remembered, and all are decided rightly."""
    monkeypatch.setattr(ip_allowlist, "REMEMBERED", 10)
    step = _step(tmp_path, OFFICE)
    for number in range(50):
        assert verdict(step, f"/x{number}", "203.0.113.9") is ALLOW
        assert verdict(step, f"/admin/{number}", "203.0.113.9") is not ALLOW


def test_a_refusal_is_counted_and_leaves_no_record(flask_laboratory: Laboratory) -> None:
    """A flood from elsewhere must not fill the audit log: nobody knows yet who asks."""
    admin = flask_laboratory.administrator()
    admin.peer = "100.64.9.9"
    before = len(flask_laboratory.audit())
    with flask_laboratory.fenced():
        for _ in range(5):
            assert admin.get(flask_laboratory.api("users")).status == 404
    assert flask_laboratory.site.house.counts[ip_allowlist.OUTSIDE.code] == 5
    assert len(flask_laboratory.audit()) == before


# The policy


@pytest.mark.requirement("S3-085")
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('path = "/x"\nnetworks = []', "too short"),
        ('path = "/x"\nnetworks = ["env:OFFICE_NETWORK?"]', "too short"),
        ('path = "/x"\nnetworks = ["env:OFFICE_NETWORK"]', "OFFICE_NETWORK"),
        ('path = "/x"\nnetworks = ["office"]', "is no network"),
        ('path = "/x"\nnetworks = ["10.0.0.1/8"]', "bits set after its prefix"),
        ('path = "x"\nnetworks = ["10.0.0.0/8"]', "not of this form"),
        ('path = "/x?y"\nnetworks = ["10.0.0.0/8"]', "not of this form"),
        ('path = "/x*"\nnetworks = ["10.0.0.0/8"]', "covers nothing"),
        ('path = "/x/*/y"\nnetworks = ["10.0.0.0/8"]', "covers nothing"),
        ('path = "//x"\nnetworks = ["10.0.0.0/8"]', "is not how the path is spelt"),
        ('path = "/x/../y"\nnetworks = ["10.0.0.0/8"]', "is not how the path is spelt"),
        ('path = "/%78"\nnetworks = ["10.0.0.0/8"]', "is not how the path is spelt"),
    ],
)
def test_an_entry_that_does_not_start(build: Builder, entry: str, said: str) -> None:
    """An entry that lets nobody in or covers nothing is a mistake, and is named."""
    assert said in build.refusal(f"[[ip_allowlist.paths]]\n{entry}\n")


def test_a_variable_may_name_the_networks(tmp_path: Path) -> None:
    """The office's network is not written where everybody reads it."""
    text = '[[ip_allowlist.paths]]\npath = "/x/"\nnetworks = ["env:OFFICE_NETWORK"]\n'
    step = _step(tmp_path, text, OFFICE_NETWORK="192.0.2.0/24, 2001:db8::/32")
    assert verdict(step, "/x", "192.0.2.1") is ALLOW
    assert verdict(step, "/x", "2001:db8::1") is ALLOW
    assert verdict(step, "/x", "192.0.3.1") is not ALLOW
    said = " ".join(CONTROL.statement(Builder(tmp_path).policy(text, OFFICE_NETWORK="192.0.2.0/24")))
    assert "`/x/` is open only to `env:OFFICE_NETWORK`" in said
    assert "192.0.2" not in said


def test_the_statement_of_no_list(build: Builder) -> None:
    """SECURITY.md does not claim a list that is not there."""
    assert CONTROL.statement(build.policy()) == ["No path is kept to certain networks."]


def test_a_laboratorys_people_come_from_anywhere(tmp_path: Path) -> None:
    """The attacks on everything else are not ended by a list; those on the list itself are."""
    file = tmp_path / "bylaw.toml"
    file.write_text(PLAIN + OTHERS[1], "utf-8")
    with Laboratory(Target("listed", lambda: flask_app.create_app(file))) as laboratory:
        admin = laboratory.administrator()
        assert admin.get(laboratory.api("users")).status == 200
        with laboratory.fenced():
            assert admin.get(laboratory.api("users")).status == 403
        assert admin.get(laboratory.api("users")).status == 200


# Proof


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("framework", sorted(CREATE))
def test_the_promises_hold_on_another_policy(framework: str, text: str, tmp_path: Path) -> None:
    """The probes know what a policy says: they pass for one that says something else."""
    file = tmp_path / "bylaw.toml"
    file.write_text(PLAIN + text, "utf-8")
    with Laboratory(Target("notes", lambda: CREATE[framework](file))) as laboratory:
        results = [attempt(CONTROL, probe, laboratory) for probe in CONTROL.probes]
    assert [r.evidence for r in results if r.outcome != "pass"] == []
