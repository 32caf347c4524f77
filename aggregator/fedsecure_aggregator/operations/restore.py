"""Puts an aggregator's store back: a backup's rows, or the operator's word for it.

    restore FILE       a backup's rows instead of the store's
    restore            the database was put back by other means: a snapshot, a fail-over

Neither happens under a running aggregator. A restored store opens nothing of the runs
that it knows, or that were begun since: it may have forgotten what it opened. So a note
is left in the data folder, and the next start closes these runs, uses up the privacy
budgets of their studies, and says so in the ledger (`continuity`). Which sets were
opened the data folder tells (`journal`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, Connection, func, select
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.protocol.federation_versions import Federations
from fedsecure.storage import database, revisions
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.operations.backup import (
    copy_rows,
    failing,
    keep_aside,
    opened,
)
from fedsecure_aggregator.storage import queries, store
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_aggregator.storage.notes import RestoreNote
from fedsecure_aggregator.storage.store import MIGRATIONS
from fedsecure_aggregator.storage.tables import Base, EventRow


@dataclass(frozen=True, slots=True)
class Member:
    """Whose store it has to be: an aggregator, and the versions of its federation."""

    name: str
    keys: Federations


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator wants when the store is put back.

    Args:
        file: A backup; None if the database was put back by other means, and is to be
            gone on with as it is.
        forget_sets: True to go on although nobody knows which sets were opened.
        at: Seconds since 1970.
    """

    file: Path | None
    at: float
    forget_sets: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """How many rows there are now, and where those are that were there before."""

    rows: int
    kept: Path | None


def restore(settings: AggregatorSettings, member: Member, order: Order) -> Restored:
    """Put a backup's rows in place of the store's; the aggregator must not run.

    The next start sees that the store was restored, says so in its ledger, and closes
    every run. The store that is replaced is copied into the data folder before.

    Raises:
        OperatorError: FS-522 or FS-547 while the aggregator runs, FS-528 when there is
            no such backup, FS-546 when nothing tells which sets were opened, FS-548
            when it is another's, FS-523 to FS-526 for disk and database, FS-603,
            FS-608.
    """
    target = database.locate(settings.store)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_spool(settings.data) as spool, store.taken(target) as new:
        note = RestoreNote(at=order.at, sets_forgotten=order.forget_sets)
        if not spool.notes.journal.exists:
            note.require_sets(spool.place)
        with _source(order.file or target, member) as reading:
            if order.file is None:
                spool.notes.note_restore(note)
                return Restored(_count_rows(reading), None)
            kept = keep_aside(target, spool.folder, "before-restore")
            # Before the rows: a crash in between closes runs.
            spool.notes.note_restore(note)
            with failing("restore"):
                revisions.upgrade(new, MIGRATIONS)
                with database.writer(new).begin() as writing:
                    for table in reversed(Base.metadata.sorted_tables):
                        writing.execute(table.delete())
                    return Restored(copy_rows(reading, writing, Base.metadata), kept)


def preview(settings: AggregatorSettings, member: Member, order: Order) -> str:
    """Say what is there, and what will take its place.

    Raises:
        OperatorError: As `restore`, for what will take its place.
    """
    target = database.locate(settings.store)
    if order.file is None:
        return f"{database.shown(target)}: {_extent(target, member)}"
    try:
        now = _extent(target, member)
    except OperatorError as error:
        now = f"cannot be read ({error.code})"
    return (
        f"now      {database.shown(target)}: {now}\n"
        f"instead  {order.file}: {_extent(order.file, member)}"
    )


def _extent(place: str | Path | URL, member: Member) -> str:
    with _source(place, member) as reading:
        last = select(EventRow.entry, EventRow.at).order_by(EventRow.entry.desc())
        row = reading.execute(last.limit(1)).first()
    if row is None:
        return "no entry"
    at = datetime.fromtimestamp(row.at, UTC)
    return f"{row.entry:,} entries, the last of {at:%Y-%m-%d %H:%M} UTC"


@contextmanager
def _source(place: str | Path | URL, member: Member) -> Iterator[Connection]:
    """Read a store of this aggregator."""
    if isinstance(place, Path) and not place.is_file():
        raise OperatorError("FS-528", f"{place} is not a file")
    url = place if isinstance(place, URL) else database.locate(place)
    with (
        failing("restore"),
        opened(database.open_for_reading(url)) as engine,
        engine.connect() as reading,
    ):
        revisions.require_current(reading, database.shown(url), MIGRATIONS)
        queries.require_own(Session(reading), member.name, member.keys)
        yield reading


def _count_rows(connection: Connection) -> int:
    return sum(
        connection.scalar(select(func.count()).select_from(table)) or 0
        for table in Base.metadata.sorted_tables
    )
