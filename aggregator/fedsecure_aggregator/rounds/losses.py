"""What a disk or a database has lost of stored reports, though a receipt was given.

    add_up    finds the reports that no longer open; each is lost for good
    rebuild   finds the reports that have no row any more, and gives it back to them

The first are found when a set is added up, which is before it is opened: nothing is
fixed then, and nothing has left. Each is an entry of the ledger, so that it can be seen
that this aggregator did not keep what its receipt says, and it is final: a report that
was lost once is in no sum.

A row is lost by a database that lost it after the receipt was given, or by a crash that
came before it was written. Whatever it was: the report is kept, its data owner's signed
header is in it, and it was opened before it came to its place.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.sealing.payload_digest import PayloadDigest
from fedsecure.errors import FedsecureError, PeerError
from fedsecure.protocol.framing import PIECE, offset_after, read_header
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import ReportHeader
from fedsecure.protocol.stored_statements import stored
from fedsecure_aggregator.rounds import receipts
from fedsecure_aggregator.rounds.accumulator import ReceivedReport
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rounds.reports import require_address
from fedsecure_aggregator.rules.round_states import UNDECIDED, require_round
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.projection import EventKind, spec_of
from fedsecure_aggregator.storage.spool import report_name
from fedsecure_aggregator.storage.tables import ReportRow, RoundRow

MOST: Final = 200  # characters of a cause

log = structlog.get_logger()


def add_up(
    context: Context, row: RoundRow, reports: Sequence[ReportRow]
) -> dict[str, str]:
    """Form the sum over these reports, and record those that no longer open.

    Run by the worker's thread alone.

    Returns:
        By reporter, why its report was lost. The sum is over the others.

    Raises:
        OperatorError: FS-523 to FS-526 for a disk or database that fails.
    """
    known = _known(context, row.spec)
    left = [report for report in reports if report.reporter not in known]
    received = [_received(context, report) for report in left]
    found = context.accumulator.gather(
        params_of(spec_of(row.token)), row.spec, received
    )
    if found:
        # A folder that is away for a moment has lost nothing.
        context.spool.require_sound()
        _record(context, [one for one in left if one.reporter in found], found)
    here = {report.reporter for report in reports}
    return {name: why for name, why in {**known, **found}.items() if name in here}


def rebuild(context: Context, digest: str) -> None:
    """Give each stored report that has no row its row again; run by the worker.

    What cannot be read stays as it is until the round is over, and is named in the log.
    """
    kept = context.spool.reports(digest)
    if not kept:
        return
    with context.store.reading("look for lost rows") as session:
        row = session.get(RoundRow, digest)
        known = queries.reporters_of(session, digest)
    if row is None or row.state not in UNDECIDED:
        return
    for reporter in sorted({*kept} - known):
        try:
            header = _stored_header(context, digest, reporter)
        except FedsecureError as error:
            _log_once(context, digest, reporter, error)
        else:
            _put_again(context, header)


def _known(context: Context, spec: str) -> dict[str, str]:
    with context.store.reading("find losses") as session:
        return queries.losses_of(session, spec)


def _record(
    context: Context, reports: Sequence[ReportRow], causes: Mapping[str, str]
) -> None:
    bodies = [
        {
            "spec": report.spec,
            "reporter": report.reporter,
            "report_id": report.report_id,
            "digest": report.digest,
            "reason": causes[report.reporter][:MOST],
        }
        for report in reports
    ]

    def work(session: Session) -> None:
        for body in bodies:
            if body["reporter"] not in queries.losses_of(session, body["spec"]):
                context.store.append(session, EventKind.LOST, body, context.clock())

    context.change("report lost", work)
    for body in bodies:
        log.error(
            "report lost",
            code="FS-328",
            round=body["spec"],
            report=body["report_id"],
            detail=body["reason"],
        )


def _received(context: Context, report: ReportRow) -> ReceivedReport:
    content = context.spool.stored(report_name(report.spec, report.reporter))
    header = stored(report.header, ReportHeader).statement
    return ReceivedReport(content, header, offset_after(report.header))


def _stored_header(
    context: Context, digest: str, reporter: str
) -> Signed[ReportHeader]:
    """Read a report from the spool, and check that it is what was received."""
    content = context.spool.stored(report_name(digest, reporter))
    with content.reading(f"a report of round {digest[:12]}") as file:
        token = read_header(file)
        header = verify(token, ReportHeader, context.federation)
        require_round(digest, header.statement.spec)
        require_address(context, header.statement, reporter)
        payload = PayloadDigest(header.statement.length)
        while piece := file.read(PIECE):
            payload.update(piece)
    if payload.digest().hex() != header.statement.digest:
        raise PeerError("FS-313", f"report {header.statement.report_id} is damaged")
    return header


def _put_again(context: Context, header: Signed[ReportHeader]) -> None:
    context.change("put report again", lambda s: receipts.put_row(context, s, header))
    statement = header.statement
    log.warning(
        "report had lost its row", round=statement.spec, report=statement.report_id
    )


def _log_once(
    context: Context, digest: str, reporter: str, error: FedsecureError
) -> None:
    if context.memory.is_first_fault(digest, reporter):
        what = "a file among the reports is none, and is kept until the round is over"
        log.error(what, round=digest, code=error.code, detail=error.detail)
