"""What others wrote is shown, and does not steer a person's terminal."""

import ast
import io
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from rich.table import Table
from rich.text import Text

from fedsecure.errors import FedsecureError, OperatorError, one_line, printable
from fedsecure.terminal.screen import Console, printable_event

ROOT = Path(__file__).parents[3]
ORDERS = [
    "\x1b[2J",
    "\x00",
    "\x07",
    "\r",
    "\x9b31m",
    "\u202e",
    "\udcfc",
    "\x1b]0;t\x07",
]


@pytest.mark.parametrize("order", ORDERS, ids=ascii)
def test_an_order_in_a_text_does_not_reach_the_terminal(order: str) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=60)
    table = Table("column")
    table.add_row(Text(f"age{order}years", "bold"))
    console.print(table)
    console.print(f"plain age{order}years")
    assert order not in shown.getvalue()
    assert "age" in shown.getvalue()
    assert "\x1b[1m" in shown.getvalue()  # our own colours do


@pytest.mark.parametrize("order", ORDERS, ids=ascii)
def test_an_error_is_printable_wherever_it_is_shown(order: str) -> None:
    error = OperatorError("FS-101", f"a.csv names columns twice: age{order}\nline 2")
    assert order not in str(error)
    assert error.detail.isprintable() is False  # the line end, and that alone
    assert error.detail.replace("\n", "").isprintable()
    str(error).encode("utf-8")


def test_lines_and_letters_of_all_languages_stay_as_they_are() -> None:
    text = "Zürich 東京 naïve\nsecond line"
    assert printable(text) == text
    assert one_line("two\nlines") == "two?lines"


@pytest.mark.parametrize("order", [*ORDERS, "\n"], ids=ascii)
def test_a_line_of_the_log_is_one_line_without_orders(
    order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    render = structlog.dev.ConsoleRenderer(colors=False)
    log = structlog.wrap_logger(
        structlog.PrintLogger(), processors=[printable_event, render]
    )
    log.warning("not_reported", error=f"folder {order} is no class")
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert order not in output.removesuffix("\n")


def test_programs_use_no_other_way_to_the_terminal() -> None:
    others = [
        path.relative_to(ROOT).as_posix()
        for folder in ("fedsecure", "clients", "aggregator", "bench")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module == "rich.console"
        and any(alias.name == "Console" for alias in node.names)
    ]
    assert others == []


def test_the_header_of_a_table_does_not_steer_the_terminal_of_data_check(
    tmp_path: Path,
) -> None:
    data = tmp_path / "a.csv"
    header = "age,sex,\x1b[2Jname,\x00patient\n"
    data.write_text(header + "1,2,3,4\n", encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fedsecure", "agent", "data", "check", str(data)),
            *("--schema", str(ROOT / "studies" / "heart" / "schema.toml")),
        ],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert b"\x1b" not in done.stdout
    assert b"\x00" not in done.stdout
    assert b"?[2Jname" in done.stdout


def test_a_copy_of_an_error_says_the_same() -> None:
    error = FedsecureError("FS-101", "a\x1bb")
    assert str(type(error)(*error.args)) == str(error)
