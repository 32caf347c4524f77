"""What is deleted of jobs: by the clock, by a void, at a start, after a restore."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from fedsecure.errors import RoundStateError
from fedsecure.protocol.ledger import read_chain
from fedsecure_aggregator.jobs import deletion
from fedsecure_aggregator.operations import backup
from fedsecure_aggregator.rules.policy import Policy
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.tables import (
    AnswerRow,
    InputRow,
    JobRow,
    QueryRow,
    Unrecorded,
)
from fedsecure_aggregator.storage.notes import RestoreNote
from fedsecure_aggregator.storage.projection import project
from fedsecure_aggregator.storage.tables import Base, EventRow
from tests.unit.aggregator.jobs.conftest import JobPair, JobServer
from tests.unit.aggregator.jobs.world import A, Job
from tests.unit.aggregator.world import NOW

DEADLINE = NOW + 600
EXPIRES = DEADLINE + Policy().grant_seconds


def answers(one: JobServer) -> int:
    with one.jobs.server.store.reading("test") as session:
        return len(session.scalars(select(AnswerRow.query)).all())


def row(one: JobServer, job: Job) -> JobRow:
    with one.jobs.server.store.reading("test") as session:
        return reading.find_job(session, job.digest)


def tidied_at(both: JobPair, now: float) -> None:
    both.clock.now = now
    for one in both.servers.values():
        deletion.tidy(one.jobs)


def test_a_job_without_all_inputs_is_void_at_its_deadline(both: JobPair) -> None:
    job = both.world.job()
    both.put(job, both.world.shared(job, both.started(job), "a", A))
    tidied_at(both, DEADLINE - 1)
    assert both.north.files(job) == {"key", "channel", "inputs/a"}
    tidied_at(both, DEADLINE)
    assert (both.north.state(job), both.north.files(job)) == ("void", set())
    assert row(both.north, job).reason == deletion.LATE


def test_a_service_is_closed_when_its_grant_expires_and_its_answers_go(
    both: JobPair,
) -> None:
    job = both.world.service()
    asked = both.world.query(job, both.served(job), 1)
    first = both.ask(job, asked)
    both.clock.now = EXPIRES - 1
    assert both.ask(job, asked) == first  # what was answered may be asked for again
    tidied_at(both, EXPIRES)
    assert (both.north.state(job), both.north.files(job)) == ("closed", set())
    assert answers(both.north) == 0
    with pytest.raises(RoundStateError, match="FS-392"):
        both.north.ask(job, asked["north"])


def test_a_service_answers_nothing_new_after_its_deadline(both: JobPair) -> None:
    job = both.world.service()
    asked = both.world.query(job, both.served(job), 1)
    both.clock.now = DEADLINE
    with pytest.raises(RoundStateError, match=r"FS-392.*deadline"):
        both.north.ask(job, asked["north"])


def test_an_output_is_kept_as_long_as_a_share_and_nothing_else(both: JobPair) -> None:
    job = both.world.job()
    both.summed(job)
    both.north.run()
    kept = EXPIRES + Policy().share_seconds
    tidied_at(both, kept - 1)
    assert both.north.files(job) == {"output"}
    both.north.output(job)
    tidied_at(both, kept)
    assert both.north.files(job) == set()
    with pytest.raises(RoundStateError, match="FS-392"):
        both.north.output(job)


def test_a_kept_output_is_not_looked_at_again_before_it_expires(both: JobPair) -> None:
    job = both.world.job()
    both.summed(job)
    both.north.run()
    context = both.north.jobs
    assert deletion.due(context) == [job.digest]
    tidied_at(both, NOW)
    assert deletion.due(context) == []
    both.clock.now = EXPIRES + Policy().share_seconds
    assert deletion.due(context) == [job.digest]
    tidied_at(both, both.clock.now)
    assert context.spool.jobs() == []


def test_a_void_deletes_everything_and_is_confirmed_again(both: JobPair) -> None:
    service, job = both.world.service(), both.world.job()
    asked = both.world.query(service, both.served(service), 1)
    both.ask(service, asked)
    both.started(job)
    for one, state in ((service, "closed"), (job, "void")):
        token = both.world.void(one)
        confirmed = both.north.void(one, token)
        assert both.north.void(one, token) == confirmed
        assert (both.north.state(one), both.north.files(one)) == (state, set())
    assert answers(both.north) == 0


def test_a_job_that_is_done_is_not_given_up(both: JobPair) -> None:
    job = both.world.job()
    both.summed(job)
    both.north.run()
    with pytest.raises(RoundStateError, match="FS-392"):
        both.north.void(job, both.world.void(job))
    assert both.north.state(job) == "done"


def test_a_void_while_it_is_computed_leaves_no_output(both: JobPair) -> None:
    job = both.world.job()
    both.summed(job)
    both.north.void(job, both.world.void(job))
    both.north.run()
    assert (both.north.state(job), both.north.files(job)) == ("void", set())


def test_what_no_row_names_is_deleted_at_the_next_start(both: JobPair) -> None:
    job, stray = both.world.job(), both.world.job()
    both.started(job)
    both.north.jobs.spool.save_key(stray.digest, both.world.sealing_key())
    again = both.restart("north")
    assert again.files(stray) == set()
    assert again.files(job) == {"key", "channel"}


@pytest.mark.parametrize("lost", ["key", "channel"])
def test_a_job_whose_keys_are_lost_is_void_at_the_next_start(
    both: JobPair, lost: str
) -> None:
    job = both.world.job()
    both.started(job)
    folder = both.north.server.folder / "jobs" / job.digest
    spoil(folder / lost)
    again = both.restart("north")
    assert again.state(job) == "void"
    assert row(again, job).reason == "its key is lost"


def spoil(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def test_an_input_that_no_longer_opens_makes_the_job_void(both: JobPair) -> None:
    job = both.world.job()
    both.summed(job)
    folder = both.north.server.folder / "jobs" / job.digest
    content = bytearray((folder / "inputs" / "a").read_bytes())
    content[-1] ^= 1
    (folder / "inputs" / "a").write_bytes(content)
    both.north.run()
    assert both.north.state(job) == "void"
    assert str(row(both.north, job).reason).startswith("FS-730")


def test_a_restored_store_makes_every_job_void_that_is_not_over(
    both: JobPair,
) -> None:
    done, service, going = (
        both.world.job(),
        both.world.service(),
        both.world.job(),
    )
    both.summed(done)
    both.north.run()
    asked = both.world.query(service, both.served(service), 1)
    both.ask(service, asked)
    both.started(going)
    output = both.north.output(done)
    note = RestoreNote(at=float(NOW), sets_forgotten=False)
    both.north.jobs.server.spool.notes.note_restore(note)
    again = both.restart("north")
    states = [again.state(one) for one in (done, service, going)]
    assert states == ["done", "closed", "void"]
    assert row(again, service).reason == "the store was restored"
    assert again.output(done) == output
    assert answers(again) == 0
    assert again.files(service) == again.files(going) == set()
    with pytest.raises(RoundStateError, match="FS-392"):
        again.ask(service, asked["north"])


def test_a_job_of_another_version_of_the_federation_is_void(both: JobPair) -> None:
    job = both.world.job()
    both.started(job)
    before = both.world.federation.digest
    changed = {"number": 2, "previous": before}
    content = both.world.federation_content() | changed
    both.world.federation = type(both.world.federation).model_validate(content)
    again = both.restart("north")
    assert row(again, job).reason == "the federation changed"


def test_no_copy_of_the_store_holds_sealed_answers(
    both: JobPair, tmp_path: Path
) -> None:
    job = both.world.service()
    both.ask(job, both.world.query(job, both.served(job), 1))
    engine = both.north.jobs.server.store.engine
    kept = backup.keep_aside(engine.url, tmp_path, "before-a-test")
    assert kept is not None
    with closing(sqlite3.connect(kept)) as copy:
        names = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
        assert copy.execute("SELECT count(*) FROM queries").fetchone() == (1,)
    assert {"jobs", "inputs", "queries"} < names
    assert not names & {*Unrecorded.metadata.tables}
    assert not {*Base.metadata.tables} & {*Unrecorded.metadata.tables}


def test_an_audit_finds_the_same_jobs_in_the_ledger(both: JobPair) -> None:
    """Projected again onto empty tables, every row comes out as it is."""
    done, service, void = both.world.job(), both.world.service(), both.world.job()
    both.summed(done)
    both.north.run()
    both.ask(service, both.world.query(service, both.served(service), 1))
    both.started(void)
    both.north.void(void, both.world.void(void))
    store, keys = both.north.jobs.server.store, both.world.known
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with store.reading("test") as recorded, Session(engine) as again:
        for event in read_chain(recorded, EventRow, keys):
            project(again, event)
            again.flush()
        for table in (JobRow, InputRow, QueryRow):
            columns = list(table.__table__.c)
            rows, projected = (
                sorted(map(str, one.execute(select(*columns))))
                for one in (recorded, again)
            )
            assert rows
            assert rows == projected
