"""Jobs in the round store: what was served, of which model, and how it ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedsecure.errors import RoundStateError
from fedsecure.owner.store.records import JobProposed, JobResult
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import JobState
from fedsecure.protocol.jobs.programs import (
    CircuitField,
    InputField,
)
from tests.unit.owner_store.job_story import (
    grants,
    job,
    proposed,
)
from tests.unit.owner_store.round_story import (
    RUN,
    model,
    open_store,
    run_started,
    spec,
    started_from,
    train,
)
from tests.unit.owner_store.test_replay import audited, change, found

GRANTS = grants(job())


@pytest.fixture
def store(place: str, tmp_path: Path) -> Iterator[RoundStore]:
    """A run with one train round, whose models the rounds 1 and 2 start from."""
    with open_store(place) as opened:
        opened.start_run(run_started(RUN, model(tmp_path, "model-0")))
        train(opened, tmp_path, spec(1))
        yield opened


def test_a_service_is_proposed_gets_ready_and_is_closed(store: RoundStore) -> None:
    store.propose_job(proposed())
    known = store.open_job("heart")
    assert known is not None
    assert (known.state, known.spec_digest) == (JobState.PROPOSED, job().digest)
    store.note_job(JobResult(job().digest, JobState.READY, None, GRANTS, 20, 3e-8))
    ready = store.open_job("heart")
    assert ready is not None
    assert ready.state is JobState.READY
    store.note_job(JobResult(job().digest, JobState.CLOSED, "no longer needed"))
    assert store.open_job("heart") is None


def test_its_row_says_of_which_model_it_is_and_how_exact_it_was(
    store: RoundStore,
) -> None:
    store.propose_job(proposed())
    store.note_job(JobResult(job().digest, JobState.READY, None, GRANTS, 20, 3e-8))
    rows = store.change(
        "look",
        lambda session: (
            session.connection()
            .exec_driver_sql(
                "SELECT job, state, method, run, model, clients, rows, features, "
                "tried, difference, deadline FROM v_job"
            )
            .all()
        ),
    )
    assert [tuple(row) for row in rows] == [
        (
            *("heart", "ready", "shares", RUN, started_from(2)),
            *('["clinic","consortium"]', 1000, 21, 20, 3e-8, "2026-03-03T14:00:00Z"),
        )
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        JobProposed(job().token, None, RUN, started_from(3)),
        JobProposed(job().token, None, RUN, None),
        JobProposed(job().token, None, "heart-9", started_from(2)),
    ],
)
def test_a_model_that_did_not_come_out_of_the_run_is_refused(
    store: RoundStore, wrong: JobProposed
) -> None:
    with pytest.raises(RoundStateError, match="FS-602"):
        store.propose_job(wrong)
    assert store.open_job("heart") is None


def test_a_model_of_a_file_needs_no_run(store: RoundStore) -> None:
    store.propose_job(JobProposed(job().token))
    assert store.open_job("heart") is not None


def test_a_job_that_opens_once_is_no_service(store: RoundStore) -> None:
    one = InputField(
        name="a",
        owner="consortium",
        rows=1,
        columns=1,
        fraction_bits=16,
        bound=2**20,
        secret=True,
    )
    circuit = CircuitField(type="circuit", inputs=[one], operations=[], outputs=["a"])
    with pytest.raises(RoundStateError, match="no service"):
        store.propose_job(JobProposed(job(program=circuit).token))


ORDERS = [
    [JobState.CLOSED, JobState.READY],
    [JobState.FAILED, JobState.READY],
    [JobState.READY, JobState.FAILED],
    [JobState.READY, JobState.READY],
    [JobState.PROPOSED],
]


@pytest.mark.parametrize("order", ORDERS)
def test_steps_in_another_order_are_refused(
    store: RoundStore, order: list[JobState]
) -> None:
    store.propose_job(proposed())
    *before, last = order
    for state in before:
        store.note_job(JobResult(job().digest, state))
    with pytest.raises(RoundStateError, match="FS-602"):
        store.note_job(JobResult(job().digest, last))


def test_no_job_is_proposed_twice_or_noted_without_a_proposal(
    store: RoundStore,
) -> None:
    with pytest.raises(RoundStateError, match="not on record"):
        store.note_job(JobResult(job().digest, JobState.READY))
    store.propose_job(proposed())
    with pytest.raises(RoundStateError, match="already"):
        store.propose_job(proposed())


def test_a_row_of_a_job_that_was_changed_is_found(
    store: RoundStore, place: str
) -> None:
    store.propose_job(proposed())
    store.close()
    assert audited(place).findings == []
    change(place, "UPDATE jobs SET clients = '[]'")
    assert [
        (code, where.split(" row ")[0].split()[-1]) for code, where, _ in found(place)
    ] == [("FS-622", "jobs")]
