"""What the commands share: finding the policy, the application, and saying what went wrong."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

import click
from rich.console import Console

from bylaw.errors import MisuseError, PolicyError, StoreError
from bylaw.reasons import Refused
from bylaw.site import Site
from bylaw.verify.laboratory import Bench, Target

P = ParamSpec("P")
T = TypeVar("T")
# Into a file or a pipe, a line is as long as it is: nobody can widen that window.
_WIDTH = None if sys.stdout.isatty() else 200
out = Console(highlight=False, width=_WIDTH)
err = Console(stderr=True, highlight=False)


def fail(text: object) -> NoReturn:
    """Say what is wrong, and end with 1."""
    err.print(f"bylaw: {text}", markup=False, soft_wrap=True)
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
        except (PolicyError, StoreError, MisuseError, LookupError) as error:
            fail(error.args[0] if isinstance(error, LookupError) and error.args else error)

    return wrapped


def policy_file(text: str | None) -> Path:
    """The policy that an argument names: a file, a directory, or an application's module."""
    if text is None:
        return Path("bylaw.toml")
    path = Path(text)
    if path.is_dir():
        return path / "bylaw.toml"
    if path.suffix == ".toml" or path.exists():
        return path
    sys.path.insert(0, str(Path.cwd()))
    try:
        spec = importlib.util.find_spec(text.partition(":")[0])
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise LookupError(f"{text} is neither a policy file nor a module that can be imported")
    return Path(spec.origin).parent / "bylaw.toml"


def site(text: str | None) -> Site:
    """The policy at work on its own database, as the environment has it."""
    return Site(policy_file(text))


@contextmanager
def bench(app: str) -> Iterator[Bench]:
    """Laboratories of an application."""
    made = Bench(Target.named(app))
    try:
        yield made
    finally:
        made.close()


POLICY = click.option(
    "--policy", "-p", metavar="FILE", help="The policy, or the application that has it beside it "
    "(default: bylaw.toml here).",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def at_prompt(value: str | None, label: str) -> str:
    """A secret from the option, else from a prompt that does not show it."""
    return value if value is not None else str(
        click.prompt(label, hide_input=True, confirmation_prompt=True, err=True))


