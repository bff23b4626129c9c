"""What is attacked: an application by its module's name, made anew for each laboratory."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bylaw import ports
from bylaw.verify.client import Transport
from bylaw.verify.world import BUILDING, defaults, environment


@dataclass(frozen=True, slots=True)
class Target:
    """An application that can be started: its factory, and what prepares a database for it."""

    name: str
    factory: Callable[[], Any]
    prepare: Callable[[Any], None] | None = None
    environ: Mapping[str, str] | None = None
    sample: Callable[[Any], None] | None = None
    transport: Callable[[Any], Transport] | None = None
    """How the application is called, where it is neither WSGI nor ASGI."""
    importable: bool = False
    """Whether another process gets the same by `afresh` and the name."""

    @classmethod
    def attribute(cls, text: str) -> tuple[str, bool]:
        """The attribute that `text` means, and whether it is a factory. Raises LookupError."""
        return cls._attribute(_imported(text), text)

    @staticmethod
    def _attribute(module: Any, text: str) -> tuple[str, bool]:
        attribute = text.partition(":")[2]
        names = [attribute] if attribute else ["create_app", "make_app", "app"]
        for name in names:
            if hasattr(module, name):
                return name, _is_factory(getattr(module, name))
        raise LookupError(f"{module.__name__} has none of {', '.join(names)}")

    @classmethod
    def named(cls, text: str) -> Target:
        """`package.module`, `package.module:factory` or `package.module:app`. Raises LookupError.

        A module may offer `prepare_laboratory(engine)`, which brings an empty database to where the
        application can start, with a little to attack; and `sample(bylaw)`, which loads what a
        developer sees at first.
        """
        module = _imported(text)
        name, is_factory = cls._attribute(module, text)
        found = getattr(module, name)
        return cls(
            text,
            found if is_factory else lambda: found,
            getattr(module, "prepare_laboratory", None),
            sample=getattr(module, "sample", None),
        )

    @classmethod
    def afresh(cls, text: str) -> Target:
        """The same for laboratories, one after another. Raises LookupError, PolicyError.

        An application that is made when its module is imported is imported anew for each of them, in
        the laboratory's environment: it would otherwise be the first one's, or this machine's.
        """
        with tempfile.TemporaryDirectory(prefix="bylaw-import-") as folder:
            environ = defaults(f"sqlite:///{folder}/unused.db")
            with (
                BUILDING,
                environment(environ),
                ports.using(database=environ["DATABASE_URL"], environ={**os.environ, **environ}),
            ):
                module = _imported(text, anew=True)
        name, is_factory = cls._attribute(module, text)
        return cls(
            text,
            getattr(module, name) if is_factory else lambda: getattr(_imported(text, anew=True), name),
            getattr(module, "prepare_laboratory", None),
            sample=getattr(module, "sample", None),
            importable=True,
        )


_CAME_ALONG: dict[str, set[str]] = {}
"""The application's own modules, by the module that brought them."""


def _imported(text: str, *, anew: bool = False) -> Any:
    """The module that `text` names; `anew` together with whatever of the application came with it."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    name = text.partition(":")[0]
    if anew:
        for each in _CAME_ALONG.get(name, {name}):
            sys.modules.pop(each, None)
    before = set(sys.modules)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if name == missing or name.startswith(f"{missing}."):
            raise LookupError(f"no module {missing}; name it as you import it") from None
        raise LookupError(f"{name} needs the module {missing}, which is not there") from None
    if anew:
        _CAME_ALONG[name] = {name, *(n for n in set(sys.modules) - before if _beside(n, module))}
    return module


def _beside(name: str, module: Any) -> bool:
    """Whether the module `name` is of the same application: a file in or below the same folder."""
    files = [getattr(each, "__file__", None) for each in (sys.modules[name], module)]
    if None in files or "site-packages" in str(files[0]):
        return False
    return Path(str(files[0])).is_relative_to(Path(str(files[1])).parent)


def _is_factory(found: Any) -> bool:
    return callable(found) and not any(hasattr(found, name) for name in ("extensions", "state", "site"))
