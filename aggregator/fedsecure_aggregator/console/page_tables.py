"""An aggregator's rounds, reports and refusals as tables."""

from typing import Final

from rich.text import Text

from fedsecure.errors import PROBLEMS
from fedsecure.terminal.text_tables import Column
from fedsecure.terminal.values import digest, moment, plain, size, stated
from fedsecure_aggregator.console.reading import RefusalRow, ReportRow, RoundRow


def _outcome(row: RoundRow) -> Text:
    if row.void_reason:
        return plain(f"void: {row.void_reason}", "red")
    return plain(f"{row.opened} in the sum" if row.opened is not None else None)


def _round(row: RefusalRow) -> Text:
    return plain(f"{row.run} {row.round}" if row.run else "never granted")


ROUNDS: Final[tuple[Column[RoundRow], ...]] = (
    Column("round", lambda row: plain(row.label), "right"),
    Column("state", lambda row: stated(row.state)),
    Column("reports", lambda row: plain(f"{row.reports}/{row.cohort}"), "right"),
    Column("run", lambda row: plain(row.run)),
    Column("granted (UTC)", lambda row: moment(row.granted_at)),
    Column("opened (UTC)", lambda row: moment(row.opened_at)),
    Column("parameters", lambda row: plain(f"{row.dimension:,}"), "right"),
    Column("outcome", _outcome, folds=True),
)
REPORTS: Final[tuple[Column[ReportRow], ...]] = (
    Column("data owner", lambda row: plain(row.reporter), folds=True),
    Column("stored (UTC)", lambda row: moment(row.stored_at)),
    Column("kind", lambda row: plain(row.kind)),
    Column("size", lambda row: size(row.bytes), "right"),
    Column("report", lambda row: digest(row.report_id)),
    Column("digest", lambda row: digest(row.digest)),
)
REFUSALS: Final[tuple[Column[RefusalRow], ...]] = (
    Column("at (UTC)", lambda row: moment(row.refused_at)),
    Column("signed by", lambda row: plain(row.signer)),
    Column("statement", lambda row: plain(row.statement)),
    Column("round", _round),
    Column("code", lambda row: plain(row.code, "red")),
    Column("why", lambda row: plain(_why(row.code)), folds=True),
)


def _why(code: str) -> str | None:
    return PROBLEMS[code].title if code in PROBLEMS else None
