"""docs/protocol.md, its section on jobs: what it says is what the code does."""

import json
import re
from typing import Any

import pytest

from fedsecure.protocol.identity import Role
from fedsecure.protocol.jobs import parts, programs
from fedsecure.protocol.jobs.statements import AUTHOR_FIELD, MAX_CLIENTS, SIGNERS
from fedsecure.protocol.statements import Statement
from tests.unit.docs import page

PAGE = page.read("protocol.md")
(JOBS,) = (part for part in PAGE.split("\n## ") if part.startswith("Jobs\n"))
EXAMPLES = page.blocks(JOBS, "example")
VECTORS = page.ROOT / "tests" / "vectors"
ROLES = {
    Role.MODEL_OWNER: "the model owner",
    Role.DATA_OWNER: "a data owner",
    Role.CLIENT: "a client",
    Role.AGGREGATOR: "an aggregator",
}
PROGRAMS = {
    "input": programs.InputField,
    "operation": programs.OperationField,
    "linear program": programs.LinearField,
}


def signed_by(kind: type[Statement]) -> str:
    """The roles of a statement, in words."""
    *most, last = [name for role, name in ROLES.items() if role in SIGNERS[kind]]
    return f"{', '.join(most)} or {last}" if most else last


@pytest.mark.parametrize("kind", SIGNERS, ids=lambda kind: kind.typ)
def test_every_statement_is_there_with_its_fields_and_signers(
    kind: type[Statement],
) -> None:
    text = page.section(PAGE, kind.typ)
    fields = {page.code(row[0]): row[1] for row in page.table(text)}
    assert list(fields) == list(kind.model_fields)
    for name, field in kind.model_fields.items():
        nullable = type(None) in getattr(field.annotation, "__args__", ())
        assert nullable == fields[name].endswith("or null"), name
    author = AUTHOR_FIELD.get(kind)
    named = f" (`{author}`)" if author else ""
    said = " ".join(text.split()).partition(".")[0]
    assert said == f"Signed by {signed_by(kind)}{named}"


def test_no_statement_about_a_job_is_described_that_does_not_exist() -> None:
    titles = re.findall(r"^### (job-\S+)$", PAGE, re.MULTILINE)
    assert titles == [kind.typ for kind in SIGNERS]


@pytest.mark.parametrize("what", PROGRAMS)
def test_parts_of_programs_are_there_with_their_fields(what: str) -> None:
    (table,) = re.findall(
        rf"^\| field of an? {what} \|.*?\n(?=<!--)", JOBS, re.DOTALL | re.MULTILINE
    )
    fields = [page.code(row[0]) for row in page.table(table)]
    assert fields == [name for name in PROGRAMS[what].model_fields if name != "type"]


def test_the_limits_of_programs_are_there() -> None:
    words = " ".join(JOBS.split())
    side, bits = programs.MAX_SIDE.bit_length() - 1, programs.MAX_BITS
    for claim in (
        f"`inputs` (1 to {programs.MAX_INPUTS})",
        f"`operations` (at most {programs.MAX_OPERATIONS})",
        f"| `rows` | integer, 1 to 2^{side} |",
        f"| `fraction_bits` | integer, 0 to {bits} |",
        f"list of at most {MAX_CLIENTS:,} names",
        f"integer, {parts.MIN_KEY_BITS} to {parts.MAX_KEY_BITS}, or null",
    ):
        assert claim in words, claim


@pytest.mark.parametrize("label", EXAMPLES)
def test_the_values_of_an_example_are_those_of_the_vectors(label: str) -> None:
    file, _, name = label.partition(" ")
    cases = json.loads((VECTORS / file).read_text("utf-8"))
    known: dict[str, Any] = next(
        case for case in cases if case["name"] == json.loads(name)
    )
    shown = page.values(EXAMPLES[label])
    assert len(shown) >= 2
    for key, value in shown.items():
        told = json.loads(value)
        if isinstance(told, str) and told.endswith("..."):
            assert str(known[key]).startswith(told[:-3])
        else:
            assert told == known[key], key
