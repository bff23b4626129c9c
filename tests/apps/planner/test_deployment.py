"""The container, its environment and its policy. There is no Docker where tests run: what can be read is
read."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from flask.cli import FlaskGroup
from sqlalchemy import inspect

from apps.planner import create_app, database, healthcheck
from apps.planner.models import Base
from bylaw import controls, policy, ports
from bylaw.controls import cookies, csrf, headers, rate_limits, secrets, sessions, tokens
from bylaw.errors import PolicyError
from bylaw.store import migrate
from bylaw.store.engine import connect
from bylaw.testing import Bench, Client, Laboratory, Target
from bylaw.verify.world import environment
from tests.apps.planner.conftest import facilitator, participant

ROOT = Path(__file__).parents[3]
PLANNER = ROOT / "apps" / "planner"
GOOD = {
    "BASE_URL": "https://square-planner.hf.space",
    "DATABASE_URL": "sqlite:////data/app.db",
    "FLASK_SECRET_KEY": secrets.new(),
}


def load(**environ: str) -> policy.Policy:
    return policy.load(PLANNER / "bylaw.toml", controls.CONTROLS, {**GOOD, **environ})


# The image


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, in order, each on one line."""
    text = (PLANNER / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in lines]


@pytest.mark.requirement("S2-019")
def test_the_container_runs_as_nobody_special() -> None:
    """The last stage has a numeric user that is not root, and nothing after it is root's again."""
    found = instructions()
    last = max(at for at, (name, _) in enumerate(found) if name == "FROM")
    users = [value for name, value in found[last:] if name == "USER"]
    assert users == ["1000"]
    after = [name for name, _ in found[[n for n, _ in found].index("USER") :]]
    assert not {"RUN", "COPY", "ADD"} & set(after)
    assert "--chown" not in dict(found[last:])["COPY"]  # its own program it cannot change


@pytest.mark.requirement("S2-012", "S2-017", "S2-054")
def test_the_image_holds_no_secret_and_no_data() -> None:
    """No variable with a secret, no build argument, no .env, no database, and only what the planner needs is
    copied."""
    found = instructions()
    assert "ARG" not in {name for name, _ in found}
    assert "ADD" not in {name for name, _ in found}
    environment = " ".join(value for name, value in found if name == "ENV")
    assert not re.search(r"SECRET|TOKEN|PASSWORD|KEY=", environment)
    assert "BYLAW_ENV=production" in environment
    copied = {part for name, value in found if name == "COPY" for part in value.split()[:-1]}
    assert copied == {
        "requirements/runtime.txt", "apps/planner/requirements.txt", "apps/planner/requirements-build.txt",
        "pyproject.toml", "README.md", "LICENSE", "src", "--from=build", "/opt/planner", "apps/planner",
    }  # fmt: skip
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert {"**/.env", "**/*.db", ".git", "var"} <= set(ignored)


def test_the_image_is_named_and_checked() -> None:
    """A base image by name and version, from no particular registry; pins with hashes; port, volume, health
    check."""
    found = instructions()
    bases = [value.split()[0] for name, value in found if name == "FROM"]
    assert set(bases) == {"python:3.11-slim"}
    installs = [value for name, value in found if name == "RUN" and "pip install" in value]
    for line in installs:
        for part in re.findall(r"pip install [^&]+", line):
            assert "--require-hashes" in part or "--no-deps" in part
    by_name = dict(found)
    assert (by_name["VOLUME"], by_name["EXPOSE"]) == ("/data", "7860")
    assert "apps.planner.healthcheck" in by_name["HEALTHCHECK"]
    assert "app_port: 7860" in (PLANNER / "README.md").read_text("utf-8")
    assert "sdk: docker" in (PLANNER / "README.md").read_text("utf-8")


def test_what_the_image_installs_is_what_was_tested() -> None:
    """The planner's own pins are those of the tests, line by line."""
    tested = set((ROOT / "requirements/dev.txt").read_text("utf-8").splitlines())
    for name in ("requirements.txt", "requirements-build.txt"):
        lines = (PLANNER / name).read_text("utf-8").splitlines()
        assert set(lines[1:]) <= tested, name
        assert "pygal" in "".join(lines) or "hatchling" in "".join(lines)


def test_the_containers_script_is_one_that_a_shell_reads(tmp_path: Path) -> None:
    """It stops at the first error, says the Space's own name, and runs one process."""
    script = PLANNER / "entrypoint.sh"
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
    text = script.read_text("utf-8")
    assert "set -eu" in text
    assert "--workers 1" in text
    for name in ("bylaw", "flask"):  # stands in for what the image has
        fake = tmp_path / name
        fake.write_text('#!/bin/sh\necho "${0##*/} $BASE_URL $*"\n')
        fake.chmod(stat.S_IRWXU)
    ran = subprocess.run(
        ["sh", str(script)],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SPACE_HOST": "square-planner.hf.space"},
        capture_output=True,
        text=True,
        check=True,
    )
    served = "bylaw https://square-planner.hf.space run apps.planner --host 0.0.0.0 --port 7860 --workers 1"
    assert ran.stdout.splitlines()[-1] == served
    assert "db upgrade" in ran.stderr


def test_the_health_check_tells_an_answer_from_none(lab: Laboratory) -> None:
    """It is content where the planner answers, and not where nobody does."""
    with lab.live() as server:
        assert healthcheck.answers(server.port, "app.lab")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    assert not healthcheck.answers(port, "app.lab")


# The environment


@pytest.mark.requirement("S2-036", "S2-041", "S2-013")
def test_what_a_space_sets_is_enough_to_start() -> None:
    """FLASK_SECRET_KEY, ADMIN_TOKEN and FLASK_ENV=production, as the published policy has them, and the
    address."""
    found = load(ADMIN_TOKEN=secrets.new()[:43], FLASK_ENV="production")
    assert found.production
    assert tokens.used(found)
    with pytest.raises(PolicyError, match="FLASK_SECRET_KEY"):
        load(FLASK_SECRET_KEY="")


@pytest.mark.requirement("S2-036", "C-33")
def test_flask_env_opens_nothing() -> None:
    """FLASK_ENV=development is production all the same, and FLASK_DEBUG=1 beside FLASK_ENV=production
    refuses."""
    assert load(FLASK_ENV="development").production
    with pytest.raises(PolicyError, match="FLASK_DEBUG"):
        load(FLASK_ENV="production", FLASK_DEBUG="1")


@pytest.mark.requirement("S2-055", "S2-037", "S2-079")
@pytest.mark.parametrize(
    "name", sorted(set(dotenv_values(PLANNER / ".env.example")) - {"BYLAW_ENV", "FLASK_ENV"})
)
def test_no_placeholder_of_the_example_starts_in_production(name: str) -> None:
    """Whoever copies the example and forgets one of its values is refused by that variable's name."""
    value = str(dotenv_values(PLANNER / ".env.example")[name])
    with pytest.raises(PolicyError) as found:
        load(**{name: value})
    assert name in str(found.value) or value.partition("//")[2] in str(found.value)


@pytest.mark.requirement("S2-037", "S2-079")
@pytest.mark.parametrize(
    "value", ["ADMIN123", "admin", "changeme", "your_admin_token_here", "ADMIN123" * 4, "a" * 43]
)
def test_a_known_administrators_token_refuses_to_start(value: str) -> None:
    """The literal that was once in the source, and its like."""
    with pytest.raises(PolicyError, match="ADMIN_TOKEN"):
        load(ADMIN_TOKEN=value)


@pytest.mark.requirement("S2-055")
def test_the_example_lists_every_variable_of_the_policy() -> None:
    """Nothing has to be guessed."""
    listed = set(dotenv_values(PLANNER / ".env.example"))
    assert set(re.findall(r"\benv:(\w+)", (PLANNER / "bylaw.toml").read_text("utf-8"))) <= listed
    assert {"FLASK_SECRET_KEY", "FLASK_ENV", "ADMIN_TOKEN"} <= listed


# The policy


@pytest.mark.requirement(
    "S2-006", "S2-007", "S2-010", "S2-011", "S2-014", "S2-069", "S2-071", "S2-072", "S2-073", "C-09", "C-12"
)
def test_the_policy_has_the_published_values() -> None:
    """Cookie, lifetime, limits, framing: each as S2 says it."""
    found = load()
    cookie = found.of(cookies.Settings)
    assert (cookie.same_site, cookie.partitioned) == ("None", True)
    assert found.of(sessions.Settings).absolute == 24 * 3600
    limits = found.of(rate_limits.Settings)
    assert limits.default == ("200/day", "50/hour")
    assert limits.routes["/auth/sign-in-token"] == ("10/minute",)
    assert limits.routes["/plannings/1/cards"] == limits.routes["/auth/tokens/new"] == ("5/hour",)
    assert limits.store.get_secret_value() == "memory"
    assert found.of(headers.Settings).frame_ancestors == ("https://huggingface.co",)
    assert found.of(csrf.Settings).trusted_origins == ()
    also = load(EMBEDDING_SITE="https://plan.acme.eu")
    assert also.of(headers.Settings).frame_ancestors == ("https://huggingface.co", "https://plan.acme.eu")
    assert found.of(tokens.Settings).lifetime == 90 * 86400
    assert not found.of(tokens.Settings).never


@pytest.mark.requirement("S2-069", "C-24")
def test_a_second_process_does_not_start(bench: Bench) -> None:
    """Counters in memory are right for one process: two workers are refused in production."""
    with bench.laboratory() as lab:
        refused = lab.refuses_to_start(WEB_CONCURRENCY="2")
        assert refused is not None
        assert "rate_limits.store" in str(refused)


# Behind the Space's proxy, and in its frame


@pytest.mark.requirement("S2-008", "S2-009", "S2-010", "S2-020")
def test_behind_the_spaces_proxy_the_phones_own_address_counts(lab: Laboratory) -> None:
    """The proxy's word is taken for address and scheme; a stranger's is not, and plain http leads to
    https."""
    client = Client(
        lab.transport, lab.policy.app.origin, lab.url("sign_in_token"), "x", scheme="http", peer="10.16.4.2"
    )
    relayed = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]
    with lab.witnessing() as seen:
        client.get("/", headers=relayed)
    assert seen[-1].client == "203.0.113.9"
    assert client.get("/", headers=relayed[:1]).status in (301, 307, 308, 421, 400, 403)
    stranger = Client(lab.transport, lab.policy.app.origin, "/", "x", scheme="http", peer="198.51.100.9")
    assert stranger.get("/", headers=relayed).status in (301, 307, 308, 421, 400, 403)


@pytest.mark.requirement("S2-010", "S2-016", "C-09", "C-15")
@pytest.mark.parametrize("origin", ["https://huggingface.co", "https://elsewhere.example", "null"])
def test_no_form_of_another_site_contributes_with_the_cookie_that_comes_along(
    lab: Laboratory, origin: str
) -> None:
    """SameSite=None: the browser sends the session with it, the framing site's too. It is refused, token or
    not."""
    person = participant(lab)
    token = (person.token_header, person.token())
    for extra in ([], [token]):
        reply = person.send(
            "POST",
            "/plannings/1/contributions",
            form={"category": "1", "text": "planted"},
            headers=[("Origin", origin), ("Sec-Fetch-Site", "cross-site"), *extra],
        )
        assert (reply.status, reply.code) == (403, "csrf.cross_site")
    assert "planted" not in person.page("/plannings/1").text


@pytest.mark.requirement("S2-010", "C-09")
def test_only_the_embedding_site_may_frame_it(lab: Laboratory) -> None:
    """Every page says who may frame it, by Content-Security-Policy alone: the older header knows no list."""
    for path in ("/plannings/1", lab.url("sign_in_token"), "/static/pages.css", "/nothing"):
        reply = facilitator(lab).page(path)
        said = reply.all("content-security-policy")
        assert any("frame-ancestors https://huggingface.co" in one for one in said), path
        assert reply.header("X-Frame-Options") == ""


def test_old_tables_refuse_to_start_and_say_what_mends_it() -> None:
    """In production nobody's tables are changed unasked: the error names the command, which the container
    runs."""
    with pytest.raises(RuntimeError, match="flask --app apps.planner database upgrade"):
        Laboratory(Target("apps.planner", create_app))
    assert database.UPGRADE in (PLANNER / "entrypoint.sh").read_text("utf-8")


def test_the_command_makes_the_tables(tmp_path: Path) -> None:
    """`flask --app apps.planner database upgrade` starts where nothing else does, and leaves tables that are
    current."""
    url = f"sqlite:///{tmp_path}/app.db"
    engine = connect(url)
    migrate.upgrade(engine)
    assert not database.is_current(engine)
    variables = {**GOOD, "DATABASE_URL": url, "BYLAW_ENV": "production"}
    words = database.UPGRADE.split()[3:]
    with environment(variables), ports.using(environ=variables):
        FlaskGroup(create_app=create_app, load_dotenv=False).main(words, standalone_mode=False)
    assert database.is_current(engine)
    with engine.connect() as connection:
        names = set(inspect(connection).get_table_names())
    assert set(Base.metadata.tables) <= names
    engine.dispose()
