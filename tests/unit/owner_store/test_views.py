# ruff: noqa: S608 - every piece of these queries is written here
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.unit.owner_store.round_story import (
    HOSPITALS,
    RUN,
    model,
    open_round,
    open_store,
    run_started,
    spec,
    tell,
)

V_RUN = "run study title state started_at finished_at planned_rounds opened_rounds \
void_rounds strategy weighting min_cohort clip statistics_clip unit epsilon \
epsilon_outsider study_epsilon epsilon_budget delta model reason \
from_run from_round entry"
V_ROUND = "run round purpose attempt state proposed_at decided_at cohort min_cohort \
in_set missing rho total_weight clip_rate statistics_clip_rate clamped undefined loss \
accuracy auc loss_deviation accuracy_deviation auc_deviation \
seconds bytes_up started_from made model model_file \
outcome verdict verdict_note verdict_by verdict_at set_digest spec_digest entry"
V_PARTICIPATION = "run round purpose attempt data_owner status reason asked_at \
decided_at receipt_a receipt_b report_id rho spec_digest entry"
V_EVENT = "entry at kind run round purpose attempt spec_digest hash"


def ask(place: str, query: str) -> list[tuple[object, ...]]:
    engine = create_engine(place)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return rows


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        ("v_run", V_RUN),
        ("v_round", V_ROUND),
        ("v_participation", V_PARTICIPATION),
        ("v_event", V_EVENT),
    ],
)
def test_the_views_keep_the_names_and_the_order_of_their_columns(
    told: str, view: str, columns: str
) -> None:
    engine = create_engine(told)
    with engine.connect() as connection:
        assert list(connection.execute(text(f"SELECT * FROM {view}")).keys()) == (
            columns.split()
        )
    engine.dispose()


def test_v_round_tells_the_story_in_order(told: str) -> None:
    columns = "round, attempt, state, in_set, missing, total_weight, clip_rate, loss, \
auc, seconds, bytes_up, outcome"
    assert ask(told, f"SELECT {columns} FROM v_round ORDER BY entry") == [
        (1, 1, "opened", 4, None, 1024, 0.25, 0.7, None, 0.8, 12048, "complete"),
        (2, 1, "opened", 3, "va", 768, 0.3333, 0.35, None, 0.8, 12048, "1 missing"),
        (3, 1, "void", None, "switzerland, va", None, None, None, None, 0.5, None,
         "void: 2 reported, 3 needed"),
        (3, 2, "opened", 4, None, 1024, 0.25, 0.233333, None, 0.8, 12048, "complete"),
        (4, 1, "opened", 4, None, 1024, None, 0.2, 0.875, 0.8, 10400, "complete"),
    ]  # fmt: skip


def test_times_are_iso_8601_in_utc_and_the_run_shows_its_newest_model(
    told: str,
) -> None:
    assert ask(
        told, "SELECT started_at, finished_at, opened_rounds, void_rounds FROM v_run"
    ) == [("2026-03-02T14:00:00Z", "2026-03-02T14:00:05Z", 3, 1)]
    newest = (
        "SELECT model FROM v_round WHERE model IS NOT NULL ORDER BY round DESC LIMIT 1"
    )
    assert ask(told, newest) == ask(told, "SELECT model FROM v_run")


def test_an_auditor_answers_the_usual_questions_in_sql(told: str) -> None:
    too_small = (
        "SELECT count(*) FROM v_round WHERE state = 'opened' AND in_set < min_cohort"
    )
    twice = (
        "SELECT round FROM v_round WHERE state = 'opened' GROUP BY run, round, purpose \
HAVING count(*) > 1"
    )
    absent = "SELECT data_owner, status, reason FROM v_participation \
WHERE round = 2 AND status <> 'in set'"
    without = "SELECT count(*) FROM v_participation \
WHERE status = 'in set' AND (receipt_a IS NULL OR receipt_b IS NULL)"
    assert ask(told, too_small) == [(0,)]
    assert ask(told, twice) == []
    assert ask(told, absent) == [("va", "offline", "no answer in time")]
    assert ask(told, without) == [(0,)]


def test_v_event_says_what_each_entry_is_about(told: str) -> None:
    rows = ask(
        told, "SELECT entry, kind, run, round, attempt FROM v_event ORDER BY entry"
    )
    assert rows[0] == (1, "run-started", RUN, None, None)
    assert rows[11] == (12, "round-void", RUN, 3, 1)
    assert rows[20] == (21, "run-finished", RUN, None, None)


def test_an_undecided_round_is_shown_with_nobody_missing(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        open_round(store, spec(1), HOSPITALS[:3])
    columns = "state, in_set, missing, seconds, outcome"
    assert ask(place, f"SELECT {columns} FROM v_round") == [
        ("opening", 3, None, None, "undecided")
    ]


def test_the_schema_can_be_read_in_the_sqlite_shell(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "rounds.db")) as store:
        tell(store, tmp_path)
    connection = sqlite3.connect(tmp_path / "rounds.db")
    (definition,) = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'v_round'"
    ).fetchone()
    (first,) = connection.execute(
        "SELECT spec_digest FROM v_round ORDER BY entry"
    ).fetchone()
    connection.close()
    assert "STARTED" in definition
    assert first == spec(1).digest
