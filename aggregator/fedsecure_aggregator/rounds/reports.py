"""Reports: what an upload must be before its first byte is read, and its receipt.

A receipt says "stored durably, and it opens". So a report is on disk and all its tags
hold before its row is committed, and the row before the receipt is signed. Receipts are
signed anew from the row whenever they are asked for, always to the same bytes.
"""

from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from fedsecure.core import payload_digest, scheme
from fedsecure.core.params import Params
from fedsecure.core.payload_digest import PayloadDigest
from fedsecure.errors import FedsecureError, PeerError, RoundStateError
from fedsecure.protocol import framing
from fedsecure.protocol.signing import Signed, digest_of, verify
from fedsecure.protocol.statements import LedgerHead, Receipt, ReportHeader
from fedsecure.system.crash_points import Point, reached
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rounds.fold import ReceivedReport
from fedsecure_aggregator.rules.policy import require_data_owner
from fedsecure_aggregator.rules.round_states import (
    UNDECIDED,
    RoundState,
    Step,
    advance,
    require_not_void,
    require_round,
)
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.grant_cache import Granted
from fedsecure_aggregator.storage.projection import Happened
from fedsecure_aggregator.storage.queries import Standing
from fedsecure_aggregator.storage.spool import Upload, report_name
from fedsecure_aggregator.storage.tables import ReportRow, RoundRow

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
        return longest_payload(context.granted.find(session, digest).params)


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
    _require_address(context, header.statement, reporter)
    return _expect_now(context, header)


def _expect_now(context: Context, header: Signed[ReportHeader]) -> Expected:
    """Go through the steps of `expect` that need the store."""
    said = header.statement
    with context.store.reading("expect report") as session:
        granted = context.granted.find(session, said.spec)
        _require_member(context, granted, said.reporter)  # (3)
        _require_length(granted.params, said)  # (4)
        standing = queries.standing(session, said.spec, said.reporter)
        if standing.header is None:
            _require_open(context, said.spec, standing)  # (6)
        else:
            _require_same(standing, standing.header, header)  # (5)
            _require_kept(session, said)
        return Expected(header, granted.params, standing.header is not None)


def accept(context: Context, expected: Expected, upload: Upload, offset: int) -> str:
    """Open an upload that is durable, keep it, count it, and return its receipt.

    Run by the worker's thread alone. The upload is gone or in its place afterwards.

    Raises:
        PeerError: FS-314 when it does not open; nothing was counted.
        RoundStateError: As `expect`, for what happened since.
    """
    said = expected.header.statement
    try:
        # Again, for what happened while it was under way.
        now = _expect_now(context, expected.header)
        if now.stored:
            return receipt(context, said.spec, said.reporter)
        return _keep(context, now, upload, offset)
    finally:
        upload.discard()


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
    return _receipt_token(context, row, queries.head_at(session, row.receipt_entry))


def require_report(session: Session, digest: str, reporter: str) -> ReportRow:
    """Return a stored report's row.

    Raises:
        RoundStateError: FS-331.
    """
    row = queries.find_report(session, digest, reporter)
    if row is None:
        raise RoundStateError("FS-331", f"{reporter} in round {digest[:12]}")
    return row


def rebuild(context: Context, digest: str) -> None:
    """Give each stored report that has no row its row again; run by the worker.

    A database can lose the row after the receipt was given, and a crash comes before
    the row is written. Whatever it was: the report is on disk, its data owner's signed
    header is in it, and it was opened before it came to its place. What cannot be read
    stays as it is until the round is over, and is named in the log.
    """
    stored = context.spool.reports(digest)
    if not stored:
        return
    with context.store.reading("look for lost rows") as session:
        row = session.get(RoundRow, digest)
        known = queries.reporters_of(session, digest)
    if row is None or row.state not in UNDECIDED:
        return
    for reporter in sorted({*stored} - known):
        try:
            header = _stored_header(context, digest, reporter)
        except FedsecureError as error:
            _name(context, digest, reporter, error)
        else:
            _put_again(context, header)


def _stored_header(
    context: Context, digest: str, reporter: str
) -> Signed[ReportHeader]:
    """Read a report from the spool, and check that it is what was received."""
    content = context.spool.stored(report_name(digest, reporter))
    with content.reading(f"a report of round {digest[:12]}") as file:
        token = framing.read_header(file)
        header = verify(token, ReportHeader, context.federation)
        require_round(digest, header.statement.spec)
        _require_address(context, header.statement, reporter)
        payload = PayloadDigest(header.statement.length)
        while piece := file.read(framing.PIECE):
            payload.update(piece)
    if payload.digest().hex() != header.statement.digest:
        raise PeerError("FS-313", f"report {header.statement.report_id} is damaged")
    return header


def _put_again(context: Context, header: Signed[ReportHeader]) -> None:
    context.change("put report again", lambda s: _put_row(context, s, header))
    said = header.statement
    log.warning("report had lost its row", round=said.spec, report=said.report_id)


def _name(context: Context, digest: str, reporter: str, error: FedsecureError) -> None:
    if (digest, reporter) not in context.unexplained:
        context.unexplained.add((digest, reporter))
        what = "a file among the reports is none, and is kept until the round is over"
        log.error(what, round=digest, code=error.code, detail=error.detail)


def _keep(context: Context, report: Expected, upload: Upload, offset: int) -> str:
    said = report.header.statement
    # Added first, for opening a report twice would cost as much as all the rest; a
    # sum that holds a report without a row is dropped at once.
    context.fold.add(report.params, ReceivedReport(upload, said, offset))
    try:
        upload.commit(report_name(said.spec, said.reporter))
        reached(Point.REPORT_SPOOLED)
        row, head = _commit(context, report)
    except BaseException:
        context.fold.forget(said.spec)
        raise
    reached(Point.REPORT_COMMITTED)
    log.info("report stored", round=said.spec, report=said.report_id, bytes=said.length)
    signed = _receipt_token(context, row, head)
    reached(Point.RECEIPT_SIGNED)
    return signed


def _commit(context: Context, report: Expected) -> tuple[ReportRow, LedgerHead]:
    def work(session: Session) -> tuple[ReportRow, LedgerHead]:
        row = _put_row(context, session, report.header)
        return row, queries.head_at(session, row.receipt_entry)

    row, head = context.change("put report", work)
    context.receipted.setdefault(row.spec, {})[row.reporter] = head.entries
    return row, head


def _put_row(
    context: Context, session: Session, header: Signed[ReportHeader]
) -> ReportRow:
    said = header.statement
    standing = queries.standing(session, said.spec, said.reporter)
    if standing.header is not None:  # the answer to the commit was lost
        return require_report(session, said.spec, said.reporter)
    if standing.state is RoundState.GRANTED:
        body = {"spec": said.spec}
        context.store.append(session, Happened.COLLECTING, body, context.clock())
    row = ReportRow(
        spec=said.spec,
        reporter=said.reporter,
        report_id=said.report_id,
        kind=said.kind,
        length=said.length,
        digest=said.digest,
        header=header.token,
        receipt_entry=_receipt_entry(context, session, said),
        stored_at=context.clock(),
    )
    queries.add_report(session, row)
    return row


def _receipt_entry(context: Context, session: Session, said: ReportHeader) -> int:
    """Return how long the ledger is at a receipt; or was, if it was given before."""
    given = context.receipted.get(said.spec, {}).get(said.reporter)
    return context.store.head(session).entries if given is None else given


def _receipt_token(context: Context, row: ReportRow, head: LedgerHead) -> str:
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


def _require_address(context: Context, said: ReportHeader, reporter: str) -> None:
    for what, inside, here in (
        ("reporter", said.reporter, reporter),
        ("aggregator", said.aggregator, context.name),
    ):
        if inside != here:
            raise PeerError("FS-310", f"{what} is {inside!r} inside, {here!r} here")


def _require_member(context: Context, granted: Granted, reporter: str) -> None:
    if reporter not in granted.members:
        spec = granted.spec
        raise PeerError("FS-311", f"{reporter} in round {spec.round} of {spec.run}")
    require_data_owner(context.federation, reporter)


def _require_length(params: Params, said: ReportHeader) -> None:
    plaintext = scheme.input_share_bytes(params, said.kind)
    length = payload_digest.sealed_length(plaintext)
    if said.length != length:
        raise PeerError(
            "FS-310",
            f"a {said.kind} of {said.length} bytes, this round's have {length}",
        )


def _require_same(
    standing: Standing, stored: str, header: Signed[ReportHeader]
) -> None:
    said = header.statement
    require_not_void(said.spec, standing.state, standing.void_reason)
    if digest_of(stored) != header.digest:
        raise RoundStateError("FS-312", f"{said.reporter} reported otherwise before")


def _require_kept(session: Session, said: ReportHeader) -> None:
    why = queries.losses_of(session, said.spec).get(said.reporter)
    if why is not None:
        raise RoundStateError("FS-328", f"{said.reporter} ({why})")


def _require_open(context: Context, spec: str, standing: Standing) -> None:
    advance(standing.state, Step.REPORT)
    late = context.clock() - standing.deadline
    if not late < 0:
        raise RoundStateError("FS-306", f"{late:.1f} s ago in round {spec[:12]}")
