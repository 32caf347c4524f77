"""An aggregator's rounds, reports and refusals as tables."""

from typing import Final

from rich.text import Text

from fedsecure.errors import PROBLEMS
from fedsecure.terminal.text_tables import Column
from fedsecure.terminal.values import digest, moment, plain, size, stated
from fedsecure_aggregator.console.reading import (
    PrivacyRow,
    RefusalRow,
    ReportRow,
    RoundRow,
)


def _outcome(row: RoundRow) -> Text:
    if row.void_reason:
        return plain(f"void: {row.void_reason}", "red")
    return plain(f"{row.opened} in the sum" if row.opened is not None else None)


def _round(row: RefusalRow) -> Text:
    return plain(f"{row.run} {row.round}" if row.run else "never granted")


def _spent(row: PrivacyRow) -> Text:
    """Return what is spent; red once nothing more can be opened for long."""
    shown = f"{row.epsilon:.2f}"
    return plain(shown, "red") if row.left_over < row.budget / 20 else plain(shown)


_UNITS: Final = {"row": "each row", "data-owner": "all rows"}

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

ACCOUNTS: Final[tuple[Column[PrivacyRow], ...]] = (
    Column("data owner", lambda row: plain(row.reporter), folds=True),
    Column("protects", lambda row: plain(_UNITS[row.unit])),
    Column("epsilon spent", _spent, "right"),
    Column("of", lambda row: plain(f"{row.budget:g}"), "right"),
    Column("outsider", lambda row: plain(f"{row.outsider:.2f}"), "right"),
    Column("delta", lambda row: plain(f"{row.delta:g}"), "right"),
    Column("rounds", lambda row: plain(f"{row.openings:,}"), "right"),
    Column("study", lambda row: digest(row.study)),
)


def _why(code: str) -> str | None:
    return PROBLEMS[code].title if code in PROBLEMS else None
