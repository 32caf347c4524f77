"""The model owner's record of its rounds.

    with RoundStore("sqlite:////srv/study/rounds.db", author, time.time) as store:
        store.start_run(RunStarted(...))
        store.propose(spec)                      # before the spec is sent
        store.granted(spec.digest, grants)
        store.opening(opening)                   # before the opening is sent
        store.finish_round(RoundResult(...))     # mean, model and round at once
        store.finish_run(RunFinished("heart-1", RunState.COMPLETED))

Every method is one event of the ledger, its rows, and one commit that is on the disk
when the method returns. A step that does not fit is refused and leaves no trace.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.owner.store import job_rows, privacy_rows, queries, records
from fedsecure.owner.store.models import Event
from fedsecure.owner.store.projection import project
from fedsecure.owner.store.records import (
    Body,
    RoundJudged,
    RoundRecord,
    RoundResult,
    RoundVoided,
    RunFinished,
    RunRecord,
    RunStarted,
    StoredModel,
)
from fedsecure.protocol.ledger import Ledger
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.statements import LedgerHead, Opening, RoundSpec
from fedsecure.storage import database, locks, revisions, sql_failures
from fedsecure.storage.locks import Hold
from fedsecure.storage.transactions import (
    DatabaseAwayError,
    Patience,
    Transactions,
    may_pass,
)

MIGRATIONS: Final = Path(__file__).parent / "migrations"
PATIENCE: Final = 60.0  # seconds; a run that stops has to be resumed by a person
_KIND_OF: Final = {body: kind for kind, body in records.KINDS.items()}

T = TypeVar("T")


class RoundStore:
    """The round store of one model owner; one process writes it at a time.

    Args:
        url: `sqlite:///...`, a file's path, or `postgresql://...`.
        author: Signs the ledger.
        clock: Seconds since 1970.
        patience: How long a transaction is tried again.
        alone: True for a training: no other one may use the store. Verdicts may be
            given meanwhile.

    Raises:
        OperatorError: FS-544 when it loses commits, FS-603 when a newer version wrote
            the database, FS-604 when it cannot be opened, FS-607 when it is no round
            store, FS-608 when it has an older form, FS-652 when another training uses
            it, FS-656 when it went on under a newer version of the federation.
    """

    def __init__(
        self,
        url: str,
        author: Author,
        clock: Callable[[], float],
        patience: Patience | None = None,
        *,
        alone: bool = False,
    ) -> None:
        location = database.locate(url)
        self._where = database.shown(location)
        self._ledger = Ledger(author, Event, project)
        self._clock = clock
        self._hold = self._take(location) if alone else None
        self._engine = database.open_for_writing(location)
        self._transactions = Transactions(
            self._engine,
            Event,
            self._failed,
            patience or Patience(PATIENCE),
            hold=self._hold.require if self._hold else None,
        )
        try:
            revisions.prepare(self._engine, MIGRATIONS, "fedsecure store migrate")
            self._enter()
        except SQLAlchemyError as error:
            self.close()
            raise self._failed("open", error) from error
        except OperatorError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; SQLite then folds its log into the file."""
        self._engine.dispose()
        if self._hold is not None:
            self._hold.close()

    def change(self, name: str, work: Callable[[Session], T]) -> T:
        """Run a named transaction that writes: all of it is committed, or nothing.

        Raises:
            OperatorError: FS-604, with the transaction's name, when the database
                refuses.
            DatabaseAwayError: FS-604, when it is away, or held by somebody else, for
                longer than a restart takes.
        """
        return self._transactions.run(name, work)

    def _enter(self) -> None:
        """Say in the ledger that it goes on under a new version, if it does."""
        with self._reading("version") as session:
            changes = self._ledger.left(session) is not None
        if changes:
            at = self._clock()
            self.change("enter version", lambda one: self._ledger.enter(one, at))

    def start_run(self, start: RunStarted) -> None:
        """Record that a run begins, with the model that it starts from."""
        self._append("start run", start)

    def resume_run(self, run: str) -> None:
        """Record that a run goes on after a failure, a stop or a crash."""
        self._append("resume run", records.RunResumed(run))

    def propose(self, spec: Signed[RoundSpec]) -> None:
        """Record a spec before it is sent."""
        self._append("propose round", records.RoundProposed(spec.token))

    def granted(self, spec_digest: str, grants: Mapping[str, str]) -> None:
        """Record both grants: aggregator -> token."""
        self._append("grant round", records.RoundGranted(spec_digest, grants))

    def opening(self, opening: Signed[Opening]) -> None:
        """Record an opening before it is sent: the set is fixed from now on."""
        self._append("fix the set", records.RoundOpening(opening.token))

    def finish_round(self, result: RoundResult) -> None:
        """Record mean, model, metrics and the round itself, in one commit.

        Whoever is in the opening is `in set`; data owners of the cohort of whom the
        result says nothing are `not reported`.
        """
        metrics = {name: _defined(value) for name, value in result.metrics.items()}
        self._append("finish round", dataclasses.replace(result, metrics=metrics))

    def void_round(self, void: RoundVoided) -> None:
        """Record that a round is given up.

        Data owners of the cohort of whom it says nothing are `round void`.
        """
        self._append("void round", void)

    def judge_round(self, judged: RoundJudged) -> None:
        """Record the model owner's verdict on an opened round.

        Raises:
            RoundStateError: FS-645 when it was not opened.
        """
        self._append("judge round", judged)

    def propose_job(self, proposed: records.JobProposed) -> None:
        """Record a job's spec before it is sent."""
        self._append("propose job", proposed)

    def note_job(self, result: records.JobResult) -> None:
        """Record that a service is ready, closed, or failed."""
        self._append("note job", result)

    def open_job(self, name: str) -> records.JobRecord | None:
        """Return the newest job of that name that is not over, if there is one."""
        with self._reading("open job") as session:
            return job_rows.open_job(session, name)

    def finish_run(self, end: RunFinished) -> None:
        """Record how a run ended."""
        self._append("finish run", end)

    def run(self, run: str) -> RunRecord:
        """Return one run.

        Raises:
            OperatorError: FS-861 when there is none of that name.
        """
        with self._reading("run") as session:
            return queries.run(session, run)

    def latest_run(self) -> RunRecord | None:
        """Return the run that was started last, if there is any."""
        with self._reading("latest run") as session:
            return queries.latest_run(session)

    def rounds(self, run: str) -> list[RoundRecord]:
        """Return every attempt at a round of a run, in order of proposal."""
        with self._reading("rounds") as session:
            return queries.rounds(session, run)

    def open_rounds(self, run: str) -> list[RoundRecord]:
        """Return the rounds that were left neither opened nor void."""
        with self._reading("open rounds") as session:
            return queries.open_rounds(session, run)

    def means(self, run: str) -> list[StoredModel]:
        """Return the opened means of the train rounds, in order of the rounds."""
        with self._reading("means") as session:
            return queries.means(session, run)

    def last_model(self, run: str) -> StoredModel:
        """Return the newest global model: the initial one, if no round was opened.

        Raises:
            OperatorError: FS-861 when there is no such run.
        """
        with self._reading("last model") as session:
            return queries.last_model(session, run)

    def spent(self, study: str, but: str = "") -> dict[str, int]:
        """Return what each data owner is charged in all rounds of a study.

        Args:
            study: The study's digest.
            but: The digest of a spec that is left out.

        Returns:
            By name, in 1e-12 of rho; who was in no set is not in it.
        """
        with self._reading("spent") as session:
            return privacy_rows.spent(session, study, but)

    def head(self) -> LedgerHead:
        """Return length and last hash of the ledger."""
        with self._reading("head") as session:
            return self._transactions.head(session)

    def _append(self, name: str, body: Body) -> None:
        kind, content = _KIND_OF[type(body)], dataclasses.asdict(body)

        def work(session: Session) -> None:
            self._ledger.append(session, kind, content, self._clock())

        self.change(name, work)

    def _reading(self, name: str) -> AbstractContextManager[Session]:
        return self._transactions.reading(name)

    def _take(self, location: URL) -> Hold:
        try:
            return locks.hold(location, "FS-652")
        except SQLAlchemyError as error:
            raise self._failed("take the store", error) from error
        except OSError as error:
            where = f"{self._where}.lock: {error.strerror}"
            raise OperatorError("FS-604", where) from error

    def _failed(self, name: str, error: SQLAlchemyError) -> OperatorError:
        where = f"{self._where}, transaction {name!r}: {sql_failures.cause(error)}"
        if may_pass(error) or sql_failures.is_busy(getattr(error, "orig", None)):
            return DatabaseAwayError("FS-604", where)
        return OperatorError("FS-604", where)


def _defined(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
