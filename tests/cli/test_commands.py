"""The command line: what each command promises beyond the words of its transcript."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from bylaw import policy
from bylaw.cli import common, main
from bylaw.controls import CONTROLS, secrets
from bylaw.schema import policy_schema
from bylaw.verify import matrix, runner
from tests.cli import transcript
from tests.cli.transcript import SECRET

GOOD = "Tr4vel by night, sleep by day!"


def call(*words: str, given: str | None = None, **environ: str) -> Result:
    """A command; its exception is raised here unless it is an exit code."""
    result = CliRunner().invoke(main, list(words), input=given, env=environ, prog_name="bylaw")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


Words = tuple[str, ...]


def commands(group: click.Group = main, prefix: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    """Every command, with the words that call it."""
    for name, command in group.commands.items():
        yield (*prefix, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


COMMANDS = [pytest.param(words, command, id=" ".join(words)) for words, command in commands()]


# Help


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_every_command_explains_itself(words: tuple[str, ...], command: click.Command) -> None:
    """`--help` answers, says what the command is for, and every option what it does."""
    result = call(*words, "--help")
    assert result.exit_code == 0
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(words)} {parameter.opts[0]}"


@pytest.mark.parametrize("words", [(), ("db",), ("user",), ("role",), ("secrets",)])
def test_no_line_of_a_list_of_commands_is_cut_off(words: tuple[str, ...]) -> None:
    """A person finds the command in the list, in the width that a terminal has."""
    text = call(*words, "--help").output.partition("Commands:")[2]
    assert text
    assert "..." not in text


# check


def test_check_counts_what_is_below_the_standard(project: Path) -> None:
    """A weaker value passes with its source and reason shown; --strict fails on it."""
    with Path("bylaw.toml").open("a") as file:
        file.write(
            '[passwords]\nmin_length = 8\nbecause = "our [published] policy"\n'
            '[[csrf.exempt]]\npath = "/hook"\nreason = "a machine calls it"\nowner = "platform"\n'
            f"expires = {datetime.now(UTC).date()}\n"
            '[headers]\noff = true\nbecause = "the proxy sends its own"\n'
        )
    result = call("check")
    assert result.exit_code == 0
    assert "passwords.min_length" in result.output
    assert "our [published] policy" in result.output
    assert "headers is off: the proxy sends its own" in result.output
    line = next(line for line in result.output.splitlines() if line.startswith("/hook"))
    assert re.split(r"  +", line.rstrip()) == [
        "/hook",
        "csrf",
        f"{datetime.now(UTC).date()}, 0 days left",
        "a machine calls it",
        "JSON only, same origin enforced",
        "platform",
    ]
    assert call("check", "--strict").exit_code == 1
    below = json.loads(call("check", "--json").stdout)["below_standard"]
    assert [(b["section"], b["key"], b["because"]) for b in below] == [
        ("passwords", "min_length", "our [published] policy")
    ]


def test_check_finds_an_alias_of_nothing(project: Path) -> None:
    """What a start would stumble over later, check says as well."""
    with Path("bylaw.toml").open("a") as file:
        file.write('[pages.aliases]\n"/login" = "/auth/lgoin"\n"/auth/login" = "/auth/login"\n')
    result = call("check")
    assert result.exit_code == 1
    assert 'bylaw.toml:8  pages.aliases."/login" = "/auth/lgoin"' in result.output
    assert result.output.count("pages.aliases") == 2


@pytest.mark.parametrize("name", ["tests.applications.flask_app", "tests.applications.flask_app:create_app"])
def test_a_policy_is_found_by_its_applications_name(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module as it is imported; its policy lies beside it."""
    monkeypatch.setenv("JWT_SECRET_KEY", secrets.new())
    assert "Notes · production policy" in call("check", name).output


def test_check_lists_what_is_public(project: Path, app: str) -> None:
    """Named by its module, an application is started in a laboratory: its public routes and bylaw's own."""
    with Path("bylaw.toml").open("a") as file:
        file.write('[exemptions]\nowner = "the [platform] team"\n')
    shown = call("check", app).output
    assert re.search(r"GET /  +signing in  +the front page  .*the \[platform\] team", shown)
    assert "/auth/login" in shown
    rows = json.loads(call("check", app, "--json").stdout)["exemptions"]
    assert {
        "of": "public",
        "what": "GET /",
        "reason": "the front page",
        "owner": "the [platform] team",
        "expires": None,
        "instead": "no identity is asked for; every other control holds",
    } in rows
    assert not list(project.glob("*.db")), "the application's own database was not touched"


def test_check_says_why_routes_could_not_be_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module without an application, and one that fails, have a policy that can be kept all the same."""
    monkeypatch.setattr(sys, "path", [str(project), *sys.path])
    for name, text, said in (
        ("no_application", "", "no_application has none of create_app, make_app, app"),
        ("broken_application", "raise RuntimeError", "it does not start here (RuntimeError)"),
    ):
        Path(f"{name}.py").write_text(text)
        result = call("check", name)
        assert result.exit_code == 0
        assert f"What is public could not be read off the application: {said}" in result.output


def test_check_refuses_a_route_that_nobody_may_be_let_into(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start would refuse a route without a rule; so does check, where it may look at the routes."""
    monkeypatch.setattr(sys, "path", [str(project), *sys.path])
    Path("undeclared_application.py").write_text(
        "from flask import Flask\nfrom bylaw.flask import Bylaw\n\n"
        "def create_app():\n    app = Flask(__name__)\n    bylaw = Bylaw(app, 'bylaw.toml')\n"
        "    app.add_url_rule('/', view_func=lambda: 'x', endpoint='home')\n"
        "    bylaw.ready()\n    return app\n"
    )
    result = call("check", "undeclared_application")
    assert (result.exit_code, "home" in result.output) == (1, True)


# init


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_init_makes_a_policy_that_can_be_kept(tmp_path: Path, framework: str) -> None:
    """From an empty folder to a checked policy in two commands."""
    run = transcript.elsewhere(tmp_path, {"PYTHONPATH": os.pathsep.join(sys.path)})
    printed, code = run(f"bylaw init --name Shop --framework {framework}", {})
    assert code == 0
    assert f"from bylaw.{framework} import Bylaw" in printed
    checked, code = run("bylaw check", {"BYLAW_ENV": "development"})
    assert (code, checked.splitlines()[0]) == (
        0,
        # Without uploads there is nothing to scan and nothing to import.
        f"Shop · development policy · {len(CONTROLS) - 2} controls on, 2 off · it can be kept",
    )
    assert run("bylaw check", {})[1] == 1, "production asks for its own database and address"
    schema = json.loads((tmp_path / "bylaw.schema.json").read_text("utf-8"))
    assert set(tomllib.loads((tmp_path / "bylaw.toml").read_text("utf-8"))) <= set(schema["properties"])


@pytest.mark.requirement("C-22")
@pytest.mark.parametrize(
    ("preset", "named"),
    [
        ("basic", {"admin", "user"}),
        ("manager", {"admin", "manager", "user"}),
        ("editor", {"admin", "editor", "viewer"}),
    ],
)
def test_init_begins_with_the_roles_that_are_asked_for(tmp_path: Path, preset: str, named: set[str]) -> None:
    """The two sets of the source policies, and one that is smaller: each is a policy that can be kept."""
    run = transcript.elsewhere(tmp_path, {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert run(f"bylaw init --roles {preset}", {})[1] == 0
    assert run("bylaw check", {"BYLAW_ENV": "development"})[1] == 0
    grants = tomllib.loads((tmp_path / "bylaw.toml").read_text("utf-8"))["roles"]
    assert set(grants) == named
    assert grants["admin"] == ["*"]


@pytest.mark.requirement("S2-017", "S2-034", "S2-050", "S2-053", "S1-069")
def test_init_keeps_its_secret_from_others_and_from_git(tmp_path: Path) -> None:
    """A new key each time, readable by its owner alone, and ignored by git with the databases."""
    for name in ("one", "two"):
        assert call("init", str(tmp_path / name)).exit_code == 0
    files = [tmp_path / name / ".env" for name in ("one", "two")]
    assert files[0].read_text() != files[1].read_text()
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {".env", "*.db", "var/"} <= set((tmp_path / "one" / ".gitignore").read_text().splitlines())
    assert files[0].read_text().strip().partition("=")[2] not in call("init", str(tmp_path / "three")).output


def test_init_touches_nothing_that_is_there(tmp_path: Path) -> None:
    """Somebody's policy, secrets and list of ignored files stay as they are."""
    texts = {".env": "SECRET_KEY=mine\n", ".gitignore": "mine\n.env\n", "bylaw.schema.json": "{}\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert call("init", str(tmp_path)).exit_code == 0
    assert (tmp_path / ".env").read_text() == texts[".env"]
    assert (tmp_path / "bylaw.schema.json").read_text() == texts["bylaw.schema.json"]
    assert (tmp_path / ".gitignore").read_text().startswith("mine\n.env\n*.db\n")
    policy_text = (tmp_path / "bylaw.toml").read_text()
    again = call("init", str(tmp_path))
    assert again.exit_code == 1
    assert "is there already" in again.output
    assert (tmp_path / "bylaw.toml").read_text() == policy_text


@pytest.mark.parametrize(
    "name", ['a "quoted" name', "back\\slash", "two\nlines", "ünïcode", "x" * 200, "\t", "[a]"]
)
def test_init_writes_any_name_as_toml(tmp_path: Path, name: str) -> None:
    """A folder may be called anything; the policy is one all the same."""
    assert call("init", str(tmp_path), "--name", name).exit_code == 0
    read = policy.load(tmp_path / "bylaw.toml", CONTROLS, {"BYLAW_ENV": "development", "SECRET_KEY": SECRET})
    assert read.app.name


def test_the_schema_is_printed_for_editors() -> None:
    """One JSON value on standard output: it may be written into a file as it is."""
    assert json.loads(call("schema").stdout) == json.loads(json.dumps(policy_schema()))


# Accounts and the database


def test_an_account_is_made_with_a_password_that_nobody_sees(project: Path) -> None:
    """Asked for twice, not echoed; two that differ are asked for again."""
    call("db", "upgrade")
    given = f"{GOOD}\nother\n{GOOD}\n{GOOD}\n"
    result = call("user", "add", "ann@acme.eu", "--role", "user", given=given)
    assert result.exit_code == 0
    assert GOOD not in result.output
    # Two people know it: the first sign-in asks for another. Its owner typed it himself: it stays.
    assert "ann@acme.eu  user  new password asked for" in result.stdout
    own = call("user", "add", "ben@acme.eu", "--role", "user", "--own", given=given)
    assert GOOD not in own.output
    assert "ben@acme.eu  user  enabled" in own.stdout
    assert "Password" in result.stderr
    assert "Password" not in result.stdout


def test_accounts_are_listed_beyond_one_page(project: Path) -> None:
    """Sixty accounts are sixty lines, not the first page of them."""
    call("db", "upgrade")
    with common.house_of(None) as house, house.store.transaction() as connection:
        from bylaw.store import users

        for number in range(60):
            users.add(
                connection,
                {
                    "id": f"{number:02}",
                    "email": f"p{number:02}@acme.eu",
                    "name": "[x]",
                    "password_hash": None,
                    "epoch": 1,
                    "created_at": 1.0,
                },
            )
    listed = [json.loads(line) for line in call("user", "list", "--json").stdout.splitlines()]
    assert [each["email"] for each in listed] == [f"p{number:02}@acme.eu" for number in range(60)]
    found = call("user", "list", "--search", "p07").stdout.splitlines()
    assert found == ["p07@acme.eu  no role  invited  [x]", "1 account"]


def test_two_upgrades_at_once_make_one_database(project: Path) -> None:
    """Two servers that are deployed together both run the command; neither fails."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project), *sys.path])}
    program = [sys.executable, "-c", "from bylaw.cli import main; main(['db', 'upgrade'])"]
    both = [subprocess.Popen(program, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].rpartition(" → ")[2] for process in both] == ["0005\n"] * 2
    assert [process.returncode for process in both] == [0, 0]


@pytest.mark.requirement("S1-061", "S1-063")
def test_a_database_that_does_not_answer_is_named_without_its_password(project: Path) -> None:
    """Nothing listens there: a sentence, an exit code, and no address with its password."""
    url = "postgresql+psycopg://app:Tr0ub4dor-and-three-more@127.0.0.1:1/app"
    for words in (("db", "current"), ("db", "upgrade"), ("user", "list")):
        result = call(*words, DATABASE_URL=url)
        assert result.exit_code == 1
        assert result.output.startswith("bylaw: the database did not do its part: connection")
        assert "Tr0ub4dor" not in result.output


# verify, matrix, document


@pytest.mark.parametrize("name", ["tests.applications.flask_app", "tests.applications.fastapi_app"])
def test_verify_says_what_it_saw(name: str) -> None:
    """A control's probes and a summary for people; the same as JSON and JUnit for programs."""
    result = call("verify", name, "--only", "cookies")
    assert result.exit_code == 0, result.output
    first, line, *_, last = result.stdout.splitlines()
    assert first.startswith("Notes · production policy · laboratory on sqlite · ")
    assert line.startswith("cookies ")
    assert "pass" in line
    assert " 0 FAIL · 0 not examined" in last
    assert result.stderr == ""


def test_verify_writes_for_programs(project: Path) -> None:
    """Standard output is one JSON value and nothing else; the JUnit file counts the same probes."""
    name = "tests.applications.flask_app"
    result = call("verify", name, "--only", "errors", "--only", "cookies", "--json", "--junit", "out.xml")
    seen = json.loads(result.stdout)
    assert seen["counts"]["pass"] == len(seen["results"]) > 0
    assert {each["control"] for each in seen["results"]} <= {"errors", "cookies"}
    assert f'tests="{len(seen["results"])}" failures="0"' in Path("out.xml").read_text()


def test_verify_fails_when_a_promise_is_broken() -> None:
    """A control with a planted defect: exit code 1, the probe, what it saw, and where to read on."""
    broken = next(control for control in CONTROLS if control.name == "cookies").sabotages[0]
    with runner.broken(broken):
        result = call("verify", "tests.applications.flask_app", "--only", "cookies")
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    assert "docs/controls/cookies.md" in result.stdout


def test_verify_tries_every_sabotage() -> None:
    """Each planted defect is named with the probe that noticed it."""
    sabotages = next(control for control in CONTROLS if control.name == "cookies").sabotages
    result = call("verify", "tests.applications.flask_app", "--only", "cookies", "--sabotage")
    assert result.exit_code == 0, result.output
    assert f"sabotage     {len(sabotages)} of {len(sabotages)} caught" in result.stdout
    for each in sabotages:
        assert each.name in result.stdout


def test_an_unnoticed_sabotage_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that cannot fail proves nothing: exit code 1."""
    harmless = runner.Caught("cookies", "harmless", "Changes nothing.", None)
    monkeypatch.setattr(runner, "_try", lambda *_: harmless)
    result = call("verify", "tests.applications.flask_app", "--only", "cookies", "--sabotage", "--jobs", "1")
    assert result.exit_code == 1
    assert "UNNOTICED" in result.stdout


def test_a_control_that_does_not_exist_is_not_verified() -> None:
    """A misspelt name is a mistake of the call, never a proof."""
    result = call("verify", "tests.applications.flask_app", "--only", "cookie")
    assert result.exit_code == 2
    assert "'cookie' is not one of" in result.output


@pytest.mark.requirement("S1-028")
@pytest.mark.parametrize("name", ["tests.applications.flask_app", "tests.applications.fastapi_app"])
def test_the_matrix_is_measured(name: str) -> None:
    """Every route as every role and as nobody, for people and for programs."""
    result = call("matrix", name)
    assert result.exit_code == 0, result.output
    assert "(nobody)" in result.stdout
    cells = json.loads(call("matrix", name, "--json").stdout)
    assert cells["expected"] == len(cells["cells"])
    assert all(cell["as_declared"] for cell in cells["cells"] if cell["seen"] != "not_examined")


def test_a_hole_in_the_matrix_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A route that lets in whom its rule does not: marked, and exit code 1."""
    real = matrix._ask

    def strict(*args: Any) -> matrix.Cell:
        cell = real(*args)
        return matrix.Cell(cell.method, cell.path, cell.rule, cell.role, "refused", cell.seen, cell.status)

    monkeypatch.setattr(matrix, "_ask", strict)
    result = call("matrix", "tests.applications.flask_app")
    assert result.exit_code == 1
    assert "yes !" in result.stdout


def test_evidence_is_kept_and_cited(app: str) -> None:
    """verify --write leaves evidence beside the policy; the document cites it, and notices drift."""
    result = call("verify", app, "--only", "cookies", "--write")
    assert result.exit_code == 0, result.output
    assert json.loads(Path("evidence.json").read_text())["controls"]["cookies"]["passed"] > 0
    assert call("document", app).exit_code == 0
    assert "seen to fail against" in Path("SECURITY.md").read_text("utf-8")
    assert call("document", app, "--check").exit_code == 0
    Path("SECURITY.md").write_text(Path("SECURITY.md").read_text("utf-8") + "We are unbreakable.\n", "utf-8")
    drift = call("document", app, "--check")
    assert drift.exit_code == 1
    assert "-We are unbreakable." in drift.output
    with Path("bylaw.toml").open("a") as file:
        file.write("[passwords]\nmin_length = 16\n")
    other = call("document", app)
    assert other.exit_code == 1
    assert "evidence of another policy" in other.output


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"controls": 1}', '{"controls": {"csrf": {}}}'])
def test_what_is_no_evidence_is_not_cited(project: Path, text: str) -> None:
    """A damaged file is named; the document is not printed from it."""
    Path("evidence.json").write_text(text)
    result = call("document")
    assert result.exit_code == 1
    assert "evidence.json is no evidence; run: bylaw verify --write" in result.output
    assert not Path("SECURITY.md").exists()


@pytest.mark.requirement("S1-061")
def test_a_document_needs_no_variable_of_this_machine(project: Path) -> None:
    """A policy that names further variables is printed all the same, and alike, on every machine."""
    with Path("bylaw.toml").open("a") as file:
        file.write(
            '[mail]\nserver = "env:SMTP_URL"\n[secrets]\nprevious = ["env:KEY_OF_MARCH"]\n'
            '[store]\ndatabase = "env:OTHER_URL"\n'
        )
    assert call("document").exit_code == 0
    first = Path("SECURITY.md").read_text("utf-8")
    assert call("document", SMTP_URL="smtps://a:b@mail.acme.eu", KEY_OF_MARCH="y").exit_code == 0
    assert first == Path("SECURITY.md").read_text("utf-8")
    assert call("role", "list").exit_code == 0


def test_verify_takes_what_else_a_policy_names_from_the_environment(app: str) -> None:
    """A laboratory has secrets of its own; a variable that only this policy knows is the caller's."""
    with Path("bylaw.toml").open("a") as file:
        file.write('[mail]\nserver = "env:SMTP_URL"\n')
    assert "SMTP_URL  not set" in call("matrix", app).output
    assert call("matrix", app, SMTP_URL="smtp://localhost").exit_code == 0


# run


def test_run_sets_up_for_development_once(app: str) -> None:
    """Database, sample data and a first administrator, whose password works and is shown once."""
    with Path("bylaw.toml").open("a") as file:
        file.write('[development]\napp.base_url = "http://127.0.0.1:5000"\n')
    first = call("run", app, "--development", "--no-serve")
    assert first.exit_code == 0, first.output
    assert "sample data" in first.output
    assert "http://127.0.0.1:5000" in first.stdout
    password = first.stdout.partition("password  ")[2].split()[0]
    assert password not in call("run", app, "--development", "--no-serve").output
    with common.house_of(None) as house:
        from bylaw.operations import signing_in

        assert signing_in.sign_in(house, email="admin@example.com", password=password).id


@pytest.mark.requirement("C-33")
def test_run_starts_nothing_that_is_not_in_order(app: str) -> None:
    """Production without a database of this version, or with a route without a rule, ends in a sentence."""
    result = call("run", app, "--no-serve")
    assert result.exit_code == 1
    assert "run: bylaw db upgrade" in result.output
    file = Path(f"{app}.py")
    file.write_text(file.read_text().replace('    @permit("note:create")\n', ""))
    call("db", "upgrade")
    sys.modules.pop(app)
    result = call("run", app, "--no-serve")
    assert result.exit_code == 1
    assert "POST /notes" in result.output
    assert "nobody has said who may call it" in result.output


def test_flask_people_find_it_under_flask(app: str, project: Path) -> None:
    """`flask --app … bylaw …` is the same command line, on that application's policy."""
    environ = {
        **{name: os.environ[name] for name in ("BASE_URL", "DATABASE_URL", "SECRET_KEY")},
        "PYTHONPATH": os.pathsep.join([str(project), *sys.path]),
    }
    (project / "elsewhere").mkdir()
    run = transcript.elsewhere(project / "elsewhere", environ)
    assert run(f"flask --app {app} bylaw db current", {})[0].startswith("empty"), "before it could start"
    assert run(f"flask --app {app} bylaw db upgrade", {})[1] == 0
    for name in (app, f"{app}:create_app", str(project / f"{app}.py")):
        printed, code = run(f"flask --app {name} bylaw role list", {})
        assert (code, printed.splitlines()[0]) == (0, "admin        *"), printed


# Nothing is given away


@pytest.mark.requirement("S1-061", "S2-012")
def test_no_command_prints_a_secret(app: str) -> None:
    """Key, database password and mail password are in no output, file or failure (A183)."""
    url = "sqlite:///Tr0ub4dor-and-three-more.db"
    smtp = "smtps://mailer:c0rrect-h0rse-battery@mail.acme.eu:465"
    with Path("bylaw.toml").open("a") as file:
        file.write('[mail]\nserver = "env:SMTP_URL?"\n[secrets]\nprevious = ["env:OLD_KEY?"]\n')
    environ = {"DATABASE_URL": url, "SMTP_URL": smtp, "OLD_KEY": SECRET[::-1]}
    printed = [
        call(*words.split(), **environ).output
        for words in (
            "check",
            "check --json",
            "db current",
            "role list",
            "user list",
            "document",
            "document --check",
            f"verify {app} --only cookies --json --junit out.xml",
            f"matrix {app} --json",
            "schema",
            f"run {app} --no-serve",
        )
    ]
    printed += [call("check", SECRET_KEY=SECRET[:30], **environ).output]
    printed += [
        path.read_text("utf-8") for path in Path.cwd().iterdir() if path.suffix in {".md", ".xml", ".json"}
    ]
    for canary in (SECRET[:12], SECRET[::-1][:12], "Tr0ub4dor", "c0rrect-h0rse"):
        assert [text for text in printed if canary in text] == []


def test_a_mistake_in_the_program_is_not_a_sentence() -> None:
    """Only failures that somebody can mend are spoken: a KeyError keeps its traceback."""

    @common.spoken
    def wrong() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError):
        wrong()
