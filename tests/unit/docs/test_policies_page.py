"""docs/policies.md lists every rule that a party can set, as the code has it."""

import json
import re
from collections.abc import Iterator
from enum import Enum

import pytest
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fedsecure.errors import PROBLEMS
from fedsecure.owner.settings import ServeSettings
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_aggregator.rules.policy import Policy as AggregatorPolicy
from tests.unit.docs import page

PAGE = page.read("policies.md")
POLICIES: dict[str, type[BaseModel]] = {
    "aggregator": AggregatorPolicy,
    "compute": ComputePolicy,
}
LIMITS: dict[str, type[BaseModel]] = {"serve": ServeSettings}  # of a party for itself


def rows_of(name: str) -> list[list[str]]:
    (text,) = re.findall(rf"<!-- keys: {name} -->\n(.*?)\n\n", PAGE, re.DOTALL)
    return page.table(text)


def in_toml(value: object) -> str:
    if isinstance(value, Enum):
        return f'"{value.value}"'
    if isinstance(value, frozenset):
        return json.dumps(sorted(value))
    return str(value).lower()


def promises(field: FieldInfo) -> Iterator[str]:
    """Yield what the table must say of a rule's values."""
    for bound in field.metadata:
        match bound:
            case Ge(ge):
                yield f"{ge:,}"
            case Le(le):
                yield f"{le:,}"
            case Gt(gt):
                yield f"above {gt}"
    if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
        yield from (f"`{in_toml(one)}`" for one in field.annotation)


@pytest.mark.parametrize("name", [*POLICIES, *LIMITS])
def test_a_table_lists_every_rule_with_its_limits_and_default(name: str) -> None:
    fields, rows = (POLICIES | LIMITS)[name].model_fields, rows_of(name)
    assert [page.code(row[0]) for row in rows] == list(fields)
    for row, field in zip(rows, fields.values(), strict=True):
        assert row[2] == f"`{in_toml(field.default)}`", row
        for promise in promises(field):
            assert promise in row[1], row


@pytest.mark.parametrize("name", POLICIES)
def test_each_rule_says_with_which_code_it_refuses(name: str) -> None:
    for row in rows_of(name):
        codes = re.findall(r"FS-\d{3}", row[3])
        assert codes, row
        assert set(codes) <= PROBLEMS.keys()
