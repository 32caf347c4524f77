"""Stored reports that no longer open, though a receipt was given for each.

They are found when a set is added up, which is before it is opened: nothing is fixed
then, and nothing has left. Each loss is an entry of the ledger, so that it can be seen
that this aggregator did not keep what its receipt says, and it is final: a report that
was lost once is in no sum.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from sqlalchemy.orm import Session

from fedsecure.protocol.framing import offset_after
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.statements import ReportHeader
from fedsecure.protocol.stored_statements import stored
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rounds.fold import ReceivedReport
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.projection import Happened, spec_of
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
    found = context.fold.gather(params_of(spec_of(row.token)), row.spec, received)
    if found:
        # A folder that is away for a moment has lost nothing.
        context.spool.require_sound()
        _record(context, [one for one in left if one.reporter in found], found)
    here = {report.reporter for report in reports}
    return {name: why for name, why in {**known, **found}.items() if name in here}


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
                context.store.append(session, Happened.LOST, body, context.clock())

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
