"""docs/your-own-study.md lists every key of a study as the code has it."""

import re
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fedsecure.study.app_study import AppMetrics, AppStudyFile
from fedsecure.study.config import StudyFile
from fedsecure.study.schema.columns import Bounds
from fedsecure.study.schema.features import KINDS
from tests.unit.docs import page

PAGE = page.read("your-own-study.md")


def reachable(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and those of its sections that have keys of their own."""
    yield model
    for field in model.model_fields.values():
        for found in models_in(field.annotation):
            yield from reachable(found)


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and annotation not in (Bounds, AppMetrics):
        yield from [annotation] if issubclass(annotation, BaseModel) else []
    for part in get_args(annotation):
        yield from models_in(part)


MODELS = {
    model.__name__: model
    for root in (StudyFile, AppStudyFile, *KINDS.values())
    for model in reachable(root)
}


def keys(name: str) -> list[list[str]]:
    """Return the rows of the table behind `<!-- keys: NAME -->`."""
    (text,) = re.findall(rf"<!-- keys: {name} -->\n(.*?)\n\n", PAGE + "\n\n", re.DOTALL)
    return page.table(text)


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value in (None, AppMetrics({})):
        return "none"
    if isinstance(value, Bounds):
        return f"`[{value.low:g}, {value.high:g}]`"
    if isinstance(value, BaseModel):
        return "all defaults"
    return f"`{in_toml(value)}`"


def in_toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower()


SAID = {
    Ge: lambda bound: f"{bound.ge:,}",
    Le: lambda bound: f"{bound.le:,}",
    Gt: lambda bound: f"above {bound.gt}",
    Lt: lambda bound: f"below {bound.lt}",
    MinLen: lambda bound: f"{bound.min_length:,}",
    MaxLen: lambda bound: f"{bound.max_length:,}",
}
UNSAID = (MinLen(1), MaxLen(200))  # of names and texts


def promises(field: FieldInfo) -> Iterator[str]:
    """Yield what the table must say of a field's values."""
    for bound in field.metadata:
        if type(bound) in SAID and bound not in UNSAID:
            yield SAID[type(bound)](bound)
    if get_origin(field.annotation) is Literal:
        for choice in get_args(field.annotation):
            yield f"`{in_toml(choice)}`"
    if field.annotation is bool:
        yield "`true`, `false`"


def test_every_section_of_a_study_has_a_table() -> None:
    assert set(re.findall(r"<!-- keys: (\w+) -->", PAGE)) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_table_lists_every_key_with_its_limits_and_default(name: str) -> None:
    fields = MODELS[name].model_fields
    rows = keys(name)
    assert [page.code(row[0]) for row in rows] == [
        field.alias or key for key, field in fields.items()
    ]
    for row, field in zip(rows, fields.values(), strict=True):
        assert row[2] == default(field), row
        for promise in promises(field):
            assert promise in row[1], row
