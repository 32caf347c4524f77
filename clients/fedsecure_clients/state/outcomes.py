"""What became of each round that this agent answered; for its operator to read.

From the receipts and inclusions that the agent keeps. Their signatures were checked
when they came; `fedsecure agent receipts verify` checks them again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from sqlalchemy import select

from fedsecure.protocol.statements import Inclusion
from fedsecure.protocol.stored_statements import stored
from fedsecure_clients.state.storage import Storage
from fedsecure_clients.state.tables import ReportRow

REPORTS: Final = 2  # of each round, one for each aggregator
UNDECIDED: Final = "not decided yet"
NOT_RECEIVED: Final = "not received by both"


@dataclass(frozen=True, slots=True)
class Answered:
    """One round.

    Args:
        run: Its run.
        round: Its number.
        purpose: train, evaluate or statistics.
        attempt: Which attempt at it.
        counted: Whether its report was counted, as both aggregators say.
        answers: What each aggregator says became of it.
    """

    run: str
    round: int
    purpose: str
    attempt: int
    counted: str
    answers: dict[str, str]


def newest(storage: Storage, number: int) -> Sequence[Answered]:
    """Return so many rounds, the newest first.

    Raises:
        PeerError: FS-701 when an inclusion was changed where it is kept.
    """
    query = (
        select(ReportRow)
        .order_by(ReportRow.deadline.desc(), ReportRow.spec, ReportRow.aggregator)
        .limit(REPORTS * number)
    )
    with storage.reading() as session:
        return list(_rounds(session.scalars(query).all()))


def _rounds(rows: Sequence[ReportRow]) -> Iterator[Answered]:
    for _, group in groupby(rows, key=lambda row: row.spec):
        both = list(group)
        first = both[0]
        yield Answered(
            first.run,
            first.round,
            first.purpose,
            first.attempt,
            _counted(both),
            {row.aggregator: _answer(row) for row in both},
        )


def _counted(both: Sequence[ReportRow]) -> str:
    if not all(row.receipt for row in both):
        return NOT_RECEIVED
    return both[0].fate or UNDECIDED


def _answer(row: ReportRow) -> str:
    if row.inclusion is None:
        return "nothing yet" if row.receipt is None else "received"
    inclusion = stored(row.inclusion, Inclusion).statement
    if inclusion.opening is None:
        return "void"
    if inclusion.included:
        return f"in set of {inclusion.count}"
    return f"not in set of {inclusion.count}"
