"""What an importer asks for beside the file, as a form: fields of its options' model, each text at first."""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bylaw.controls.imports import OPTIONS
from bylaw.operations.imports import faults
from bylaw.operations.imports.importers import Importer
from bylaw.reasons import Refused

LONGEST: Final = 2_000
"""Characters of an option."""


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that is asked."""

    name: str
    label: str
    hint: str
    required: bool
    type: str
    """An input's type (`text`, `date`, `datetime-local`), or `choice`."""
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    """(value, what people read)."""


def asked(importer: Importer) -> tuple[Option, ...]:
    """What the importer asks for, in the order of its model."""
    if importer.options is None:
        return ()
    return tuple(_option(name, info) for name, info in importer.options.model_fields.items())


def _option(name: str, info: FieldInfo) -> Option:
    kind, choices = _kind(info.annotation)
    if not info.is_required() and kind == "choice" and _may_be_none(info.annotation):
        choices = (("", "none"), *choices)
    return Option(
        name,
        info.title or name.replace("_", " ").capitalize(),
        info.description or "",
        info.is_required(),
        kind,
        _default(info),
        choices,
    )


def _default(info: FieldInfo) -> str:
    """What stands in the field at first; nothing where that is made of other fields."""
    if info.default_factory is not None and info.default_factory_takes_validated_data:
        return ""
    value = info.get_default(call_default_factory=True, validated_data={})
    return "" if value is None or value is PydanticUndefined else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value.value if isinstance(value, enum.Enum) else value)


def _may_be_none(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _kind(annotation: Any) -> tuple[str, tuple[tuple[str, str], ...]]:
    """How a field is asked for. Numbers are text: a person may write them as he is used to."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [each for each in get_args(annotation) if each is not type(None)]
        return _kind(inner[0]) if len(inner) == 1 else ("text", ())
    if get_origin(annotation) is Literal:
        return "choice", tuple((str(each), str(each)) for each in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "choice", tuple((str(each.value), str(each.value)) for each in annotation)
    if annotation is bool:
        return "choice", (("yes", "yes"), ("no", "no"))
    if annotation is datetime:
        return "datetime-local", ()
    if annotation is date:
        return "date", ()
    if annotation in (int, float, Decimal):
        return "text", ()
    return "text", ()


def given(importer: Importer, names: list[str], values: list[str]) -> dict[str, str]:
    """What somebody gave, by name. Raises Refused for what is not asked for, or asked for once."""
    known = {option.name: option for option in asked(importer)}
    if len(names) != len(values):
        raise Refused(OPTIONS, fields={"value": "one for each option, in their order"})
    wrong = {
        f"option-{name}"[:60]: "nothing that this importer asks for" for name in names if name not in known
    }
    if wrong:
        raise Refused(OPTIONS, fields=dict(list(wrong.items())[:10]))
    found: dict[str, str] = {}
    for name, value in zip(names, values, strict=True):
        if name in found:
            raise Refused(OPTIONS, fields={f"option-{name}": "given twice"})
        found[name] = value.strip()
    return found


def options(importer: Importer, texts: Mapping[str, Any]) -> Any:
    """The options as the importer's model has them; None where it asks for none. Raises Refused."""
    if importer.options is None:
        return None
    return _validated(
        importer.options, {name: value for name, value in texts.items() if value not in ("", None)}
    )


def _validated(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(values, strict=False)
    except ValidationError as error:
        wrong = {
            f"option-{name}" if name else "options": said for name, said in faults.accepted(error).items()
        }
        raise Refused(OPTIONS, fields=wrong) from None
