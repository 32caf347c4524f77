"""A store's ledger: an append-only chain of signed events, the same at every store.

    payload_i = JWS of an Event (entry i, previous = hash_{i-1}, kind, time, body)
    hash_i    = SHA-256(hash_{i-1} || payload_i), hash_0 = 32 zero bytes

Every other table of a store is a projection of its events: `Ledger.append` writes
the event and applies its projection in the caller's transaction, and an audit
projects again and compares. Other parties hold signed heads of the chain, so that
rewriting it would be seen.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Integer, String, Text, literal_column, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fedsecure.errors import PeerError
from fedsecure.identity import Federation
from fedsecure.signing import Author, canonical, verify
from fedsecure.statements import Event, LedgerHead

GENESIS: Final = "0" * 64
EMPTY: Final = LedgerHead(entries=0, hash=GENESIS)
HEAD: Final = "fedsecure ledger head"  # in the notes of a session
READ_AHEAD: Final = 16  # entries; one of a large round has a megabyte


class EventColumns:
    """Columns of the table `events`, mixed into each store's own base."""

    entry: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="1, 2, 3 and so on"
    )
    hash: Mapped[str] = mapped_column(
        String(64), comment="SHA-256(previous hash || payload), hex"
    )
    kind: Mapped[str] = mapped_column(
        String(63), index=True, comment="what happened, as in the payload"
    )
    at: Mapped[float] = mapped_column(comment="seconds since 1970 UTC, as in payload")
    payload: Mapped[str] = mapped_column(
        Text, comment="the signed event, exactly (JWS compact)"
    )


Projection = Callable[[Session, Event], None]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Appends events to one store; run by the party that owns the store."""

    author: Author
    table: type[Any]
    project: Projection

    def append(
        self, session: Session, kind: str, body: Mapping[str, Any], at: float
    ) -> LedgerHead:
        """Add one event and apply its projection, inside the caller's transaction.

        Args:
            session: The open transaction; nothing is visible before it commits.
            kind: What happened.
            body: Everything that the projection needs (JSON).
            at: Seconds since 1970.
        """
        before = head(session, self.table)
        event = Event(
            federation=self.author.federation.digest,
            author=self.author.name,
            entry=before.entries + 1,
            previous=before.hash,
            kind=kind,
            at=at,
            body=dict(body),
        )
        payload = self.author.sign(event).token
        event = Event.model_validate_json(canonical(event))  # as an audit will read it
        link = chain(before.hash, payload)
        session.add(
            self.table(
                entry=event.entry, hash=link, kind=kind, at=event.at, payload=payload
            )
        )
        session.flush()
        self.project(session, event)
        return _noted(session, LedgerHead(entries=event.entry, hash=link))


def head(session: Session, table: type[Any]) -> LedgerHead:
    """Return the chain's length and last hash, without reading its last entry.

    The database is asked once in a transaction, for nobody else's entries appear in it.

    Args:
        session: Of one store; it has one ledger.
        table: Its table of events.
    """
    noted: tuple[object, LedgerHead] = session.info.get(HEAD, (None, EMPTY))
    if noted[0] is not None and noted[0] is session.get_transaction():
        return noted[1]
    last = select(table.entry, table.hash).order_by(table.entry.desc()).limit(1)
    row = session.execute(last).first()
    found = LedgerHead(entries=row.entry, hash=row.hash) if row else EMPTY
    return _noted(session, found)


def head_at(session: Session, table: type[Any], entry: int) -> LedgerHead:
    """Return the chain's head as it was after `entry` entries."""
    now = head(session, table)
    if now.entries == entry:
        return now
    link = session.scalar(select(table.hash).where(table.entry == entry))
    return LedgerHead(entries=entry, hash=link or GENESIS)


def _noted(session: Session, found: LedgerHead) -> LedgerHead:
    session.info[HEAD] = session.get_transaction(), found
    return found


def chain(previous: str, payload: str) -> str:
    """Return the hash that links `payload` to the entry before it."""
    return hashlib.sha256(bytes.fromhex(previous) + payload.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of a chain: what it says, and the row that it stands in."""

    event: Event
    hash: str
    payload: str


def read_chain(
    session: Session, table: type[Any], federation: Federation
) -> Iterator[Event]:
    """Yield every event after checking it; run by an auditor.

    All are by one author: compare it with the party whose store this should be.

    Raises:
        PeerError: FS-601, or FS-7xx of its signature, naming the first entry that is
            wrong; those before it hold.
    """

    def check(payload: str) -> Event:
        return verify(payload, Event, federation).statement

    return (link.event for link in read_links(session, table, check))


def read_links(
    session: Session, table: type[Any], check: Callable[[str], Event]
) -> Iterator[Link]:
    """Yield every link of a chain; as `read_chain`.

    Args:
        session: Of the store.
        table: Its table of events.
        check: Returns what a payload says if its signature holds, or raises FS-7xx.
    """
    # As the database has them: a column may hold what its type does not allow.
    names = ("entry", "kind", "at", "hash", "payload")
    columns: list[Any] = [literal_column(name) for name in names]
    query = select(*columns).select_from(table).order_by(table.entry)
    with session.execute(query.execution_options(yield_per=READ_AHEAD)) as rows:
        previous, author = GENESIS, None
        for number, row in enumerate(rows, start=1):
            event = _checked(row.payload, number, check)
            author = author or event.author
            link = chain(previous, row.payload)
            found = (
                *(row.entry, row.kind, row.at, row.hash),
                *(event.author, event.entry, event.previous),
            )
            said = (number, event.kind, event.at, link, author, number, previous)
            if found != said:
                raise PeerError("FS-601", f"entry {number}, recorded as {row.kind!r}")
            previous = link
            yield Link(event, link, row.payload)


def _checked(payload: object, number: int, check: Callable[[str], Event]) -> Event:
    if not isinstance(payload, str):
        raise PeerError("FS-601", f"entry {number} has no payload")
    try:
        return check(payload)
    except PeerError as error:
        raise PeerError(error.code, f"entry {number}: {error.detail}") from error
