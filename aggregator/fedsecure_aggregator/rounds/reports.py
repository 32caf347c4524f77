"""Reports: what an upload must be before its first byte is read, and its receipt.

A receipt says "stored durably, and it opens". So a report is on disk and all its tags
hold before its row is committed, and the row before the receipt is signed. Receipts are
signed anew from the row whenever they are asked for, always to the same bytes.
"""

from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from fedsecure.core import scheme
from fedsecure.core.params import Params
from fedsecure.core.sealing import payload_digest
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.signing import Signed, digest_of
from fedsecure.protocol.statements import LedgerHead, ReportHeader
from fedsecure.system.crash_points import Point, crash_point
from fedsecure_aggregator.rounds import receipts
from fedsecure_aggregator.rounds.accumulator import ReceivedReport
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.policy import require_data_owner
from fedsecure_aggregator.rules.round_states import (
    Step,
    advance,
    require_not_void,
    require_round,
)
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.grant_cache import CachedGrant
from fedsecure_aggregator.storage.queries import Standing
from fedsecure_aggregator.storage.spool import Upload, report_name
from fedsecure_aggregator.storage.tables import ReportRow

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Expected:
    """A report whose header is right; its payload is still to come."""

    header: Signed[ReportHeader]
    params: Params
    stored: bool  # already: the payload is only compared


def most_bytes(context: Context, digest: str) -> int:
    """Return the longest payload that a round's reports can have; reads only.

    Raises:
        RoundStateError: FS-300.
    """
    with context.store.reading("find round") as session:
        return longest_payload(context.grant_cache.find(session, digest).params)


def longest_payload(params: Params) -> int:
    """Return how many bytes the longest payload of a round's reports has."""
    return max(
        payload_digest.sealed_length(scheme.input_share_bytes(params, kind))
        for kind in ("seed", "vector")
    )


def expect(
    context: Context, digest: str, reporter: str, header: Signed[ReportHeader]
) -> Expected:
    """Check a report's header before its payload is read; reads only.

    The steps, in order:
        (1) the data owner signed it, in this federation: whoever calls has verified it;
        (2) it is for this round, this data owner and this aggregator;
        (3) the data owner is in the round's cohort and on the roster;
        (4) it is as long as this round's reports of its kind are;
        (5) if one is stored already, it is the same one, and was not lost since;
        (6) otherwise the round still takes reports.

    Raises:
        PeerError: FS-301, FS-310, FS-311, FS-404.
        RoundStateError: FS-300, FS-304 to FS-306, FS-312, FS-328.
    """
    require_round(digest, header.statement.spec)  # (2)
    require_address(context, header.statement, reporter)
    return _expect_now(context, header)


def _expect_now(context: Context, header: Signed[ReportHeader]) -> Expected:
    """Go through the steps of `expect` that need the store."""
    statement = header.statement
    with context.store.reading("expect report") as session:
        granted = context.grant_cache.find(session, statement.spec)
        _require_member(context, granted, statement.reporter)  # (3)
        _require_length(granted.params, statement)  # (4)
        standing = queries.standing(session, statement.spec, statement.reporter)
        if standing.header is None:
            _require_open(context, statement.spec, standing)  # (6)
        else:
            _require_same(standing, standing.header, header)  # (5)
            _require_kept(session, statement)
        return Expected(header, granted.params, standing.header is not None)


def accept(context: Context, expected: Expected, upload: Upload, offset: int) -> str:
    """Open an upload that is durable, keep it, count it, and return its receipt.

    Run by the worker's thread alone. The upload is gone or in its place afterwards.

    Raises:
        PeerError: FS-314 when it does not open; nothing was counted.
        RoundStateError: As `expect`, for what happened since.
    """
    statement = expected.header.statement
    try:
        # Again, for what happened while it was under way.
        now = _expect_now(context, expected.header)
        if now.stored:
            return receipts.receipt(context, statement.spec, statement.reporter)
        return _keep(context, now, upload, offset)
    finally:
        upload.discard()


def _keep(context: Context, report: Expected, upload: Upload, offset: int) -> str:
    statement = report.header.statement
    # Added first, for opening a report twice would cost as much as all the rest; a
    # sum that holds a report without a row is dropped at once.
    context.accumulator.add(report.params, ReceivedReport(upload, statement, offset))
    try:
        upload.commit(report_name(statement.spec, statement.reporter))
        crash_point(Point.REPORT_SPOOLED)
        row, head = _commit(context, report)
    except BaseException:
        context.accumulator.forget(statement.spec)
        raise
    crash_point(Point.REPORT_COMMITTED)
    log.info(
        "report stored",
        round=statement.spec,
        report=statement.report_id,
        bytes=statement.length,
    )
    signed = receipts.receipt_token(context, row, head)
    crash_point(Point.RECEIPT_SIGNED)
    return signed


def _commit(context: Context, report: Expected) -> tuple[ReportRow, LedgerHead]:
    def work(session: Session) -> tuple[ReportRow, LedgerHead]:
        row = receipts.put_row(context, session, report.header)
        return row, queries.head_at(session, row.receipt_entry)

    row, head = context.change("put report", work)
    context.memory.receipt_given(row.spec, row.reporter, head.entries)
    return row, head


def require_address(context: Context, statement: ReportHeader, reporter: str) -> None:
    """Check that a report is this data owner's, and for this aggregator.

    Raises:
        PeerError: FS-310.
    """
    for what, inside, here in (
        ("reporter", statement.reporter, reporter),
        ("aggregator", statement.aggregator, context.name),
    ):
        if inside != here:
            raise PeerError("FS-310", f"{what} is {inside!r} inside, {here!r} here")


def _require_member(context: Context, granted: CachedGrant, reporter: str) -> None:
    if reporter not in granted.members:
        spec = granted.spec
        raise PeerError("FS-311", f"{reporter} in round {spec.round} of {spec.run}")
    require_data_owner(context.federation, reporter)


def _require_length(params: Params, statement: ReportHeader) -> None:
    plaintext = scheme.input_share_bytes(params, statement.kind)
    length = payload_digest.sealed_length(plaintext)
    if statement.length != length:
        raise PeerError(
            "FS-310",
            f"a {statement.kind} of {statement.length} bytes, "
            f"this round's have {length}",
        )


def _require_same(
    standing: Standing, stored: str, header: Signed[ReportHeader]
) -> None:
    statement = header.statement
    require_not_void(statement.spec, standing.state, standing.void_reason)
    if digest_of(stored) != header.digest:
        raise RoundStateError(
            "FS-312", f"{statement.reporter} reported otherwise before"
        )


def _require_kept(session: Session, statement: ReportHeader) -> None:
    why = queries.losses_of(session, statement.spec).get(statement.reporter)
    if why is not None:
        raise RoundStateError("FS-328", f"{statement.reporter} ({why})")


def _require_open(context: Context, spec: str, standing: Standing) -> None:
    advance(standing.state, Step.REPORT)
    late = context.clock() - standing.deadline
    if not late < 0:
        raise RoundStateError("FS-306", f"{late:.1f} s ago in round {spec[:12]}")
