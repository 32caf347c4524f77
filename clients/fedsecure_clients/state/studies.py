"""The studies that this agent knows: what each asks for, and what a person decided.

A study is remembered when it first asks, so that a person can look at it, whatever the
agent answers. Undecided ones that were never answered are few: the oldest go. One that
was answered stays, for its terms bind every later round of the same task.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statements import Purpose
from fedsecure.study.task import MAX_TASK
from fedsecure.study.terms import StudyRequest
from fedsecure_clients.state import roster as rosters
from fedsecure_clients.state.roster import Roster
from fedsecure_clients.state.storage import Storage
from fedsecure_clients.state.tables import ReportRow, StudyRow

PENDING: Final = 20  # studies without decision or answer that are kept
MIN_PREFIX: Final = 8  # hex digits that name a study
ANSWERED: Final = exists().where(ReportRow.study == StudyRow.digest)


class Decision(StrEnum):
    """What a person at this data owner said about a study."""

    APPROVED = "approved"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class KnownStudy:
    """One study as the state holds it; `answered` counts rounds by purpose."""

    digest: str
    content: str
    text: str
    terms: str
    parameters: int
    asked_by: str | None
    first_seen: float
    decision: Decision | None
    decided_at: float | None
    note: str | None
    answered: dict[str, int]
    roster: Roster | None = None  # who took part when it was decided


class Studies:
    """The studies in the agent's state; another process may decide meanwhile."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def remember(
        self, study: StudyRequest, asked_by: str | None, parameters: int, at: float
    ) -> None:
        """Keep what a study asks for; one that is known is not written again.

        Args:
            study: What is asked.
            asked_by: The model owner, or None when a file told of it.
            parameters: Of the model, 0 when this is not known.
            at: Seconds since 1970.

        Raises:
            PeerError: FS-421, its text is too long to be looked at.
        """
        if not len(study.text) <= MAX_TASK:
            raise PeerError("FS-421", f"{len(study.text):,} characters of config")
        with self._storage.reading() as session:
            row = session.get(StudyRow, study.digest)
        if row and row.parameters >= parameters and (row.asked_by or not asked_by):
            return
        with self._storage.writing() as session:
            row = session.get(StudyRow, study.digest) or StudyRow(
                digest=study.digest,
                content=study.content,
                text=study.text,
                terms=study.terms.text,
                parameters=0,
                first_seen=at,
            )
            row.parameters = max(row.parameters, parameters)
            row.asked_by = row.asked_by or asked_by
            session.add(row)
            session.flush()
            _forget_old(session)

    def decide(
        self, digest: str, decision: Decision, note: str, at: float, roster: Roster
    ) -> None:
        """Keep a person's decision about a study that is known.

        Args:
            digest: Of the study.
            decision: Instead of an earlier one.
            note: For whoever reads it later; may be empty.
            at: Seconds since 1970.
            roster: Who takes part now.
        """
        with self._storage.writing() as session:
            row = session.get_one(StudyRow, digest)
            row.decision, row.decided_at, row.note = decision.value, at, note or None
            row.roster = rosters.written(roster)

    def decided_for(self, digest: str) -> Roster | None:
        """Return who took part when a person decided about a study, if one did."""
        with self._storage.reading() as session:
            row = session.get(StudyRow, digest)
            return _roster(row) if row else None

    def decision(self, digest: str) -> Decision | None:
        """Return what a person decided about a study, if anything."""
        with self._storage.reading() as session:
            row = session.get(StudyRow, digest)
            return _decision(row) if row else None

    def answered(self, digest: str, purpose: Purpose) -> int:
        """Return how many rounds of a study were answered, over all runs."""
        query = select(func.count(ReportRow.spec.distinct())).where(
            ReportRow.study == digest, ReportRow.purpose == purpose.value
        )
        with self._storage.reading() as session:
            return session.scalar(query) or 0

    def answered_terms(self, content: str) -> Sequence[str]:
        """Return the digests under which a task was answered before."""
        query = select(StudyRow.digest).where(StudyRow.content == content, ANSWERED)
        with self._storage.reading() as session:
            return session.scalars(query).all()

    def all(self) -> Sequence[KnownStudy]:
        """Return every study, the newest first."""
        with self._storage.reading() as session:
            rows = session.scalars(
                select(StudyRow).order_by(StudyRow.first_seen.desc(), StudyRow.digest)
            )
            return [_known(session, row) for row in rows]

    def undecided(self) -> Sequence[str]:
        """Return the digests of studies that nobody here decided about."""
        query = select(StudyRow.digest).where(StudyRow.decision.is_(None))
        with self._storage.reading() as session:
            return session.scalars(query).all()

    def named(self, prefix: str) -> KnownStudy:
        """Return the one study whose digest begins so.

        Raises:
            OperatorError: FS-428 when there is none, or more than one.
        """
        if len(prefix) < MIN_PREFIX or set(prefix) - set("0123456789abcdef"):
            raise OperatorError(
                "FS-428", f"{prefix!r} is no file, and not {MIN_PREFIX} hex digits"
            )
        query = select(StudyRow).where(StudyRow.digest.startswith(prefix)).limit(2)
        with self._storage.reading() as session:
            found = [_known(session, row) for row in session.scalars(query)]
        if len(found) != 1:
            count = "several" if found else "none"
            raise OperatorError("FS-428", f"{count} of the studies here is {prefix}")
        return found[0]


def _forget_old(session: Session) -> None:
    undecided = StudyRow.decision.is_(None) & ~ANSWERED
    old = (
        select(StudyRow.digest)
        .where(undecided)
        .order_by(StudyRow.first_seen.desc(), StudyRow.digest)
        .offset(PENDING)
    )
    session.execute(delete(StudyRow).where(StudyRow.digest.in_(old)))


def _decision(row: StudyRow) -> Decision | None:
    return Decision(row.decision) if row.decision else None


def _roster(row: StudyRow) -> Roster | None:
    return rosters.read(row.roster) if row.roster else None


def _known(session: Session, row: StudyRow) -> KnownStudy:
    counts = session.execute(
        select(ReportRow.purpose, func.count(ReportRow.spec.distinct()))
        .where(ReportRow.study == row.digest)
        .group_by(ReportRow.purpose)
    ).all()
    return KnownStudy(
        digest=row.digest,
        content=row.content,
        text=row.text,
        terms=row.terms,
        parameters=row.parameters,
        asked_by=row.asked_by,
        first_seen=row.first_seen,
        decision=_decision(row),
        decided_at=row.decided_at,
        note=row.note,
        roster=_roster(row),
        answered={str(purpose): int(count) for purpose, count in counts},
    )
