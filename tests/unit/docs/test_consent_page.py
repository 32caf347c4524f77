"""docs/consent.md: every key of a policy is there, with what it is by default."""

import re
import tomllib
from typing import Any

import pytest

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import PROBLEMS
from fedsecure.membership.jobs_policy import JobsPolicy
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.consent.privacy_policy import PrivacyPolicy
from fedsecure_clients.consent.privacy_review import factor
from fedsecure_clients.state.studies import MIN_PREFIX, PENDING
from tests.unit.docs import page

PAGE = page.read("consent.md")
BLOCKS = page.blocks(PAGE, "policy")


def policy(name: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(BLOCKS[name])["policy"]
    return found


def test_the_defaults_are_those_of_the_code() -> None:
    assert Policy.model_validate(policy("defaults")) == Policy()
    without = {name for name in Policy.model_fields if getattr(Policy(), name) is None}
    assert policy("defaults").keys() == Policy.model_fields.keys() - without


def test_every_example_is_a_policy() -> None:
    for name in BLOCKS:
        Policy.model_validate(policy(name))


def test_the_table_has_every_key_with_its_code() -> None:
    rows = page.table(page.section(PAGE, "The policy"))
    keys = {key for row in rows for key in re.findall(r"`(\w+)`", row[0])}
    assert keys == Policy.model_fields.keys()
    codes = {code for row in rows for code in row[2].split(", ")}
    assert codes == {
        f"FS-{number}" for number in [*range(410, 420), 430, 431, 448, 762]
    }


def test_every_key_of_what_must_be_protected_is_there_with_its_default() -> None:
    section = page.section(PAGE, "What may be told at most")
    named = [row for row in page.table(section) if row[0].startswith("`")]
    rows = [row for row in named if len(row) == 4]
    fields = PrivacyPolicy.model_fields
    assert [page.code(row[0]) for row in rows] == list(fields)
    defaults = {name: row[1].strip("`") for name, row in zip(fields, rows, strict=True)}
    assert defaults == {
        "required": str(PrivacyPolicy().required).lower(),
        "unit": f'"{PrivacyPolicy().unit}"',
        "max_epsilon": "none",
        "max_delta": str(PrivacyPolicy().max_delta),
    }
    units = [page.code(row[0]) for row in named if len(row) == 2]
    assert units == [unit.value for unit in Unit]
    for epsilon in (0.5, 2):
        assert f"{factor(epsilon)} for {epsilon}" in section


def test_every_key_of_what_may_be_made_of_shared_numbers_is_there() -> None:
    section = page.section(PAGE, "What may be made of shared numbers")
    rows = {page.code(row[0]): row[1:] for row in page.table(section)}
    assert rows.keys() == JobsPolicy.model_fields.keys()
    assert {name: (row[0], row[2]) for name, row in rows.items()} == {
        "receivers": ("none", "FS-442"),
        "min_owners": (f"`{JobsPolicy().min_owners}`", "FS-447"),
    }


def test_what_the_page_counts_is_what_the_code_keeps() -> None:
    words = {8: "eight"}
    assert f"first {words[MIN_PREFIX]} digits" in PAGE
    assert f"newest {PENDING} studies" in " ".join(PAGE.split())


@pytest.mark.parametrize("code", re.findall(r"FS-\d{3}", PAGE))
def test_every_code_exists(code: str) -> None:
    assert code in PROBLEMS
