"""The pages that are read off the program: docs/policy.md, docs/commands.md, docs/bylaw.schema.json.

    python -m tools.reference            write them
    python -m tools.reference --check    exit 1 when one is stale, naming it

Every section, key, default and limit is in the Settings models, every command and option in the
command line. Written a second time by hand, they would soon say something else.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bylaw.cli import main as command_line
from bylaw.control import Section, Settings
from bylaw.controls import CONTROLS
from bylaw.policy import PROFILES, profile, sections
from bylaw.quantities import seconds, spoken, weighed
from bylaw.schema import default_of, is_size, limit_of, policy_schema

ROOT = Path(__file__).resolve().parent.parent
_NOTE = "<!-- Written by `python -m tools.reference`. Change the program, not this page. -->\n"

_POLICY = """\
# The policy: every section and key

One file, `bylaw.toml`, says what the application promises. What is not written has a default, and the
defaults are today's highest standard: an empty file is a strict policy.

**Where a value comes from.** The profile, then the file, then `[development]`, each over the one before.
Tables are merged, everything else is replaced. `[development]` counts only when the process's environment
has `BYLAW_ENV=development` (in `.env` it does not count): production is the default.

**References.** Text may come from outside: `"env:NAME"` from the environment or `.env`, `"file:/path"` from a
file; `"env:NAME?"` may be absent; `"env:NAME or text"` has a stand-in, which only `[development]` may have. A
secret is always a reference; an address may be written out as long as no password is in it. In a list, a
reference may hold a JSON list of texts: `cors.origins = ["env:ORIGINS"]` with `["https://a.eu", "https://b.eu"]`.

**Mistakes.** An unknown section or key, a wrong type, a weak secret or two values that contradict each other
refuse to start. All of them are named at once, with file, line, what was found and what is accepted.
`bylaw check` says the same without starting.

**Durations** are seconds, or text such as `"30m"`, `"24h"`, `"7d"`, `"30 minutes"`.
**Sizes** are bytes, or text such as `"500kB"`, `"10MB"`; a kB is 1,024 bytes.

**Editors** complete and check the file by [bylaw.schema.json](bylaw.schema.json): `bylaw init` puts a copy
beside the policy and names it on the policy's first line, `#:schema ./bylaw.schema.json`.

## Profiles

| profile | what it writes below your policy |
|---|---|
{profiles}

## In every control's section

| key | type | default | meaning |
|---|---|---|---|
{common}

"""

_COMMANDS = """\
# The command line: every command and option

Exit codes: 0 what was asked for holds; 1 it does not (a problem, a failed probe, drift); 2 the call itself
was wrong. `APP` is an application as it is imported: `package.module`, `package.module:factory` or
`package.module:app`. `POLICY` is a policy file, the folder that it lies in, or an application that has it
beside it.

"""


# The policy


def policy_page() -> str:
    """docs/policy.md."""
    common = "\n".join(_row(key, info) for key, info in Settings.model_fields.items())
    profiles = "\n".join(f"| `{name}` | {_profile(name)} |" for name in PROFILES)
    parts = [_POLICY.format(common=common, profiles=profiles)]
    parts += [_section(name, model) for name, model in sections(CONTROLS).items()]
    return _NOTE + "".join(parts).rstrip() + "\n"


def _profile(name: str) -> str:
    written = [
        f"`{section}.{key} = {_toml(value)}`"
        for section, table in profile(name).items()
        for key, value in table.items()
    ]
    return ", ".join(written) or "nothing: the defaults themselves"


def _section(name: str, model: type[Section]) -> str:
    control = next((c for c in CONTROLS if c.name == name), None)
    lines = [f"## [{name}]", "", _sentence(model)]
    if control is not None:
        lines += ["", f"What it does and how it is proven: [{control.title}](controls/{name}.md)."]
    own = {k: v for k, v in model.model_fields.items() if k not in Settings.model_fields}
    if own:
        lines += ["", *_table(own)]
    if model.model_config.get("extra") == "allow":
        lines += ["", "Every other key is a name of your own."]
    if model.EACH is not None:
        lines += ["", f"### [{name}.<name>]", "", _sentence(model.EACH), "", *_table(model.EACH.model_fields)]
    for key, info in own.items():
        if (inner := _inner(info)) is not None:
            lines += ["", f"### [[{name}.{key}]]", "", _sentence(inner), "", *_table(inner.model_fields)]
    return "\n".join(lines) + "\n\n"


def _sentence(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _table(fields: dict[str, FieldInfo]) -> list[str]:
    return [
        "| key | type | default | meaning |",
        "|---|---|---|---|",
        *(_row(key, info) for key, info in fields.items()),
    ]


def _row(key: str, info: FieldInfo) -> str:
    default = "(must be written)" if info.is_required() else _default(info)
    meaning = " ".join((info.description or "").split()).replace("|", r"\|")
    return f"| `{key}` | {_type(info)} | {default} | {meaning} |"


def _default(info: FieldInfo) -> str:
    value = default_of(info)
    if value is None:
        return "(none)"
    shown = f"`{_toml(value)}`"
    if is_size(info):
        return f"{shown} ({weighed(value)})"
    return f"{shown} ({spoken(value)})" if _is_duration(info) and value > 60 else shown


def _toml(value: Any) -> str:
    return "{}" if value == {} else json.dumps(value, ensure_ascii=False)


def _is_duration(info: FieldInfo) -> bool:
    return any(getattr(m, "func", None) is seconds for m in info.metadata)


def _inner(info: FieldInfo) -> type[Section] | None:
    """The table that a list is made of."""
    parts = [part for part in get_args(info.annotation) if isinstance(part, type)]
    return next((part for part in parts if issubclass(part, Section)), None)


def _type(info: FieldInfo) -> str:
    """What may be written, in a few words."""
    if _is_duration(info):
        low, high = limit_of(info, "ge"), limit_of(info, "le")
        return "duration" + _range(low and spoken(low), high and spoken(high))
    if is_size(info):
        low, high = limit_of(info, "ge"), limit_of(info, "le")
        return "size" + _range(low and weighed(low), high and weighed(high))
    return _kind(info.annotation) + _range(limit_of(info, "ge"), limit_of(info, "le"))


def _kind(annotation: Any) -> str:
    given = [a for a in get_args(annotation) if a not in (type(None), Ellipsis)]
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{_toml(value)}`" for value in given)
    if origin is tuple:
        return f"list of {_kind(given[0])}"
    if origin is dict:
        return "table of text"
    if given:
        return _kind(given[0])
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "tables"
    names = {str: "text", bool: "`true` or `false`", int: "whole number", SecretStr: "secret"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _range(low: object, high: object) -> str:
    match low or None, high or None:
        case None, None:
            return ""
        case low, None:
            return f", {low} or more"
        case None, high:
            return f", {high} or less"
    return f", {low} to {high}"


# The command line


def commands_page() -> str:
    """docs/commands.md."""
    parts = list(_commands(command_line, ("bylaw",)))
    return _NOTE + _COMMANDS + "\n".join(parts).rstrip() + "\n"


def _commands(group: click.Group, words: tuple[str, ...]) -> Iterator[str]:
    for name in sorted(group.commands):
        command = group.commands[name]
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))
        else:
            yield _command(command, (*words, name))


def _command(command: click.Command, words: tuple[str, ...]) -> str:
    context = click.Context(command, info_name=words[-1])
    arguments = [p.make_metavar(context) for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    lines = [f"## `{' '.join((*words, *arguments))}`", "", _paragraphs(command.help or "")]
    if options:
        lines += ["", "| option | meaning |", "|---|---|", *map(_option, options)]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    help_text = " ".join((option.help or "").split())
    default = f" Default: `{option.default}`." if option.show_default else ""
    return f"| {names} | {help_text}{default} |"


def schema_file() -> str:
    """docs/bylaw.schema.json."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/policy.md": policy_page,
    "docs/commands.md": commands_page,
    "docs/bylaw.schema.json": schema_file,
}


def stale(root: Path = ROOT) -> list[str]:
    """The pages that do not say what the program says."""
    return [
        name
        for name, make in PAGES.items()
        if not (root / name).is_file() or (root / name).read_text("utf-8") != make()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    if parser.parse_args().check:
        for name in stale():
            print(f"{name} is stale; run: python -m tools.reference", file=sys.stderr)
        return bool(stale())
    for name, make in PAGES.items():
        (ROOT / name).write_text(make(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
