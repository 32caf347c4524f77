"""The aggregator store: one transaction per change, each with a name.

SQLite in the data folder by default (WAL, every commit on disk before it returns),
PostgreSQL by URL. Only the worker's thread writes, so entries of the ledger never race;
any thread reads. No other process may: whoever opens the store holds it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.protocol.ledger import Ledger
from fedsecure.protocol.signing import Author
from fedsecure.protocol.statements import LedgerHead
from fedsecure.storage import database, locks, revisions, sql_failures
from fedsecure.storage.locks import Hold
from fedsecure.storage.transactions import Patience, Transactions
from fedsecure_aggregator.storage import migrations
from fedsecure_aggregator.storage.disk import disk
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.projection import EventKind, project
from fedsecure_aggregator.storage.tables import (
    EventRow,
)

MIGRATIONS: Final = Path(migrations.__file__).parent

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """The database of one aggregator. Made by `open_store`."""

    engine: Engine = field(repr=False)
    ledger: Ledger
    transactions: Transactions = field(repr=False)
    held: Hold = field(repr=False)

    def change(self, name: str, work: Callable[[Session], T]) -> T:
        """Commit all of some work or nothing of it; it may be called several times.

        Raises:
            OperatorError: FS-523 to FS-525 naming the transaction when the database
                fails for longer than a restart takes; FS-545 when it went back in
                time, FS-547 when another process has taken it.
        """
        return self.transactions.run(name, work)

    def reading(self, name: str) -> AbstractContextManager[Session]:
        """Read one state of the store; waits for no writer.

        Raises:
            OperatorError: FS-525 naming what was read when the database fails.
        """
        return self.transactions.reading(name)

    def append(
        self,
        session: Session,
        kind: EventKind | JobEvent,
        body: Mapping[str, Any],
        at: float,
    ) -> LedgerHead:
        """Add one entry to the ledger, and what follows from it to the tables."""
        return self.ledger.append(session, kind, body, at)

    def enter_version(self, session: Session, at: float) -> None:
        """Say in the ledger that it goes on under this version, if it was another.

        Raises:
            OperatorError: FS-656 when that one is newer.
        """
        self.ledger.enter(session, at)

    def head(self, session: Session) -> LedgerHead:
        """Return the ledger's length and last hash, without reading its last entry."""
        return self.transactions.head(session)

    def require_sound(self, session: Session) -> None:
        """Check that what is committed lasts, and what was committed is there.

        Raises:
            OperatorError: FS-544, FS-545 or FS-547.
        """
        connection = session.connection()
        database.require_durable(connection)
        self.held.require(connection)
        self.transactions.require_continued(session)

    def close(self) -> None:
        """Close all connections, and let others have the store."""
        self.engine.dispose()
        self.held.close()


def open_store(
    place: str | Path, author: Author, patience: Patience | None = None
) -> Store:
    """Take a store, make the tables of a new one, and return it; run at start.

    Args:
        place: URL, or path of an SQLite file.
        author: Signs the ledger.
        patience: How long a transaction is tried again.

    Raises:
        OperatorError: FS-523 to FS-526 when disk or database fail, FS-544 when it
            loses commits, FS-547 when another process has it, FS-603 or FS-608 when it
            is of another version, FS-607 when it is something else.
    """
    with ExitStack() as stack:
        engine, held = _take(database.locate(place), stack)
        with _named("start"):
            revisions.prepare(engine, MIGRATIONS, "fedsecure aggregator migrate")
        stack.pop_all()
    transactions = Transactions(
        engine,
        EventRow,
        _failed,
        patience or Patience(),
        hold=held.require,
        others_write=False,
    )
    return Store(engine, Ledger(author, EventRow, project), transactions, held)


@contextmanager
def taken(url: URL) -> Iterator[Engine]:
    """Have a store for this process alone, to replace what is in it.

    Raises:
        OperatorError: FS-523 to FS-526, FS-547, FS-607.
    """
    with ExitStack() as stack:
        engine, _ = _take(url, stack)
        yield engine


def _take(url: URL, stack: ExitStack) -> tuple[Engine, Hold]:
    with disk(database.shown(url)), _named("take the store"):
        held = locks.hold(url, "FS-547")
    stack.callback(held.close)
    engine = database.open_for_writing(url)
    stack.callback(engine.dispose)
    return engine, held


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise _failed(name, error) from error


def _failed(name: str, error: SQLAlchemyError) -> OperatorError:
    return OperatorError(
        sql_failures.failure(error), f"{name}: {sql_failures.cause(error)}"
    )
