import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from fedsecure.cli.rounds import app
from fedsecure.errors import FedsecureError
from fedsecure.review import records
from fedsecure.review.reading import open_round_store
from fedsecure.review.terminal import run_tables
from tests.unit.owner_store.round_story import RUN, SERVERS, spec

WIDTHS = (50, 80, 100, 140)


def run(*words: str | Path, width: int = 80, **environment: str) -> Result:
    env = {"COLUMNS": str(width), "TERM": "xterm", **environment}
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


def output_of(*words: str | Path, width: int = 80) -> str:
    result = run(*words, width=width)
    assert result.exit_code == 0, result.output
    return result.stdout


def answered(*words: str | Path) -> Any:
    return json.loads(output_of(*words, "--json"))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_list_fits_the_terminal_and_says_how_every_round_ended(
    told: Path, width: int
) -> None:
    lines = output_of("list", "--db", told, width=width).splitlines()
    assert max(map(len, lines)) <= width
    shown = "\n".join(lines)
    for words in ("complete", "missing: va", "void: 2 reported", "final", "3.1", "3.2"):
        assert words in shown
    assert re.search(r"^ +2 .*3/4.* 0\.3500 ", shown, re.MULTILINE)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["2", "3.1", "final"])
def test_a_round_in_full_fits_the_terminal(told: Path, which: str, width: int) -> None:
    lines = output_of("show", which, "--db", told, width=width).splitlines()
    assert max(map(len, lines)) <= width
    shown = "\n".join(lines)
    for server in SERVERS:
        assert server in shown
    assert "cleveland" in shown


def test_a_round_in_full_says_who_was_missing_and_why(told: Path) -> None:
    shown = output_of("show", "2", "--db", told)
    assert shown.startswith("Round 2 of heart-1: opened, missing: va\n")
    assert re.search(r"va +offline +- +no answer in time", shown)
    assert re.search(r"clipped +1 of 3 updates \(33%\)", shown)
    assert "Metrics of the model that the round started from" in shown
    assert spec(2).digest in shown
    assert "Metrics of the final model" in output_of("show", "final", "--db", told)
    assert output_of("show", "3.1", "--db", told).startswith(
        "Round 3.1 of heart-1: void (2 reported, 3 needed)\n"
    )


def test_json_has_stable_keys_and_nothing_else_is_printed(told: Path) -> None:
    listed = answered("list", "--db", told)
    assert set(listed) == {"run", "rounds"}
    assert [row["outcome"] for row in listed["rounds"]] == [
        "complete",
        "1 missing",
        "void: 2 reported, 3 needed",
        "complete",
        "complete",
    ]
    assert [one["run"] for one in answered("list", "--runs", "--db", told)["runs"]] == [
        RUN
    ]
    shown = answered("show", "2", "--db", told)
    assert set(shown) == {
        "run",
        "round",
        "spec",
        "metrics",
        "deviations",
        "clipped",
        "clamped",
        "stage_seconds",
        "files",
        "participations",
        "statements",
        "events",
        "other_attempts",
    }
    assert shown["metrics"] == {"accuracy": 0.75, "auc": None, "loss": 0.35}
    assert shown["spec"]["cohort"] == ["cleveland", "hungary", "switzerland", "va"]
    assert shown["round"] == listed["rounds"][1]


def test_colours_are_left_out_when_nobody_wants_them(told: Path) -> None:
    coloured = run("list", "--db", told, FORCE_COLOR="1").stdout
    assert "\x1b[" in coloured
    assert (
        "\x1b[3" not in run("list", "--db", told, FORCE_COLOR="1", NO_COLOR="1").stdout
    )


def test_a_reason_cannot_move_the_cursor_or_hide_itself(told: Path) -> None:
    with open_round_store(told) as session:
        chosen = records.find_run(session)
        listed = records.rounds(session, RUN)
    hostile = replace(listed[2], outcome="void: \x1b[2J\x1b[1;1H[bold]all is well[/]")
    terminal = io.StringIO()
    console = Console(width=100, file=terminal, force_terminal=True)
    console.print(run_tables.round_list(chosen, [hostile], []))
    shown = terminal.getvalue()
    assert "?[2J?[1;1H[bold]all is well[/]" in shown
    assert "\x1b[2J" not in shown


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("list", "--run", "lungs"), "FS-861"),
        (("show", "9"), "FS-862"),
        (("show", "1", "--run", "lungs"), "FS-861"),
    ],
)
def test_what_is_not_there_has_a_code(
    told: Path, words: tuple[str, ...], code: str
) -> None:
    error = run(*words, "--db", told).exception
    assert isinstance(error, FedsecureError)
    assert error.code == code


def test_a_missing_store_has_a_code(tmp_path: Path) -> None:
    error = run("list", "--db", tmp_path / "rounds.db").exception
    assert isinstance(error, FedsecureError)
    assert error.code == "FS-860"


def test_the_store_can_be_named_in_the_environment(told: Path) -> None:
    result = run("list", FEDSECURE_ROUND_STORE=str(told))
    assert RUN in result.stdout


@pytest.mark.parametrize("command", ["list", "show"])
def test_every_command_has_an_example(command: str) -> None:
    assert f"Example: fedsecure rounds {command}" in output_of(
        command, "--help", width=120
    )


@pytest.mark.parametrize(
    ("bytes_up", "shown"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (3_200_000_000_000, "3,200.0 GB"),
    ],
)
def test_sizes_are_in_powers_of_ten(bytes_up: int | None, shown: str) -> None:
    assert run_tables.size(bytes_up).plain == shown
