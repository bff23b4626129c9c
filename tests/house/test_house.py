"""The repository itself: what it pins and ignores, and that its scanners catch what they are there for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENT_FILES = sorted((ROOT / "requirements").glob("*.txt"))


def run(*command: str | Path, cwd: Path = ROOT, **kwargs) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False, **kwargs
    )


def pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", file.read_text(), re.MULTILINE))


# ---- what is installed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", REQUIREMENT_FILES, ids=lambda file: file.name)
def test_a_requirement_file_names_no_address_and_no_option(file):
    """A requirement file names no address and no option."""
    text = file.read_text()
    assert not re.search(r"\w+://|file:| @ |^-", text, re.MULTILINE)


@pytest.mark.parametrize("file", REQUIREMENT_FILES, ids=lambda file: file.name)
def test_every_requirement_is_pinned_and_hashed(file):
    """Every requirement is pinned and hashed."""
    requirements = file.read_text().replace("\\\n", " ").splitlines()
    assert requirements
    for line in requirements:
        assert re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


def test_dev_installs_the_very_versions_that_applications_get():
    """Dev installs the very versions that applications get."""
    runtime, dev = pins(ROOT / "requirements/runtime.txt"), pins(ROOT / "requirements/dev.txt")
    assert {name: dev.get(name) for name in runtime} == runtime


def test_every_dependency_that_pyproject_names_is_pinned():
    """Every dependency that pyproject names is pinned."""
    project = PYPROJECT["project"]
    asked = project["dependencies"] + [
        item for extra in project["optional-dependencies"].values() for item in extra
    ]
    asked += PYPROJECT["dependency-groups"]["dev"]
    names = {re.split(r"[\[<>=!~ ]", item)[0].lower() for item in asked}
    assert names <= pins(ROOT / "requirements/dev.txt").keys()


def test_no_lock_file_records_an_address():
    """No lock file records an address."""
    for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines():
        if (
            Path(name).name in {"uv.lock", "poetry.lock", "package-lock.json", "yarn.lock"}
            and (ROOT / name).exists()
        ):
            assert not re.search(r"https?://", (ROOT / name).read_text()), name


def test_set_up_without_python_says_what_is_missing_and_the_remedy(tmp_path):
    """Set up without python says what is missing and the remedy."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "cksum", "sed", "flock"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    for name in ("tools/setup.sh", "pyproject.toml", "requirements/setup.txt", "requirements/dev.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    result = run(tools / "sh", "tools/setup.sh", cwd=tmp_path, env={"PATH": str(tools)})
    assert result.returncode == 1
    assert result.stderr.startswith("set-up: Python 3.11 or newer was not found; install it")
    assert result.stderr.count("\n") == 1


@pytest.mark.requirement("S1-123", "S1-125")
def test_the_audit_is_strict_and_runs_in_ci():
    """The audit is strict and runs in ci."""
    audit = run("make", "--dry-run", "audit").stdout
    assert "pip-audit --strict" in audit
    assert "requirements/runtime.txt" in audit
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert any(step.get("run", "").startswith("make audit") for job in jobs.values() for step in job["steps"])


@pytest.mark.requirement("S1-124")
def test_dependabot_watches_packages_and_actions():
    """Dependabot watches packages and actions."""
    config = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())
    assert config["version"] == 2
    assert {update["package-ecosystem"] for update in config["updates"]} >= {"pip", "github-actions"}
    for update in config["updates"]:
        assert (ROOT / update["directory"].lstrip("/")).is_dir()
        assert update["schedule"]["interval"] in {"daily", "weekly", "monthly"}


def test_ci_runs_with_least_privilege_and_pinned_actions():
    """Ci runs with least privilege and pinned actions."""
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
    assert os.access(ROOT / ".ci/run", os.X_OK)


# ---- what is never committed -------------------------------------------------------------------------------


@pytest.mark.requirement("S2-050", "S2-053")
@pytest.mark.parametrize(
    "name", [".env", "apps/mtc/.env", ".env.local", "mtc.db", "mtc.sqlite", "data/a.sqlite3", "key.pem"]
)
def test_secrets_and_databases_are_ignored(name):
    """Secrets and databases are ignored."""
    assert run("git", "check-ignore", "--quiet", "--no-index", name).returncode == 0


@pytest.mark.requirement("S2-051", "S2-053")
def test_no_env_file_and_no_database_is_tracked():
    """No env file and no database is tracked."""
    tracked = run("git", "ls-files").stdout.splitlines()
    assert [name for name in tracked if re.search(r"(^|/)\.env$|\.(db|sqlite\w*)$", name)] == []


@pytest.mark.requirement("S2-055")
def test_env_example_lists_every_variable_that_a_policy_reads():
    """An application's own example, or the repository's, lists every variable that its policy reads."""
    for policy in (ROOT / "apps").glob("*/bylaw.toml"):
        own = policy.with_name(".env.example")
        example = own if own.is_file() else ROOT / ".env.example"
        listed = set(re.findall(r"^(\w+)=", example.read_text(), re.MULTILINE))
        used = {"BYLAW_ENV", *re.findall(r"\benv:(\w+)", policy.read_text())}
        assert used <= listed, policy
    assert run("git", "check-ignore", "--quiet", "--no-index", ".env.example").returncode == 1


@pytest.mark.requirement("S1-072", "S1-074", "S1-075", "S2-052", "S2-054")
def test_the_baseline_covers_the_tree_and_every_entry_was_audited():
    """The baseline covers the tree and every entry was audited."""
    baseline = json.loads((ROOT / ".secrets.baseline").read_text())
    for file, entries in baseline["results"].items():
        for entry in entries:
            assert entry.get("is_secret") is False, (
                f"{file}:{entry['line_number']} is not audited, or is a secret"
            )
    scanned = run(sys.executable, "-m", "tools.secret_scan")
    assert scanned.returncode == 0, scanned.stderr


# ---- the scanners catch what they are there for ------------------------------------------------------------

# (bandit's code, the requirement that names it, a program that must be caught)
PLANTED = [
    ("B102", "S1-117", "exec(source)"),
    ("B307", "S1-117", "eval(source)"),
    ("B105", "S1-115", "password = 'correct horse'"),
    ("B106", "S1-115", "connect(password='correct horse')"),
    ("B301", "S1-118", "import pickle\npickle.loads(source)"),
    ("B302", "S1-118", "import marshal\nmarshal.loads(source)"),
    ("B403", "S1-118", "import pickle"),
    ("B304", "S1-119", "from cryptography.hazmat.primitives.ciphers import algorithms\nalgorithms.ARC4(key)"),
    ("B305", "S1-119", "from cryptography.hazmat.primitives.ciphers import modes\nmodes.ECB()"),
    ("B306", "S1-119", "import tempfile\ntempfile.mktemp()"),
    ("B308", "S1-119", "from django.utils.safestring import mark_safe\nmark_safe(source)"),
    ("B324", "S1-119", "import hashlib\nhashlib.md5(source)"),
    ("B501", "C-16", "import requests\nrequests.get(source, verify=False, timeout=1)"),
    ("B502", "C-16", "import ssl\nssl.wrap_socket(ssl_version=ssl.PROTOCOL_SSLv2)"),
    ("B503", "C-16", "import ssl\ndef connect(version=ssl.PROTOCOL_SSLv2):\n    pass"),
    ("B504", "C-16", "import ssl\nssl.wrap_socket()"),
    (
        "B505",
        "C-16",
        "from cryptography.hazmat.primitives.asymmetric import rsa\nrsa.generate_private_key(65537, 512)",
    ),
    ("B506", "C-16", "import yaml\nyaml.load(source)"),
    (
        "B507",
        "C-16",
        "from paramiko import client as c\na = c.SSHClient()\na.set_missing_host_key_policy(c.AutoAddPolicy)",
    ),
    ("B602", "C-16", "import subprocess\nsubprocess.Popen(source, shell=True)"),
    ("B605", "C-16", "import os\nos.system(source)"),
    ("B608", "S1-116", "cursor.execute(f\"SELECT * FROM users WHERE email = '{email}'\")"),
    ("B608", "S1-086", "cursor.execute(\"SELECT * FROM users WHERE email = '%s'\" % email)"),
    ("B608", "S3-035", "session.execute(text(f\"SELECT * FROM users WHERE email = '{email}'\"))"),
    ("B701", "C-16", "import jinja2\njinja2.Environment(autoescape=False)"),
    ("B704", "C-16", "from markupsafe import Markup\nMarkup(f'<b>{source}</b>')"),
]
CASES = [
    pytest.param(code, program, id=f"{row}-{code}-{number}")
    for number, (code, row, program) in enumerate(PLANTED)
]


@pytest.fixture(scope="module")
def bandit_codes(tmp_path_factory) -> dict[str, set[str]]:
    """What bandit, configured as in this repository, says of each planted program. One run for all."""
    folder = tmp_path_factory.mktemp("planted")
    for number, (_, _, program) in enumerate(PLANTED):
        (folder / f"planted_{number}.py").write_text(program + "\n")
    report = json.loads(run(BIN / "bandit", "-q", "-c", "pyproject.toml", "-f", "json", "-r", folder).stdout)
    codes: dict[str, set[str]] = {}
    for result in report["results"]:
        codes.setdefault(Path(result["filename"]).stem.removeprefix("planted_"), set()).add(result["test_id"])
    return codes


def ruff_codes(program: str, filename: str) -> set[str]:
    command = [
        str(BIN / "ruff"),
        "check",
        "--no-cache",
        "--output-format",
        "json",
        "--stdin-filename",
        filename,
        "-",
    ]
    return {finding["code"] for finding in json.loads(run(*command, input=program + "\n").stdout)}


@pytest.mark.requirement("S1-086", "S1-115", "S1-116", "S1-117", "S1-118", "S1-119", "S3-035", "C-16")
@pytest.mark.parametrize(("code", "program"), CASES)
def test_bandit_catches_the_planted_program(code, program, bandit_codes):
    """Bandit catches the planted program."""
    number = str([planted for _, _, planted in PLANTED].index(program))
    assert code in bandit_codes[number]


@pytest.mark.requirement("S1-122", "C-16")
@pytest.mark.parametrize(("code", "program"), CASES)
def test_ruff_catches_the_planted_program(code, program):
    """Ruff catches the planted program."""
    assert "S" in PYPROJECT["tool"]["ruff"]["lint"]["select"]
    if code == "B403":
        program, code = (
            program + "\npickle.loads(source)",
            "B301",
        )  # ruff catches the use of pickle, not the import
    assert code.replace("B", "S") in ruff_codes(program, "src/bylaw/planted.py")


@pytest.mark.requirement("S1-116", "S1-086", "S3-035")
@pytest.mark.parametrize(
    "program",
    [
        'cursor.execute("SELECT id FROM users WHERE email = %s", (email,))',
        "select(User).where(User.email == email)",
    ],
)
def test_the_safe_pattern_is_left_alone(program, tmp_path):
    """The safe pattern is left alone."""
    (tmp_path / "safe.py").write_text(program + "\n")
    assert run(BIN / "bandit", "-q", "-c", "pyproject.toml", tmp_path / "safe.py").returncode == 0
    assert not {code for code in ruff_codes(program, "src/bylaw/planted.py") if code.startswith("S")}


@pytest.mark.requirement("S1-119", "C-16")
def test_every_named_code_is_switched_on_and_exists():
    """Every named code is switched on and exists."""
    switched_on = set(PYPROJECT["tool"]["bandit"]["tests"])
    assert {code for code, _, _ in PLANTED} == switched_on
    assert switched_on <= set(re.findall(r"\bB\d{3}\b", run(BIN / "bandit", "--help").stdout))


@pytest.mark.requirement("S1-120")
def test_an_assert_passes_in_tests_and_nowhere_else(tmp_path):
    """An assert passes in tests and nowhere else."""
    assert "S101" not in ruff_codes("assert 1", "tests/test_planted.py")
    assert "S101" in ruff_codes("assert 1", "src/bylaw/planted.py")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "planted.py").write_text("eval(source)\n")
    assert run(BIN / "bandit", "-q", "-c", "pyproject.toml", "-r", tmp_path).returncode == 0


@pytest.mark.requirement("S1-121")
def test_bandit_runs_over_the_tree_as_contributing_says():
    """Bandit runs over the tree as contributing says."""
    command = ".venv/bin/bandit -r src apps -c pyproject.toml"
    assert command in (ROOT / "CONTRIBUTING.md").read_text()
    result = run(*command.split())
    assert result.returncode == 0, result.stdout


# ---- the hooks ---------------------------------------------------------------------------------------------

# A key of AWS's form, made up, and in two pieces so that this very file could be scanned too.
KEY_LINE = 'aws_access_key = "AKIA' + 'QWERTYUIOPASDFGH"\n'


class Repository:
    """A repository of its own with this one's hooks, untouched by the settings of whoever runs the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        people = {
            f"GIT_{role}_{what}": "tester@example.org"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        own = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "PRE_COMMIT_HOME": str(folder / ".git/home"),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.environment = inherited | people | own
        for name in (".pre-commit-config.yaml", ".secrets.baseline", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        for command in (["git", "init", "--quiet"], [BIN / "pre-commit", "install"]):
            done = self.run(*command)
            assert done.returncode == 0, done.stderr

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return run(*command, cwd=self.folder, env=self.environment)

    def commit(self, name: str, text: str) -> subprocess.CompletedProcess[str]:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.run("git", "add", name)
        return self.run("git", "commit", "--quiet", "-m", "planted")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.mark.requirement("S1-071", "S2-052", "S2-054")
def test_a_commit_with_a_key_is_blocked(repository):
    """A commit with a key is blocked."""
    result = repository.commit("app/settings.py", KEY_LINE)
    assert result.returncode == 1
    assert re.search(r"detect-secrets\.+Failed", result.stdout + result.stderr)


@pytest.mark.requirement("S1-073", "S1-120")
def test_a_made_up_key_in_a_test_is_not(repository):
    """A made up key in a test is not."""
    result = repository.commit("tests/test_settings.py", KEY_LINE)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.requirement("S1-115", "S1-116", "S1-117", "S1-118", "S1-119", "S1-122")
def test_a_commit_with_sql_made_of_strings_is_blocked_twice(repository):
    """A commit with sql made of strings is blocked twice."""
    program = "cursor.execute(f\"SELECT id FROM users WHERE email = '{email}'\")\n"
    result = repository.commit("app/users.py", program)
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "S608" in output
    assert "B608" in output


def test_the_hooks_call_the_tools_of_this_environment_and_name_no_address():
    """The hooks call the tools of this environment and name no address."""
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    hooks = {hook["id"]: hook for repo in yaml.safe_load(text)["repos"] for hook in repo["hooks"]}
    assert hooks.keys() == {"ruff", "ruff-format", "bandit", "detect-secrets"}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks.values())
    assert "--baseline .secrets.baseline" in hooks["detect-secrets"]["entry"]
    assert "://" not in text


# ---- the house rules (tools/rules.py) ----------------------------------------------------------------------


def test_each_house_rule_catches_its_sample_and_leaves_its_neighbour_alone():
    """Each house rule catches its sample and leaves its neighbour alone."""
    from tools import rules

    def breaches(rule: rules.Rule, path: str, text: str) -> int:
        return len(list(rule(path, text)))

    coroutine = "async def f(): ..."
    assert breaches(rules.no_async_outside_adapters, "src/bylaw/gate.py", coroutine) == 1
    assert breaches(rules.no_async_outside_adapters, "src/bylaw/adapters/asgi.py", coroutine) == 0
    assert breaches(rules.silence_has_a_reason, "src/bylaw/a.py", "x = 1  # noqa: E501") == 1
    assert (
        breaches(rules.silence_has_a_reason, "src/bylaw/a.py", "x = 1  # noqa: S608 - the names are ours")
        == 0
    )
    assert breaches(rules.no_machine_path, "docs/a.md", "see /home/" + "ann/notes") == 1
    assert breaches(rules.no_machine_path, "docs/a.md", "see src/home/ann") == 0
