"""Named transactions of one store, tried again when the database lost them.

    reading   one state of the store; a lost connection is made anew before it begins
    run       commits all of some work or nothing of it, exactly once

A server that restarts ends its connections, and PostgreSQL gives up one of two
transactions that cannot be put in order. Both pass, so the work is done again, for a
bounded time. If the answer to a commit was lost, nobody knows whether it happened: the
ledger tells, for a transaction that appended an entry is there if its hash is. Work
that appends none has to be of a kind that may be done twice.

A database can go back in time: a server that lost commits, a replica that lacked them,
a backup put in its place. What was promised on the strength of them would be broken by
whatever is written next. So each transaction that writes first compares the ledger with
the head that was committed last, and refuses (FS-545).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, ParamSpec, TypeVar

import tenacity
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.protocol import ledger
from fedsecure.protocol.statements import LedgerHead
from fedsecure.storage import database

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

PASSING: Final = (  # SQLSTATE: first characters of what may pass
    "08",  # the connection broke
    "40",  # not serialisable, or a deadlock
    "53300",  # too many connections
    "57P01",  # the server is stopped
    "57P02",  # the server crashed
    "57P03",  # the server starts
)


class DatabaseAwayError(OperatorError):
    """A database is out of reach for longer than a restart takes, and may come back."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a transaction is tried again (seconds)."""

    seconds: float = 10.0
    longest_pause: float = 1.0
    sleep: Callable[[float], None] = tenacity.nap.sleep


@dataclass(slots=True)
class _Committed:
    """What the last commit left, as far as this process knows it.

    `perhaps` are heads of commits whose answer was lost for good.
    """

    head: LedgerHead | None = None
    perhaps: set[LedgerHead] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Transactions:
    """The transactions of one store.

    Args:
        engine: From `database.open_for_writing`.
        events: The table of its ledger.
        failed: Makes our error of a name and the database's, for what does not pass.
        patience: How long to try again.
        hold: Raises unless this process has the store for itself.
        others_write: Entries may be there that this process did not write.
    """

    engine: Engine = field(repr=False)
    events: type[Any]
    failed: Callable[[str, SQLAlchemyError], OperatorError]
    patience: Patience = Patience()
    hold: Callable[[Connection], None] | None = field(default=None, repr=False)
    others_write: bool = True
    _committed: _Committed = field(default_factory=_Committed, init=False, repr=False)

    def run(self, name: str, work: Callable[[Session], T]) -> T:
        """Do some work and commit it, or nothing of it; return what it returned.

        Args:
            name: For people, in errors.
            work: May be called several times, each time in a new transaction of which
                nothing is left unless the last one was committed.

        Raises:
            OperatorError: As `failed` makes it, when the database fails for good;
                FS-545 when it went back in time; as `hold` says.
        """
        once = _Once(work, self.head, self.head_at, self._require_continued)
        try:
            with self._reported(name):
                result = self._tried(self._attempt, once)
        except BaseException:
            self._committed.perhaps |= once.heads
            raise
        self._committed.head, self._committed.perhaps = once.after, set()
        return result

    def expect(self, head: LedgerHead) -> None:
        """Say what was committed last, as it was noted outside of the database."""
        self._committed.head = head

    @contextmanager
    def reading(self, name: str) -> Iterator[Session]:
        """Read one state of the store; waits for no writer.

        Raises:
            OperatorError: As `failed` makes it, when the database fails.
        """
        with (
            self._reported(name),
            Session(database.reader(self.engine), expire_on_commit=False) as session,
        ):
            self._tried(session.connection)
            yield session

    def require_continued(self, session: Session) -> None:
        """Check, in a transaction that reads, that nothing committed is gone.

        Raises:
            OperatorError: FS-545.
        """
        known = self._committed.head
        if known is not None and not self._holds(session, known):
            raise _went_back(self.head(session), known)

    def head(self, session: Session) -> LedgerHead:
        """Return the ledger's length and last hash, without reading its last entry."""
        return ledger.head(session, self.events)

    def head_at(self, session: Session, entry: int) -> LedgerHead:
        """Return the ledger's head as it was after `entry` entries."""
        return ledger.head_at(session, self.events, entry)

    def _attempt(self, once: "_Once[T]") -> T:
        writer = database.writer(self.engine)
        with Session(writer, expire_on_commit=False) as session, session.begin():
            if self.hold is not None:
                self.hold(session.connection())
            return once(session)

    def _require_continued(self, session: Session, found: LedgerHead) -> None:
        """Check that the ledger is what was committed last, or continues it.

        Raises:
            OperatorError: FS-545.
        """
        known = self._committed.head
        if known is None or found == known or found in self._committed.perhaps:
            return
        if self.others_write and self._holds(session, known):
            return
        raise _went_back(found, known)

    def _holds(self, session: Session, known: LedgerHead) -> bool:
        return self.head_at(session, known.entries) == known

    def _tried(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do some work, again if need be; a first try need not pay for tenacity."""
        try:
            return work(*args, **kwargs)
        except SQLAlchemyError as error:
            if not may_pass(error):
                raise
        result: R = self._retrying()(work, *args, **kwargs)
        return result

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_pass),
            wait=tenacity.wait_random_exponential(0.05, self.patience.longest_pause),
            stop=tenacity.stop_after_delay(self.patience.seconds),
            sleep=self.patience.sleep,
            reraise=True,
        )

    @contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self.failed(name, error) from error


class _Once(Generic[T]):
    """Some work, not done again if an earlier attempt was committed after all."""

    def __init__(
        self,
        work: Callable[[Session], T],
        head: Callable[[Session], LedgerHead],
        head_at: Callable[[Session, int], LedgerHead],
        require: Callable[[Session, LedgerHead], None],
    ) -> None:
        self._work = work
        self._head = head
        self._head_at = head_at
        self._require = require
        self._tried: list[tuple[LedgerHead, T]] = []
        self.after: LedgerHead | None = None

    @property
    def heads(self) -> set[LedgerHead]:
        """What the ledger may end with if a commit happened after all."""
        return {head for head, _ in self._tried}

    def __call__(self, session: Session) -> T:
        before = self.after = self._head(session)
        for head, result in self._tried:
            if self._head_at(session, head.entries) == head:
                return result
        self._require(session, before)
        result = self._work(session)
        self.after = self._head(session)
        if self.after != before:
            self._tried.append((self.after, result))
        return result


def _went_back(found: LedgerHead, known: LedgerHead) -> OperatorError:
    return OperatorError(
        "FS-545",
        f"its ledger has {found.entries} entries up to {found.hash[:12]}, and "
        f"{known.entries} up to {known.hash[:12]} were committed",
    )


def may_pass(error: BaseException) -> bool:
    """Tell whether a database's error is one that passes when the work is repeated."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    # Errors of SQLite have no such attribute: its locks were waited for already.
    state = getattr(error.orig, "sqlstate", "")
    if state is None:  # no connection was made
        return type(error.orig).__name__ in {"OperationalError", "ConnectionTimeout"}
    return str(state).startswith(PASSING) if state else False
