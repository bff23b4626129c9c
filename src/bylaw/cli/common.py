"""What the commands share: finding the policy, the application, and saying what went wrong."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from bylaw.controls import api_keys, signup
from bylaw.errors import MisuseError, PolicyError, StoreError
from bylaw.house import House
from bylaw.reasons import Refused
from bylaw.site import Site
from bylaw.store import users
from bylaw.store.users import User
from bylaw.verify.laboratory import Bench
from bylaw.verify.target import Target

P = ParamSpec("P")
T = TypeVar("T")
# Into a file or a pipe, a line is as long as it is: nobody can widen that window.
_WIDTH = None if sys.stdout.isatty() else 200
_ID = re.compile(r"[0-9a-f-]{36}")
"""The id of an account, as listings show it."""
out = Console(highlight=False, markup=False, soft_wrap=True, width=_WIDTH)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def fail(text: object) -> NoReturn:
    """Say what is wrong, and end with 1."""
    err.print(f"bylaw: {text}")
    raise SystemExit(1)


def spoken(command: Callable[P, T]) -> Callable[P, T]:
    """Have a command's failures said in a sentence, without a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except Refused as refused:
            fields = "; ".join(f"{k}: {v}" for k, v in refused.fields.items())
            fail(" ".join(filter(None, (refused.reason.title, refused.detail, fields))))
        except (KeyError, IndexError):
            raise  # nobody's sentence, but a mistake in the program
        except (PolicyError, StoreError, MisuseError, LookupError) as error:
            fail(error.args[0] if isinstance(error, LookupError) and error.args else error)
        except SQLAlchemyError as error:
            # Its own text holds the statement and its values; the driver's first line does not.
            said = str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]
            fail(f"the database did not do its part: {said}")
        except OSError as error:
            fail(f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}")

    return wrapped


def policy_file(text: str | None) -> Path:
    """The policy that an argument names: a file, a directory, or an application's module."""
    if text is None:
        return _of_flask() or Path("bylaw.toml")
    path = Path(text)
    if path.is_dir():
        return path / "bylaw.toml"
    if path.suffix == ".toml" or path.exists():
        return path
    sys.path.insert(0, str(Path.cwd()))
    try:
        spec = importlib.util.find_spec(text.partition(":")[0])
    except (ModuleNotFoundError, ValueError):  # ValueError: no module could be called so
        spec = None
    if spec is None or spec.origin is None or not spec.has_location:
        raise LookupError(f"{text} is neither a policy file nor a module that can be imported")
    return near(Path(spec.origin).parent / "bylaw.toml")


def near(path: Path) -> Path:
    """A path as it is seen from here, where it is below here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _of_flask() -> Path | None:
    """The policy of the application that `flask --app … bylaw …` was called for."""
    context = click.get_current_context(silent=True)
    script = context.find_root().obj if context is not None else None
    if script is None or not hasattr(script, "load_app"):
        return None
    beside = _beside(str(getattr(script, "app_import_path", None) or "app"))
    if beside is not None:  # not loaded: it may need `bylaw db upgrade` before it can be
        return beside
    protected = script.load_app().extensions.get("bylaw")
    return protected.policy.file if protected is not None else None


def _beside(app: str) -> Path | None:
    """The bylaw.toml beside what `flask --app` names: a module, or a file."""
    file = Path(app.partition(":")[0])
    try:
        beside = near(file.resolve().parent / "bylaw.toml")
        found = beside if file.suffix == ".py" else policy_file(app)
    except LookupError:
        return None
    return found if found.is_file() else None


def site(text: str | None) -> Site:
    """The policy at work on its own database, as the environment has it."""
    return Site(policy_file(text))


@contextmanager
def house_of(text: str | None) -> Iterator[House]:
    """The same, ready for its accounts. Raises PolicyError where the database is of another version."""
    opened = site(text)
    try:
        opened.open(serving=False)
        yield opened.house
    finally:
        opened.close()


def names_account(text: str) -> bool:
    """Whether an account could be called so; no role is."""
    return "@" in text or text.startswith(api_keys.ADDRESS) or _ID.fullmatch(text) is not None


def account(house: House, name: str) -> User:
    """The account with this mail address or id (not every account has an address), or the service account
    that is called so (`service:nightly`). Raises LookupError, Refused."""
    with house.store.reading() as connection:
        if _ID.fullmatch(name):
            found = users.by_id(connection, name)
        else:
            service = name.startswith(api_keys.ADDRESS) and name.isascii()
            found = users.by_email(connection, name if service else signup.address(name))
    if found is None:
        raise LookupError(f"there is no account {name}")
    return found


@contextmanager
def bench(app: str) -> Iterator[Bench]:
    """Laboratories of an application."""
    made = Bench(Target.afresh(app))
    try:
        yield made
    finally:
        made.close()


POLICY = click.option(
    "--policy",
    "-p",
    metavar="FILE",
    help="The policy, or the application that has it beside it. Default: bylaw.toml here.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def at_prompt(value: str | None, label: str) -> str:
    """A secret from the option, else from a prompt that does not show it."""
    return (
        value
        if value is not None
        else str(click.prompt(label, hide_input=True, confirmation_prompt=True, err=True))
    )


def iso(at: float | None, otherwise: str = "") -> str:
    """A moment in UTC, as it is printed."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if at is not None else otherwise


def json_line(values: Mapping[str, Any]) -> None:
    """One line of JSON: thousands of them are printed as they come."""
    click.echo(json.dumps(values, ensure_ascii=False))


def show_files(takings: Iterable[Mapping[str, Any]]) -> None:
    """Print which routes take files, where any does."""
    for each in takings:
        out.print(
            f"files  {each['method']} {each['path']}  {', '.join(each['fields'])}: "
            f"{', '.join(each['kinds'])}, at most {each['most']}",
            markup=False,
        )
