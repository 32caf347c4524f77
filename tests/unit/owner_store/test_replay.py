# ruff: noqa: S608 - every piece of these queries is written here
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest
from hypothesis import event, given, settings, strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from fedsecure.audit.findings import Report
from fedsecure.audit.stores.owner import KIND
from fedsecure.audit.verify import Progress, alone
from fedsecure.errors import OperatorError, RoundStateError
from fedsecure.owner.store import models
from fedsecure.owner.store.projection import project
from fedsecure.owner.store.records import (
    ModelKind,
    RoundJudged,
    RoundResult,
    RoundVoided,
    RunFinished,
    StoredModel,
    Verdict,
)
from fedsecure.owner.store.rounds import MIGRATIONS, RoundStore
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.ledger import read_chain
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.statements import Event, RoundSpec
from fedsecure.storage import database, revisions
from tests.unit.owner_store.round_story import (
    FEDERATION,
    HOSPITALS,
    RUN,
    Clock,
    author,
    grants,
    open_store,
    opening,
    run_started,
    shares,
    spec,
)

QUIET = Progress(lambda _what, _total: None, lambda _number: None)


@contextmanager
def opened(place: str) -> Iterator[Session]:
    engine = database.open_for_writing(database.locate(place))
    try:
        revisions.upgrade(engine, MIGRATIONS)
        with Session(database.writer(engine)) as session:
            yield session
    finally:
        engine.dispose()


def change(place: str, *statements: str) -> None:
    with opened(place) as session, session.begin():
        for statement in statements:
            session.execute(text(statement))


def test_every_event_is_the_owners_and_follows_the_one_before(told: str) -> None:
    with opened(told) as session:
        events = list(read_chain(session, models.Event, FEDERATION))
    assert [one.entry for one in events] == list(range(1, 22))
    assert [one.kind for one in events][:5] == [
        "run-started",
        "round-proposed",
        "round-granted",
        "round-opening",
        "round-opened",
    ]


def audited(place: str) -> Report:
    """Check a round store by itself."""
    report = Report()
    keys = Federations([FEDERATION])
    with alone(place, KIND, keys, report, QUIET):
        return report


def found(place: str) -> list[tuple[str, str, str]]:
    """Code, place and words of everything that is found."""
    return [(one.code, one.where, one.what) for one in audited(place).findings]


def test_projecting_the_ledger_again_gives_the_same_tables(told: str) -> None:
    report = audited(told)
    assert report.findings == []
    assert report.checked[4] > 50


TAMPERED = {
    "rounds": "UPDATE rounds SET set_size = 4 WHERE set_size = 3",
    "metrics": "UPDATE metrics SET value = 0.01 WHERE name = 'loss' AND value < 0.3",
    "participations": "UPDATE participations SET reason = '' WHERE status = 'offline'",
    "models": "UPDATE models SET sha256 = '00' WHERE path LIKE '%model-2%'",
    "runs": "UPDATE runs SET settings = '{}'",
    "subjects": "UPDATE subjects SET spec = NULL WHERE entry = 4",
}


@pytest.mark.parametrize("table", TAMPERED)
def test_a_row_that_was_changed_is_found(told: str, table: str) -> None:
    change(told, TAMPERED[table])
    assert {
        (code, where.split(" row ")[0].split()[-1]) for code, where, _ in found(told)
    } == {("FS-622", table)}


def test_a_time_that_was_changed_breaks_the_chain_there(told: str) -> None:
    change(told, "UPDATE events SET at = at - 86400 WHERE entry = 4")
    ((code, where, what),) = found(told)
    assert (code, where) == ("FS-601", "entry 4")
    assert "entries 1 to 3 are sound" in what


def test_rows_that_were_added_or_removed_are_found(told: str) -> None:
    digest = spec(2).digest
    change(
        told,
        f"DELETE FROM metrics WHERE spec_digest = '{digest}' AND name = 'loss'",
        f"INSERT INTO metrics VALUES ('{digest}', 'lossless', 0.1, NULL)",
    )
    assert [(where.split()[-1], what) for _, where, what in found(told)] == [
        ("loss", "removed"),
        ("lossless", "added"),
    ]


def test_events_cut_off_at_the_end_leave_rows_that_nothing_explains(told: str) -> None:
    change(
        told,
        "DELETE FROM subjects WHERE entry = 21",
        "DELETE FROM events WHERE entry = 21",
    )
    ((code, where, what),) = found(told)
    assert (code, where) == ("FS-622", f"runs row {RUN}")
    assert what.startswith(
        "state is 'completed', the ledger says 'running'; finished_at"
    )


BROKEN = {
    "hash": f"hash = '{'0' * 64}'",
    "kind": "kind = 'round-void'",
    "signature": "payload = substr(payload, 1, length(payload) - 9) || 'AAAAAAAAA'",
    "order": "payload = (SELECT payload FROM events WHERE entry = 8)",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_ledger_that_was_changed_is_refused_at_the_entry(
    told: str, what: str
) -> None:
    change(told, f"UPDATE events SET {BROKEN[what]} WHERE entry = 9")
    code = "FS-704" if what == "signature" else "FS-601"
    assert [(one[0], one[1]) for one in found(told)] == [(code, "entry 9")]


LIFE = ["propose", "grant", "name", "finish"]
LIVES = st.lists(
    st.tuples(
        st.integers(1, 2),  # round
        st.integers(1, 2),  # attempt
        st.sampled_from([LIFE, LIFE[:3], LIFE[1:], [*LIFE[:2], "void"], ["void"]]),
        st.sampled_from([[], ["void"], ["stop"], ["stop", "resume"], ["finish"]]),
    ),
    max_size=5,
)


@settings(max_examples=20)
@given(LIVES)
def test_whatever_is_tried_no_round_is_opened_twice_and_the_tables_stay_a_projection(
    lives: list[tuple[int, int, list[str], list[str]]],
) -> None:
    first = StoredModel("m", "0" * 64, 1, ModelKind.MODEL)
    with TemporaryDirectory() as folder, open_store(f"{folder}/rounds.db") as store:
        store.start_run(run_started(RUN, first))
        for number, attempt, steps, more in lives:
            for step in (*steps, *more):
                attempt_step(store, step, spec(number, attempt))
        done = [one.round for one in store.rounds(RUN) if one.state == "opened"]
        assert len(set(done)) == len(done)
        assert found(f"{folder}/rounds.db") == []
        event(f"{len(done)} opened")


def attempt_step(store: RoundStore, step: str, asked: Signed[RoundSpec]) -> None:
    """Take a step: one entry more if it fits, none if it is refused."""
    before = store.head()
    try:
        take(store, step, asked)
    except RoundStateError:
        assert store.head() == before
    else:
        assert store.head().entries == before.entries + 1


def take(store: RoundStore, step: str, asked: Signed[RoundSpec]) -> None:
    calls = {
        "propose": lambda: store.propose(asked),
        "grant": lambda: store.granted(asked.digest, grants(asked)),
        "name": lambda: store.opening(opening(asked, HOSPITALS)),
        "finish": lambda: store.finish_round(
            RoundResult(
                asked.digest,
                metrics={"loss": 1.0},
                shares=shares(asked, opening(asked, HOSPITALS)),
                seconds={"train": 1.0},
            )
        ),
        "void": lambda: store.void_round(RoundVoided(asked.digest, "given up")),
        "stop": lambda: store.finish_run(RunFinished(RUN, RunState.STOPPED)),
        "resume": lambda: store.resume_run(RUN),
    }
    calls[step]()


def test_an_event_of_an_unknown_kind_is_not_guessed_at(told: str) -> None:
    changed = Event(
        federation=FEDERATION.digest,
        author="consortium",
        entry=1,
        previous="0" * 64,
        kind="round-doubled",
        at=1.0,
        body={},
    )
    with (
        opened(told) as session,
        pytest.raises(OperatorError, match=r"FS-603.*doubled"),
    ):
        project(session, changed)


def test_a_ledger_over_two_versions_of_the_federation_needs_both(told: str) -> None:
    content = FEDERATION.model_dump(mode="json", exclude_none=True)
    second = {"number": 2, "previous": FEDERATION.digest}
    newer = Federation.model_validate({**content, **second})
    later = Author("consortium", author().key, newer)
    with RoundStore(told, later, Clock()) as store:
        verdict = RoundJudged(spec(1).digest, Verdict.ACCEPTED, "fine", "ada")
        store.judge_round(verdict)
    for versions, codes in (
        ([FEDERATION, newer], []),
        ([FEDERATION], ["FS-654"]),
        ([newer], ["FS-654"]),
    ):
        report = Report()
        with alone(told, KIND, Federations(versions), report, QUIET):
            assert [one.code for one in report.findings] == codes
