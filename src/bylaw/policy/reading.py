"""One reading of a policy: text, tables, overlay, references, sections, conflicts."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, cast

from pydantic import SecretStr, ValidationError

from bylaw import rules, toml_lines
from bylaw.control import Control, Section, Settings
from bylaw.errors import Problem
from bylaw.policy.faults import (
    at,
    default_text,
    explained,
    is_secret,
    leaves,
    nearest,
    table_of,
    toml,
    unreadable,
)
from bylaw.policy.references import REFERENCE, REMEDIES, References
from bylaw.policy.sections import PROFILES, SECTIONS, Access, App, Mail, Pages, Store, sections
from bylaw.policy.texts import host_of, is_open, placeholder, reserved
from bylaw.policy.value import Missing, Policy, Unread

_BYPASSES: Final = ("FLASK_DEBUG", "TESTING", "BYLAW_TESTING")
"""Variables that switch protection off somewhere; none may be set in production (C-30, C-33)."""


def load(
    file: str | os.PathLike[str],
    controls: Iterable[Control],
    environ: Mapping[str, str] | None = None,
) -> Policy:
    """Read the policy for `controls` (the registry). Raises PolicyError with every problem."""
    path = Path(file)
    environ = os.environ if environ is None else environ
    try:
        return _Reading(path, {control.name: control for control in controls}, environ).policy()
    except RecursionError:
        raise unreadable(path, "nested too deeply", "a policy has a few levels") from None


class _Reading(References):
    """One reading of a policy file, gathering every problem on its way."""

    # The way of a policy: text -> tables -> overlay -> references -> sections -> conflicts.

    def policy(self) -> Policy:
        tables = self._layer(self._tables())
        written = deepcopy(tables)
        self._open_dotenv()
        self._bypasses()
        self._unknown_sections(tables)
        sections = {
            name: self._section(name, model, tables.get(name, {})) for name, model in self._models().items()
        }
        own = {name: sections[name] or Missing() for name in SECTIONS}
        read = {name: cast(Settings, sections[name]) for name in self.controls if sections[name]}
        policy = Policy(
            file=self.path,
            environment=self.environment,
            app=cast(App, own["app"]),
            store=cast(Store, own["store"]),
            mail=cast(Mail, own["mail"]),
            pages=cast(Pages, own["pages"]),
            access=cast(Access, own["access"]),
            controls=read,
            written=written,
            where=self.where,
            older=self.older,
            testing=self.environment == "development" and any(map(self._on, _BYPASSES[1:])),
        )
        policy = self._idle(policy)
        for check in (
            self._address,
            self._placeholders,
            self._off_without_because,
            self._access,
            *self._conflicts(),
        ):
            # What needs a section that could not be read has to wait; all the rest is said at once.
            with suppress(Unread):
                check(policy)
        self._give_up_on_problems()
        return policy

    def _idle(self, policy: Policy) -> Policy:
        """The policy with those controls off that have nothing to do under it."""
        off = {}
        for control in self.controls.values():
            with suppress(Unread):
                why = control.idle(policy)
                mine = policy.controls.get(control.name)  # none where its own section cannot be read
                if why and mine is not None and not mine.off:
                    off[control.name] = policy.controls[control.name].model_copy(
                        update={"off": True, "because": why}
                    )
        return replace(policy, controls={**policy.controls, **off}, idle=frozenset(off))

    def _conflicts(self) -> Iterator[Callable[[Policy], None]]:
        """What each control has to say about values that cannot be kept together."""
        for control in self.controls.values():

            def check(policy: Policy, control: Control = control) -> None:
                for conflict in control.conflicts(policy):
                    self._report(tuple(conflict.key.split(".")), conflict.why, conflict.accepted)

            yield check

    def _models(self) -> dict[str, type[Section]]:
        return sections(self.controls.values())

    def _tables(self) -> dict[str, Any]:
        try:
            text = self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise unreadable(self.path, "not UTF-8 text", "TOML is UTF-8") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = getattr(error, "strerror", None) or "no file has this name"
            raise unreadable(self.path, "not readable", why, "make one: bylaw init") from None
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise unreadable(self.path, "not TOML", str(error)) from None
        except ValueError:  # Python refuses to read a number of thousands of digits
            raise unreadable(self.path, "not TOML", "a number in it is endless") from None
        self.where = toml_lines.Lines(self.path.name, toml_lines.lines(text))
        return tables

    def _layer(self, tables: dict[str, Any]) -> dict[str, Any]:
        """Profile, then the file, then [development] where that was asked for."""
        overlay = tables.pop("development", {})
        if not isinstance(overlay, dict):
            self._report(("development",), "a table is expected", "[development]")
        elif self.environment == "development":
            _merge(tables, overlay)
            self.where.overlay("development")
        app = tables.get("app")
        asked = app.get("profile") if isinstance(app, dict) else None
        # Resolved here already: its values lie below all others.
        asked = self._resolve(asked, ("app", "profile"))
        layered = profile(asked if asked in PROFILES else "standard")
        _merge(layered, tables)
        return layered

    def _bypasses(self) -> None:
        if self.environment != "production":
            return
        for name in _BYPASSES:
            if self._on(name):
                self.problems.append(
                    Problem(
                        name,
                        "set in production",
                        "it switches protection off or shows internals to visitors",
                        "unset it, or ask for development: BYLAW_ENV=development",
                    )
                )

    def _unknown_sections(self, tables: dict[str, Any]) -> None:
        known = list(self._models())
        for name in [name for name in tables if name not in known]:
            self._report((name,), "no such section", nearest(name, [*known, "development"]))

    def _section(self, name: str, model: type[Section], table: object) -> Section | None:
        if not isinstance(table, dict):
            self._report((name,), "a table is expected", f"[{name}]")
            return None
        table = deepcopy(table)
        for key, info in model.model_fields.items():
            default = info.default
            text = default.get_secret_value() if isinstance(default, SecretStr) else default
            if isinstance(text, str) and REFERENCE.match(text):
                table.setdefault(key, text)
        before = len(self.problems)
        self._written_secrets(name, model, table)
        table = cast(dict[str, Any], self._resolve(table, (name,)))
        for key, info in model.model_fields.items():
            if key not in table and str(default_text(info)).endswith("?"):
                table[key] = None  # the variable is absent: what names it must not be taken for a secret
        try:
            section = model.model_validate_json(json.dumps(table, default=str))
            return section if len(self.problems) == before else None
        except ValidationError as error:
            for found in error.errors(include_url=False, include_context=True):
                self._invalid(name, model, table, cast(dict[str, Any], found))
        except ValueError:  # Python refuses to write a number of thousands of digits
            self._report((name,), "a number in it is endless")
        return None

    def _written_secrets(self, name: str, model: type[Section], table: dict[str, Any]) -> None:
        """A secret may not stand in the policy, which many read and no rotation reaches (S1-061)."""
        for key in [key for key in table if is_secret(model, (key,))]:
            for path, value in leaves((name, key), table[key]):
                if value == default_text(model.model_fields[key]):
                    continue  # everybody knows it: it opens nothing
                if isinstance(value, str) and not REFERENCE.match(value) and is_open(value):
                    table.pop(key, None)
                    self._report(path, "written out, where everybody reads it", '"env:NAME" or "file:/path"')

    def _invalid(
        self, section: str, model: type[Section], written: dict[str, Any], error: dict[str, Any]
    ) -> None:
        loc = tuple(str(part) for part in error["loc"])
        path = (section, *loc)
        table, key = table_of(model, loc)
        if error["type"] == "extra_forbidden":
            self._report(path, "no such key", nearest(key, table.model_fields))
            return
        if error["type"] == "missing" and path in self.sources:
            return  # said already: its variable is not set
        # What a reference names is not for an error's reader, nor is a table around one.
        hidden = is_secret(model, loc) or any(taken[: len(path)] == path for taken in self.taken)
        value = at(written, error["loc"], error["input"])
        found = "" if hidden or isinstance(value, dict) else f" = {toml(value)}"
        self._report(path, *explained(error, table.model_fields.get(key)), found)

    def _address(self, policy: Policy) -> None:
        """Where people reach it must be somewhere."""
        host = host_of(policy.app.base_url)
        if not host:
            self._report(
                ("app", "base_url"),
                "no address",
                'e.g. "https://mtc.acme.eu"',
                f" = {toml(policy.app.base_url)}",
            )
        elif policy.production and reserved(host):
            self._report(
                ("app", "base_url"),
                "a placeholder, not where people reach it",
                'the real address, e.g. "https://mtc.acme.eu"',
                f" = {toml(policy.app.base_url)}",
            )

    def _placeholders(self, policy: Policy) -> None:
        """What stands in the documentation is nobody's database and nobody's mail (S1-070, S2-055)."""
        for path, secret in (
            (("store", "database"), policy.store.database),
            (("mail", "server"), policy.mail.server),
            (("mail", "user"), policy.mail.user),
            (("mail", "password"), policy.mail.password),
        ):
            text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
            if policy.production and text is not None and placeholder(text):
                self._report(path, "a published placeholder", REMEDIES.get(path, ""))

    def _access(self, policy: Policy) -> None:
        """Rules by path that cannot be kept: no program must have to guess which of two counts."""
        for number, why, accepted in rules.faults(policy.access.routes):
            self._report(("access", "routes", str(number)), why, accepted)

    def _off_without_because(self, policy: Policy) -> None:
        for name, settings in policy.controls.items():
            if settings.off and not (settings.because or "").strip():
                self._report(
                    (name, "off"),
                    "a control is switched off without a reason",
                    'because = "…" (it is printed in SECURITY.md)',
                    " = true",
                )


def profile(name: str) -> dict[str, Any]:
    """What the profile `name` writes below a policy."""
    text = resources.files("bylaw").joinpath("profiles", f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


def _merge(into: dict[str, Any], over: dict[str, Any]) -> None:
    """Lay `over` upon `into`: tables are merged, everything else is replaced."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
