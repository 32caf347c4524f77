"""One round in full: from the views, and from the statements that were signed."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fedsecure.owner.store.models import Metric, Model, Round
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Opening,
    Receipt,
    RoundGrant,
    RoundSpec,
    Statement,
    Void,
)
from fedsecure.protocol.stored_statements import stored
from fedsecure.review import records
from fedsecure.review.records import EventRow, ParticipationRow, RoundRow, RunRow


@dataclass(frozen=True, slots=True)
class StatementRow:
    """Statements of one type and signer; `digest` is set when it is just one.

    `ledger_entries`: how long the signer's own ledger was when it signed.
    """

    statement: str
    signer: str
    number: int
    digest: str | None
    ledger_entries: int | None


@dataclass(frozen=True, slots=True)
class FileRow:
    """An array that the round left in a file."""

    kind: str
    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RoundDetail:
    """Everything that the round store knows about one attempt at a round."""

    run: RunRow
    round: RoundRow
    spec: RoundSpec
    metrics: Mapping[str, float | None]
    deviations: Mapping[str, float | None]
    clipped: int | None
    clamped: int | None
    stage_seconds: Mapping[str, float]
    files: Sequence[FileRow]
    participations: Sequence[ParticipationRow]
    statements: Sequence[StatementRow]
    events: Sequence[EventRow]
    other_attempts: Sequence[RoundRow]

    def as_json(self) -> dict[str, Any]:
        """Return the same with stable keys, ready for `json.dumps`."""
        content = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        plain = {name: _plain(value) for name, value in content.items()}
        return {**plain, "spec": self.spec.model_dump(mode="json")}


def read_detail(session: Session, run: RunRow, which: str) -> RoundDetail:
    """Read one attempt at a round; `which` as for `rows.find_round`.

    Raises:
        OperatorError: FS-862 when there is no such round.
        PeerError: FS-701 when a stored statement was changed.
    """
    row = records.find_round(session, run.run, which)
    stored_round = session.get_one(Round, row.spec_digest)
    same = records.attempts(session, row)
    measured = _metrics(session, row.spec_digest)
    return RoundDetail(
        run=run,
        round=row,
        spec=stored(stored_round.spec, RoundSpec).statement,
        metrics={one.name: one.value for one in measured},
        deviations={one.name: one.deviation for one in measured},
        clipped=stored_round.clipped,
        clamped=stored_round.clamped,
        stage_seconds=stored_round.stage_seconds,
        files=_files(session, stored_round),
        participations=records.participations(session, row.spec_digest),
        statements=list(_statements(stored_round)),
        events=records.events(session, row),
        other_attempts=[one for one in same if one != row],
    )


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _metrics(session: Session, spec_digest: str) -> Sequence[Metric]:
    chosen = select(Metric).filter_by(spec_digest=spec_digest).order_by(Metric.name)
    return session.scalars(chosen).all()


def _files(session: Session, row: Round) -> list[FileRow]:
    paths = [path for path in (row.mean, row.model) if path is not None]
    models = (session.get_one(Model, path) for path in paths)
    return [FileRow(one.kind, one.path, one.sha256, one.bytes) for one in models]


def _statements(row: Round) -> Iterator[StatementRow]:
    yield _of(stored(row.spec, RoundSpec))
    for grant in row.grants.values():
        yield _of(stored(grant, RoundGrant))
    if row.opening is not None:
        opening = stored(row.opening, Opening)
        tokens = opening.statement.receipts.values()
        receipts = (stored(token, Receipt) for group in tokens for token in group)
        yield from _counted(Counter(one.signer for one in receipts))
        yield _of(opening)
    for share in row.shares:
        yield _of(stored(share, AggregateShareHeader))
    for void in row.voids.values():
        yield _of(stored(void, Void))


def _of(signed: Signed[Any]) -> StatementRow:
    statement: Statement = signed.statement
    head = getattr(statement, "head", None)
    return StatementRow(
        statement.typ, signed.signer, 1, signed.digest, head and head.entries
    )


def _counted(signers: Counter[str]) -> Iterator[StatementRow]:
    for signer, number in sorted(signers.items()):
        yield StatementRow(Receipt.typ, signer, number, None, None)
