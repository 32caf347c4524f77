"""Every code is in the table, used, explained, and on the page docs/errors.md."""

import ast
import re
from collections import defaultdict
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import pytest

from fedsecure.cli import COMMANDS, GROUP, explain
from fedsecure.errors import PROBLEMS
from tests.unit.docs import page

CODE: Final = re.compile(r"FS-\d{3}")
PROGRAMS: Final = ("fedsecure", "clients", "aggregator", "bench")
TABLE: Final = "fedsecure/errors/"  # it names all


@cache
def used() -> dict[str, set[str]]:
    """Return the files of the programs that use each code, not only mention it."""
    found = defaultdict(set)
    for folder in PROGRAMS:
        for path in sorted((page.ROOT / folder).rglob("*.py")):
            where = path.relative_to(page.ROOT).as_posix()
            if where.startswith(TABLE):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and _is_code(node.value):
                    found[str(node.value)].add(where)
    return found


def _is_code(value: object) -> bool:
    return isinstance(value, str) and CODE.fullmatch(value) is not None


def test_the_page_is_what_the_table_says() -> None:
    assert page.read("errors.md") == explain.markdown(), (
        "type: fedsecure explain --markdown > docs/errors.md"
    )


def test_every_code_that_the_programs_use_is_in_the_table() -> None:
    assert sorted(used().keys() - PROBLEMS.keys()) == []


def test_every_row_of_the_table_is_used_by_the_programs() -> None:
    files = used()
    assert {code for code in PROBLEMS if not files.get(code)} == set()


def test_titles_tell_problems_apart() -> None:
    titles = [problem.title for problem in PROBLEMS.values()]
    assert sorted(title for title in {*titles} if titles.count(title) > 1) == []


def test_families_follow_one_another_and_none_is_empty() -> None:
    ends = [family.last for family in explain.FAMILIES]
    assert ends == sorted(set(ends))
    homes = [explain.family(code) for code in PROBLEMS]
    assert {home.name for home in homes} == {one.name for one in explain.FAMILIES}
    starts = [str(home.last)[0] for home in homes]
    assert starts == [code[3] for code in PROBLEMS]  # none goes over a hundred


# Those of the network, of a machine and of a person's own files are not here: other
# programs of the same family meet them too.
ONLY_AGGREGATOR: Final = (339, 409, 540)
NEVER_AGGREGATOR: Final = (
    199,
    299,
    350,
    359,
    363,
    364,
    367,
    379,
    389,
    419,
    425,
    427,
    439,
    519,
)


def test_only_what_aggregators_answer_has_a_status() -> None:
    answered = {code for code, row in PROBLEMS.items() if explain.status(row)}
    told = {code for code, row in PROBLEMS.items() if row.answered or row.retry}
    assert answered >= {*told, "FS-705"}
    assert not answered & {"FS-520", "FS-725", "FS-744", "FS-801"}
    assert explain.status(PROBLEMS["FS-523"]) == 503


@pytest.mark.parametrize("family", explain.FAMILIES, ids=lambda family: family.name)
def test_a_family_says_rightly_whether_aggregators_answer_it(
    family: explain.Family,
) -> None:
    files = used()
    codes = [code for code in PROBLEMS if explain.family(code) is family]
    at_aggregator = [
        code
        for code in codes
        if PROBLEMS[code].retry is not None  # it is an aggregator that says so
        or any(Path(one).parts[0] == "aggregator" for one in files[code])
    ]
    if family.last in ONLY_AGGREGATOR:
        assert family.answered
        assert at_aggregator == codes
    if family.last in NEVER_AGGREGATOR:
        assert not family.answered
        assert at_aggregator == []


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_remedy_names_only_commands_that_exist(code: str) -> None:
    installed = {point.name for point in entry_points(group=GROUP)}
    named = re.findall(r"`fedsecure ([a-z][a-z-]*)", PROBLEMS[code].remedy)
    assert {*named} - {*COMMANDS} - installed == set()
