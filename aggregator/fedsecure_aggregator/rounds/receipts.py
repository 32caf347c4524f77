"""Rows of stored reports, and the receipts that are signed from them.

A receipt says "stored durably, and it opens". It is signed anew from the row whenever
it is asked for, always to the same bytes: over the ledger's head as it was when the
report was stored. A row that a database has lost gets that same head again.
"""

from sqlalchemy.orm import Session

from fedsecure.errors import RoundStateError
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import LedgerHead, Receipt, ReportHeader
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.round_states import (
    RoundState,
)
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.projection import EventKind
from fedsecure_aggregator.storage.tables import ReportRow


def receipt(context: Context, digest: str, reporter: str) -> str:
    """Sign a stored report's receipt.

    Raises:
        RoundStateError: FS-331 when none is stored.
    """
    with context.store.reading("find report") as session:
        row = require_report(session, digest, reporter)
        return receipt_of(context, session, row)


def receipt_of(context: Context, session: Session, row: ReportRow) -> str:
    """Sign the receipt of a row; the same bytes each time."""
    return receipt_token(context, row, queries.head_at(session, row.receipt_entry))


def receipt_token(context: Context, row: ReportRow, head: LedgerHead) -> str:
    """Sign the receipt of a row under the ledger's head as it was then."""
    statement = Receipt(
        federation=context.federation.digest,
        spec=row.spec,
        aggregator=context.name,
        reporter=row.reporter,
        report_id=row.report_id,
        digest=row.digest,
        head=head,
    )
    return context.author.sign(statement).token


def require_report(session: Session, digest: str, reporter: str) -> ReportRow:
    """Return a stored report's row.

    Raises:
        RoundStateError: FS-331.
    """
    row = queries.find_report(session, digest, reporter)
    if row is None:
        raise RoundStateError("FS-331", f"{reporter} in round {digest[:12]}")
    return row


def put_row(
    context: Context, session: Session, header: Signed[ReportHeader]
) -> ReportRow:
    """Put a report's row in, within a change; return the one that is there already.

    Whoever calls has checked that the report opens, and that it is kept.
    """
    statement = header.statement
    standing = queries.standing(session, statement.spec, statement.reporter)
    if standing.header is not None:  # the answer to the commit was lost
        return require_report(session, statement.spec, statement.reporter)
    if standing.state is RoundState.GRANTED:
        body = {"spec": statement.spec}
        context.store.append(session, EventKind.COLLECTING, body, context.clock())
    row = ReportRow(
        spec=statement.spec,
        reporter=statement.reporter,
        report_id=statement.report_id,
        kind=statement.kind,
        length=statement.length,
        digest=statement.digest,
        header=header.token,
        receipt_entry=_receipt_entry(context, session, statement),
        stored_at=context.clock(),
    )
    queries.add_report(session, row)
    return row


def _receipt_entry(context: Context, session: Session, header: ReportHeader) -> int:
    """Return how long the ledger is at a receipt; or was, if it was given before."""
    given = context.memory.receipt_entry(header.spec, header.reporter)
    return context.store.head(session).entries if given is None else given
