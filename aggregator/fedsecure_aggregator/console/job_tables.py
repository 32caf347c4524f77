"""Jobs, their inputs and the queries of services as tables."""

from typing import Final

from rich.text import Text

from fedsecure.console.rendering import when
from fedsecure.terminal.text_tables import Column
from fedsecure.terminal.values import digest, moment, plain, size, stated
from fedsecure_aggregator.console.job_reading import Asked, ShownJob, ShownQuery
from fedsecure_aggregator.storage.jobs.tables import InputRow

KINDS: Final = {"shares": "opens once", "linear": "linear model"}


def kind(row: ShownJob) -> Text:
    """Say what a job is, and how a service keeps rows secret."""
    shown = KINDS.get(row.kind, row.kind)
    return plain(f"{shown}, by {row.method}" if row.is_service else shown)


def outcome(row: ShownJob) -> Text:
    """Say what came of a job."""
    if row.reason:
        return plain(row.reason, "red" if row.state == "void" else "")
    if row.is_service:
        return plain(f"{row.answered:,} rows answered")
    return plain("output sealed" if row.output_bytes is not None else None)


def _for_whom(row: ShownJob) -> Text:
    if row.receiver is not None:
        return plain(row.receiver)
    return plain("1 client" if row.clients == 1 else f"{row.clients:,} clients")


def _rows(row: Asked) -> Text:
    """Return what was answered; yellow once little is left."""
    shown = f"{row.rows:,} of {row.most:,}"
    return plain(shown, "yellow" if row.rows > 0.95 * row.most else "")


JOBS: Final[tuple[Column[ShownJob], ...]] = (
    Column("job", lambda row: plain(row.job)),
    Column("state", lambda row: stated(row.state)),
    Column("what", kind),
    Column("proposed by", lambda row: plain(row.proposer)),
    Column("for", _for_whom),
    Column("queries", lambda row: plain(f"{row.queries:,}"), "right"),
    Column("granted (UTC)", lambda row: moment(row.granted_at)),
    Column("until (UTC)", lambda row: moment(row.deadline)),
    Column("outcome", outcome, folds=True),
)
INPUTS: Final[tuple[Column[InputRow], ...]] = (
    Column("input", lambda row: plain(row.name)),
    Column("of", lambda row: plain(row.owner)),
    Column("stored (UTC)", lambda row: plain(when(row.stored_at))),
    Column("kind", lambda row: plain(row.kind)),
    Column("size", lambda row: size(row.length), "right"),
    Column("input id", lambda row: digest(row.input_id)),
    Column("digest", lambda row: digest(row.digest)),
)
CLIENTS: Final[tuple[Column[Asked], ...]] = (
    Column("client", lambda row: plain(row.client)),
    Column("rows answered", _rows, "right"),
    Column("queries", lambda row: plain(f"{row.queries:,}"), "right"),
    Column("last (UTC)", lambda row: plain(when(row.last_at))),
)
ASKED: Final[tuple[Column[ShownQuery], ...]] = (
    Column("answered (UTC)", lambda row: moment(row.answered_at)),
    Column("client", lambda row: plain(row.client)),
    Column("query", lambda row: plain(f"{row.query:,}"), "right"),
    Column("rows", lambda row: plain(f"{row.rows:,}"), "right"),
    Column("of this client in all", lambda row: plain(f"{row.answered:,}"), "right"),
    Column("kind", lambda row: plain(row.kind)),
)
