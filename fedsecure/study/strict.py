"""Strict data: what every file and text of a study is parsed into.

Unknown keys, wrong types, NaN and infinity are refused. A refusal names the file, the
key and, for TOML, the line, for a person has to mend it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from fedsecure.errors import OperatorError
from fedsecure.system.toml_file import read_toml
from fedsecure.system.wording import say

Location = tuple[str | int, ...]

_TABLE: Final = re.compile(r"^\s*(\[{1,2})\s*([\w.\-]+)\s*\]{1,2}\s*(?:#.*)?$")
_KEY: Final = re.compile(r"^\s*([\w.\-]+)\s*=")


class Strict(BaseModel):
    """Base of the study's models: strict, frozen, finite, no unknown keys."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False
    )


Model = TypeVar("Model", bound=Strict)


def canonical(model: Strict) -> str:
    """Return the one JSON text of `model` (RFC 8785)."""
    return rfc8785.dumps(model.model_dump(mode="json", by_alias=True)).decode()


def read_strict(path: Path, model: type[Model]) -> Model:
    """Read one TOML file into `model`; run by whoever owns the file.

    Raises:
        OperatorError: FS-801 or FS-802 when it is not a TOML file, FS-840 with the
            line and the first key that is wrong.
    """
    content = read_toml(path)
    try:
        # By way of JSON, for only there is a list the strict form of a tuple.
        return model.model_validate_json(json.dumps(content, default=_refuse))
    except TypeError as error:
        raise OperatorError("FS-840", f"{path}: {error}") from error
    except ValidationError as error:
        raise OperatorError("FS-840", _explain(path, content, error, model)) from error


def _refuse(value: object) -> None:
    msg = f"a {type(value).__name__} has no place in this file"
    raise TypeError(msg)


def _explain(
    path: Path, content: dict[str, Any], error: ValidationError, model: type[Strict]
) -> str:
    first = error.errors(include_url=False)[0]
    where = _in_file(content, first["loc"])
    line = _line_of(path.read_text(encoding="utf-8-sig"), where)
    key = ".".join(map(str, _with_names(content, where))) or "the file as a whole"
    return f"{path}, line {line}, {key}: {say(first, model)}"


def _in_file(content: Any, location: Location) -> Location:
    """Drop the parts of pydantic's location that name types, not keys."""
    found: list[str | int] = []
    for part in location:
        if _has(content, part):
            content = content[part]
            found.append(part)
        elif part == location[-1] and isinstance(content, dict):
            found.append(part)  # a key that is missing
    return tuple(found)


def _has(content: Any, part: str | int) -> bool:
    if isinstance(content, list):
        return isinstance(part, int) and part < len(content)
    return isinstance(content, dict) and part in content


def _with_names(content: Any, location: Location) -> Iterator[str | int]:
    """Say `columns.chol.range` instead of `columns.4.range`."""
    for part in location:
        content = _at(content, part)
        named = isinstance(part, int) and isinstance(content, dict)
        yield content.get("name", part) if named else part


def _at(content: Any, part: str | int) -> Any:
    return content.get(part) if isinstance(content, dict) else content[part]


def _line_of(text: str, location: Location) -> int:
    """Return the line, from 1, that comes closest to `location`."""
    best, line = 0, 1
    for number, here in _keys(text):
        common = _common(here, location)
        if common > best:
            best, line = common, number
    return line


def _keys(text: str) -> Iterator[tuple[int, Location]]:
    """Yield the location of every table header and key, with its line."""
    table: Location = ()
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            name = header[2]
            table = tuple(name.split("."))
            if header[1] == "[[":
                seen[name] = seen.get(name, -1) + 1
                table = (*table, seen[name])
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *key[1].split("."))


def _common(one: Location, other: Location) -> int:
    """Return the length of `one` if `other` begins with it, else 0."""
    return len(one) if other[: len(one)] == one else 0
