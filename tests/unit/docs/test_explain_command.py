"""`fedsecure explain` says what a code means, for whom, and what to do."""

import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fedsecure.cli import COMMANDS, explain
from fedsecure.errors import PROBLEMS


def run(*words: str, width: int = 80) -> Result:
    env = {"COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"}
    return CliRunner().invoke(explain.app, list(words), env=env)


def output_of(*words: str, width: int = 80) -> str:
    result = run(*words, width=width)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def answered(*words: str) -> list[dict[str, Any]]:
    return list(json.loads(output_of(*words, "--json"))["problems"])


def test_a_code_is_explained_with_title_meaning_status_and_remedy() -> None:
    shown = " ".join(output_of("FS-312").split())
    row = PROBLEMS["FS-312"]
    assert shown.startswith(f"FS-312 {row.title} ")
    assert "Who sent it sees the code" in shown
    assert f"HTTP {row.status.value}" in shown
    assert shown.endswith(f"-> {row.remedy}")


def test_a_code_that_no_aggregator_answers_has_no_status() -> None:
    assert "HTTP" not in output_of("FS-821")
    assert answered("FS-821")[0]["status"] is None


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_code_can_be_explained_in_a_narrow_terminal(code: str) -> None:
    lines = output_of(code, width=50).splitlines()
    assert max(map(len, lines)) <= 50
    assert answered(code) == [explain.as_data(PROBLEMS[code])]


@pytest.mark.parametrize(
    "text",
    ["FS-310", "fs310", "310", "FS 310", "fs_310:", "urn:fedsecure:problem:FS-310"],
)
def test_a_code_may_be_written_in_several_ways(text: str) -> None:
    assert explain.find(text) is PROBLEMS["FS-310"]


def test_options_may_come_before_or_behind_the_code() -> None:
    assert output_of("310", "--json") == output_of("--json", "310")


def test_without_a_code_all_are_listed_by_group() -> None:
    shown = output_of()
    assert [code for code in PROBLEMS if code not in shown] == []
    lines = [line.strip() for line in shown.splitlines()]
    places = [lines.index(family.name) for family in explain.FAMILIES]
    assert places == sorted(places)
    keys = {"code", "title", "group", "meaning", "remedy", "status"}
    listed = answered()
    assert [set(one) for one in listed] == [keys] * len(PROBLEMS)
    assert [one["code"] for one in listed] == sorted(PROBLEMS)


@pytest.mark.parametrize(
    ("text", "offered"), [("FS-309", "FS-307, FS-308, FS-310"), ("0", "FS-100")]
)
def test_for_an_unknown_code_the_closest_are_offered(text: str, offered: str) -> None:
    result = run(text)
    assert result.exit_code == 2
    assert offered in " ".join(result.output.split())


@pytest.mark.parametrize("text", ["", "hello", "FS-", "FS-3101", "310 311", "٣١٠"])
def test_what_is_no_code_is_refused_with_an_example(text: str) -> None:
    result = run(text)
    assert result.exit_code == 2
    assert "FS-310" in result.output


def test_explaining_is_one_of_the_commands() -> None:
    assert "explain" in COMMANDS


@pytest.mark.parametrize(
    ("code", "follows"),
    [
        ("FS-305", "the round is tried anew; not recorded"),
        ("FS-354", "both shares are fetched once more; the round is given up"),
        ("FS-513", "waited for"),
        ("FS-545", "asked again (`Retry-After: 60`)"),
        ("FS-314", "not recorded if it is of several records"),
        ("FS-304", "final for the round; a late report is not recorded"),
        ("FS-100", ""),
    ],
)
def test_what_follows_is_told_by_the_command_and_on_the_page(
    code: str, follows: str
) -> None:
    assert explain.follows(PROBLEMS[code]) == follows
    shown = output_of(code, width=200)
    assert ("What follows" in shown) == bool(follows)
    assert f"What follows: {follows}." in shown or not follows
    (row,) = [line for line in explain.markdown().splitlines() if f"| {code} |" in line]
    assert not follows or f"| {follows} |" in row


def test_a_command_does_not_wait_for_what_others_need() -> None:
    program = (
        "import sys\n"
        "from fedsecure.cli import main\n"
        "sys.argv = ['fedsecure', 'explain', 'FS-310']\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted({'sqlalchemy', 'flwr'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
