"""What was spent of a budget, and metrics with their noise, wherever a run is shown."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fedsecure.core.dp.accountant import PICO, epsilon
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.owner.recorder import RoundReport
from fedsecure.protocol.statements import Purpose
from fedsecure.review import html_report, privacy, records
from fedsecure.review.plots import panels
from fedsecure.review.plots.curves import curves
from fedsecure.review.reading import open_round_store
from fedsecure.review.records import RoundRow, RunRow
from fedsecure.review.terminal.progress import RoundTable
from fedsecure.review.terminal.run_tables import metric, round_list
from fedsecure.study.privacy import Privacy
from fedsecure.study.remarks import Figures
from fedsecure.terminal.screen import Console
from fedsecure.terminal.values import measured

RHO = 0.01
Run = tuple[RunRow, Sequence[RoundRow]]


@pytest.fixture
def noisy(told: Path) -> Run:
    """The story, as if its rounds had had noise."""
    with open_round_store(told) as session:
        run = records.find_run(session)
        rows = records.rounds(session, run.run)
    run = replace(
        run,
        unit="row",
        epsilon=1.2,
        epsilon_outsider=0.8,
        study_epsilon=1.5,
        epsilon_budget=2.0,
        delta=1e-5,
    )
    return run, [_with_noise(row) for row in rows]


def _with_noise(row: RoundRow) -> RoundRow:
    if row.state != "opened":
        return row
    row = replace(row, rho=RHO, clip_rate=None, loss=None, accuracy=None, auc=None)
    if row.purpose == "train":
        return row
    return replace(
        row,
        loss=0.512,
        loss_deviation=0.081,
        accuracy=0.7931,
        accuracy_deviation=0.0512,
        auc=0.861,
        auc_deviation=0.0021,
    )


def printed(what: object) -> str:
    file = io.StringIO()
    Console(file=file, width=200, highlight=False).print(what)
    return file.getvalue()


@pytest.mark.parametrize(
    ("value", "digits", "deviation", "shown"),
    [
        (0.7931, 3, 0.0512, "0.79 ± 0.05"),
        (0.861, 3, 0.0021, "0.861 ± 0.002"),
        (0.861, 3, 1e-9, "0.861 ± 0.000"),
        (1.5, 4, 2.25, "1.50 ± 2.25"),
        (0.5, 4, None, "0.5000"),
        (0.5, 4, 0.0, "0.5000"),
    ],
)
def test_a_number_has_no_more_digits_than_its_noise_leaves(
    value: float, digits: int, deviation: float | None, shown: str
) -> None:
    assert measured(value, digits, deviation).plain == shown


def test_rounds_without_metrics_show_a_dash_and_the_list_says_why(noisy: Run) -> None:
    run, rows = noisy
    assert [metric(row, "loss", 4).plain for row in rows] == [
        *["-"] * 4,  # of which one is void
        "0.51 ± 0.08",
    ]
    undefined = replace(rows[-1], auc=None)
    assert metric(undefined, "auc", 3).plain == "n/a"
    text = printed(round_list(run, rows, []))
    assert "epsilon 1.50 of 2 spent, at delta 1e-05, over all runs" in text
    assert "this run 1.20 if one server is corrupt, 0.80 for outsiders" in text
    assert privacy.BARE in text


def test_a_run_without_noise_says_nothing_of_budgets(told: Path) -> None:
    with open_round_store(told) as session:
        run = records.find_run(session)
        rows = records.rounds(session, run.run)
        people = records.participations_of(session, run.run)
    assert privacy.told(run) is None
    assert curves(run, rows).spending is None
    page = html_report.page(run, rows, people)
    assert "epsilon" not in page.lower()


def test_curves_show_the_evaluation_alone_and_what_was_spent(noisy: Run) -> None:
    shown = curves(*noisy)
    assert [(one.name, one.at, one.noise) for one in shown.metrics] == [
        ("Loss", [3], [0.081]),
        ("AUC", [3], [0.0021]),
    ]
    assert shown.metrics[0].span == pytest.approx((0.431, 0.593))
    assert not shown.bars.clipping
    spending = shown.spending
    assert spending is not None
    opened = len([row for row in noisy[1] if row.rho])
    assert spending.budget == 2.0
    assert spending.values == pytest.approx(
        [epsilon(round(n * RHO * PICO), 1e-5) for n in range(opened + 1)]
    )
    # Of a long run a part is shown: what was spent before it is not known then.
    assert curves(noisy[0], noisy[1][1:]).spending is None
    assert panels.SPENT > 0


def test_the_report_says_what_was_spent_and_why_rounds_have_no_metrics(
    noisy: Run,
) -> None:
    page = html_report.page(*noisy, people=[])
    for words in (
        "single rows",
        "epsilon 1.50 of 2, at delta 1e-05",
        "epsilon 0.80",
        "0.51 ± 0.08",
        "Rounds of training carry no metrics",
        "the line is the budget",
    ):
        assert words in page


def test_the_table_of_a_training_counts_what_was_spent(noisy: Run) -> None:
    del noisy
    file = io.StringIO()
    section = Privacy(unit=Unit.ROW, epsilon=2.0, delta=1e-5, unit_clip=1.0)
    table = RoundTable(
        "x", Console(file=file, width=120, highlight=False), budget=section
    )
    table.study("ab" * 32)
    row = RoundReport(
        round=1,
        purpose=Purpose.TRAIN,
        attempt=1,
        cohort=4,
        included=4,
        missing=(),
        receipts={"north": 4, "south": 4},
        figures=Figures(True, 4, None, None, 0, 0, moved=True),
        metrics={},
        seconds=1.0,
        bytes_up=1000,
        reason=None,
        epsilon=0.35,
    )
    table.row(row)
    metrics = {"loss": 0.512, "auc": None, "accuracy": 0.7931}
    noise = {"loss": 0.081, "auc": None, "accuracy": 0.0512}
    final = replace(
        row, purpose=Purpose.EVALUATE, metrics=metrics, deviations=noise, epsilon=0.61
    )
    table.row(final)
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert "at most epsilon 2 at delta 1e-05" in file.getvalue()
    assert lines[2][4:8] == ["epsilon", "loss", "AUC", "accuracy"]
    assert lines[3] == ["1", "4/4", "4", "4", "0.35", "-", "-", "-", "1.00", "1.0"]
    assert lines[4][4:] == [
        "0.61",
        "0.51",
        "±",
        "0.08",
        "n/a",
        "0.79",
        "±",
        "0.05",
        "1.00",
        "1.0",
    ]
