"""Every command that prints a table, with long names, at every width and in a pipe."""

import fcntl
import io
import os
import pty
import re
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from fedsecure.audit import page
from fedsecure.audit.findings import Finding as AuditFinding, Report, Store
from fedsecure.cli import doctor, explain, join
from fedsecure.cli.rounds import app
from fedsecure.demo import sights as demo
from fedsecure.doctor.findings import Finding, State
from fedsecure.membership.changes import Change
from fedsecure.owner.recorder import RoundReport
from fedsecure.protocol.identity import AggregatorParty, Role
from fedsecure.protocol.statements import Purpose
from fedsecure.review.terminal.progress import RoundTable
from fedsecure.study.remarks import Figures
from fedsecure.terminal import text_tables
from fedsecure_bench import progress as benches
from fedsecure_bench.results import Result as Measured
from fedsecure_clients.cli import status as statuses
from fedsecure_clients.data import data_report as data_reports
from fedsecure_clients.data.examples import Inspection, Problem
from fedsecure_clients.state.outcomes import Answered
from fedsecure_clients.state.refusals import Refusal

WIDTHS = (60, 80, 100, 120)
TITLE = "Thirty-day readmission after heart failure, five university hospitals"
LONG = (TITLE, "FedAdagrad")
OWNER = "university-hospital-of-northern-switzerland"
NORTH, SOUTH = "northern-cantons-trust-center", "southern-cantons-trust-center"
RUN = "readmission-after-heart-failure-20260302-140000-3bc2"
EVERYTHING = "SELECT * FROM v_round"
README = "SELECT run, round, in_set, outcome, loss, auc FROM v_round"


@pytest.fixture
def store(told: Path) -> Path:
    """A round store whose run, study and data owners have long names."""
    with closing(sqlite3.connect(told)) as connection:
        connection.execute("UPDATE runs SET title = ?, strategy = ?", LONG)
        connection.execute(
            "UPDATE participations SET data_owner = ? WHERE data_owner = 'va'", [OWNER]
        )
        connection.commit()
    return told


def run(*words: str | Path, width: int | None = None) -> Result:
    env = {"COLUMNS": None if width is None else str(width), "TERM": "xterm"}
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


def require_readable(text: str, width: int) -> str:
    """Check that nothing is cut or broken; return the text without its line ends."""
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert not re.search(r"\.{3}", text)
    return " ".join(text.split())


COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "list": (("list",), ("complete", "void: 2 reported, 3 needed", "final", "0.3500")),
    "runs": (("list", "--runs"), ("heart-1", "completed")),
    "show": (("show", "2"), (OWNER, "offline", "round-grant", "aggregate-share")),
    "show void": (("show", "3.1"), ("void", "cleveland")),
    "all of v_round": (
        ("sql", "-c", EVERYTHING),
        ("in_set", "spec_digest", "total_weight", "void: 2 reported, 3 needed"),
    ),
    "some of v_round": (("sql", "-c", README), ("heart-1", "0.35", "1 missing")),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_rounds_can_be_read_at_any_width(
    store: Path, name: str, width: int
) -> None:
    words, wanted = COMMANDS[name]
    result = run(*words, "--db", store, width=width)
    assert result.exit_code == 0, result.output
    output = require_readable(result.stdout, width)
    for one in wanted:
        assert one in output


@pytest.mark.parametrize("name", COMMANDS)
def test_in_a_pipe_every_row_is_one_line_with_every_column(
    store: Path, name: str
) -> None:
    words, wanted = COMMANDS[name]
    shown = run(*words, "--db", store).stdout
    assert "left out" not in shown
    assert "…" not in shown
    for one in wanted:
        assert one in shown
    if name == "runs":
        (line,) = (line for line in shown.splitlines() if TITLE in line)
        assert "FedAdagrad" in line


def test_a_terminal_shows_whole_rows(store: Path) -> None:
    """The question of README.md, at a real terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    query = EVERYTHING
    words = ["rounds", "sql", "--db", str(store), "-c", query]
    env = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-m", "fedsecure", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**env, "TERM": "xterm", "NO_COLOR": "1"},
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        assert process.wait() == 0
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode("utf-8")).replace("\r", "")
    output = require_readable(text, 80)
    assert output.count("spec_digest") == 5
    assert "void: 2 reported, 3 needed" in output


def measured(step: str) -> Measured:
    return Measured(
        bench="core",
        step=step,
        d=10**6,
        threads=1,
        median=1.5,
        unit="ns/parameter",
        spread=0.1,
        ratio_to=f"{step} in TF Encrypted",
        ratio=12.0,
    )


def report() -> Report:
    found = Report()
    path = "/srv/federations/readmission/exports/2026-03-02/northern.jsonl"
    found.stores.append(Store(NORTH, "aggregator", path, 12_345, 12_345, False))
    for check in (1, 4, 18):
        found.look(check)
    where = f"{RUN} train round 12 at {SOUTH}"
    found.add(AuditFinding(4, "FS-626", NORTH, where, "its opening is another"))
    found.notes.append(f"12 reports: {RUN}")
    return found


def change() -> Change:
    party = AggregatorParty.model_construct(
        name=NORTH, url="https://north.hospital-network.example:8443"
    )
    return Change("new", Role.AGGREGATOR, party)


def status() -> RenderableType:
    output = {NORTH: "in set of 5", SOUTH: "not in set of 5"}
    answered = [Answered(RUN, 12, "train", 2, "disputed", output)]
    refusal = Refusal(1.8e9, RUN, 13, "train", "FS-418", f"{RUN} was not approved")
    return statuses.page(
        statuses.Status(
            OWNER,
            {NORTH: (12, 10**9), SOUTH: (12, 10**9)},
            {"disputed": 1},
            answered,
            ["d" * 64],
            [refusal],
            1,
        )
    )


def problems() -> RenderableType:
    column = "left_ventricular_ejection_fraction_percent"
    places = (Problem("FS-104", f"row 12,345, column {column}", "is 400"),)
    found = data_reports.DataReport(
        Path("/srv/data/readmission.csv"),
        Inspection(Path("a.csv"), 12, places, None, every=places),
        (),
        (column,),
    )
    return data_reports.show(found)


PAGES: dict[str, tuple[Callable[[], RenderableType], tuple[str, ...]]] = {
    "audit": (
        lambda: page.audit_page(report()),
        (NORTH, "12,345", "FS-626", "1 found"),
    ),
    "status": (status, (OWNER, NORTH, SOUTH, "disputed", "not in set of 5", "FS-418")),
    "doctor": (
        lambda: text_tables.table(
            doctor.COLUMNS,
            [Finding(f"reaches {NORTH}", State.FAILS, f"no answer of {SOUTH}")],
        ),
        (f"reaches {NORTH}", "fails"),
    ),
    "data check": (problems, ("row 12,345", "FS-104", "A number is out of range")),
    "explain": (
        explain._list,
        ("FS-310", "An upload does not belong where it was sent"),
    ),
    "demo": (
        lambda: text_tables.table(
            demo.COLUMNS,
            [demo.Seen(NORTH, "sealed vectors", 12, 10**9, "random numbers")],
        ),
        (NORTH, "sealed vectors", "1,000,000,000"),
    ),
    "join": (
        lambda: text_tables.table(join.COLUMNS, [change()]),
        (NORTH, "https://north.hospital-network.example:8443"),
    ),
    "bench": (
        lambda: benches.table("Core", [measured("open and add, from memory")]),
        ("open and add, from memory", "ns/parameter"),
    ),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_every_other_table_can_be_read_at_any_width(name: str, width: int) -> None:
    page, wanted = PAGES[name]
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(page())
    output = require_readable(file.getvalue(), width)
    for one in wanted:
        assert one in output


def test_receipts_that_are_checked_without_a_store_show_no_empty_table() -> None:
    """As `fedsecure agent receipts verify` prints them."""
    own = Report()
    own.look(17)
    file = io.StringIO()
    Console(file=file, width=80, highlight=False).print(page.audit_page(own))
    first = file.getvalue().splitlines()[0].split()
    assert first[0] == "check"
    assert "ledger" not in file.getvalue().split("\n\n")[0]


@pytest.mark.parametrize("width", [40, *WIDTHS])
def test_the_table_of_a_training_says_what_it_leaves_out(width: int) -> None:
    file = io.StringIO()
    table = RoundTable("x", Console(file=file, width=width, highlight=False))
    metrics = {"loss": 0.5, "auc": 0.8, "accuracy": 0.7}
    table.row(
        RoundReport(
            round=12,
            purpose=Purpose.TRAIN,
            attempt=1,
            cohort=5,
            included=4,
            missing=(OWNER,),
            receipts={NORTH: 4, SOUTH: 4},
            figures=Figures(True, 4, 0.25, None, 0, 0, moved=True),
            metrics=metrics,
            seconds=12.0,
            bytes_up=10**6,
            reason=None,
        )
    )
    output = require_readable(file.getvalue(), width)
    for word in ("round", "sites", "clipped", "loss", "seconds", "kB up"):
        assert word in output  # as a column, or as left out
    assert f"missing: {OWNER}" in output or width < len(OWNER) + 20
