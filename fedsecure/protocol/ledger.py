"""A store's ledger: an append-only chain of signed events, the same at every store.

    payload_i = JWS of an Event (entry i, previous = hash_{i-1}, kind, time, body)
    hash_i    = SHA-256(hash_{i-1} || payload_i), hash_0 = 32 zero bytes

Every other table of a store is a projection of its events: `Ledger.append` writes
the event and applies its projection in the caller's transaction, and an audit
projects again and compares. Other parties hold signed heads of the chain, so that
rewriting it would be seen.

A store keeps its ledger when the federation changes: the entry `federation-changed` is
the first one under the new version, signed with the key that the store's owner has in
it. A ledger never goes back, so a key that was replaced signs no entry after it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Integer, String, Text, insert, literal_column, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author, canonical
from fedsecure.protocol.statements import Event, LedgerHead
from fedsecure.protocol.stored_statements import stored

GENESIS: Final = "0" * 64
EMPTY: Final = LedgerHead(entries=0, hash=GENESIS)
HEAD: Final = "fedsecure ledger head"  # in the notes of a session
CHANGED: Final = "federation-changed"
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


@dataclass(slots=True)
class Ledger:
    """Appends events to one store; run by the party that owns the store."""

    author: Author
    table: type[Any]
    project: Projection
    _own: str = field(default=GENESIS, init=False, repr=False)  # hash of its last entry

    def append(
        self, session: Session, kind: str, body: Mapping[str, Any], at: float
    ) -> LedgerHead:
        """Add one event and apply its projection, inside the caller's transaction.

        Args:
            session: The open transaction; nothing is visible before it commits.
            kind: What happened.
            body: Everything that the projection needs (JSON).
            at: Seconds since 1970.

        Raises:
            OperatorError: FS-656 when the ledger went on under a newer version.
        """
        self.enter(session, at)
        return self._write(session, kind, body, at)

    def enter(self, session: Session, at: float) -> None:
        """Say that the ledger goes on under this version, if it was under another.

        Raises:
            OperatorError: FS-656 when that one is newer.
        """
        last, now = self.left(session), self.author.federation
        if last is None:
            return
        newest = _newest_change(session, self.table) or 1
        if newest >= now.number:
            raise OperatorError(
                "FS-656", f"it is of version {newest} or later, here is {now.number}"
            )
        self._write(session, CHANGED, {"before": last, "number": now.number}, at)

    def left(self, session: Session) -> str | None:
        """Return the digest of the version before this one, until it is left."""
        before = head(session, self.table)
        if before.hash in {GENESIS, self._own}:
            return None
        last = _federation_of(session, self.table, before.entries)
        if last != self.author.federation.digest:
            return last
        self._own = before.hash
        return None

    def _write(
        self, session: Session, kind: str, body: Mapping[str, Any], at: float
    ) -> LedgerHead:
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
        session.flush()
        # Of the table, not of the class: no row of it is ever changed.
        values = {
            "entry": event.entry,
            "hash": link,
            "kind": kind,
            "at": event.at,
            "payload": payload,
        }
        session.connection().execute(insert(self.table.__table__), values)
        self.project(session, event)
        self._own = link
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


def _federation_of(session: Session, table: type[Any], entry: int) -> str:
    payload = session.scalar(select(table.payload).where(table.entry == entry))
    return _event_in(payload or "").federation


def _newest_change(session: Session, table: type[Any]) -> int | None:
    """Return the number of the version that the ledger changed to last, if it did."""
    query = select(table.payload).where(table.kind == CHANGED)
    payload = session.scalar(query.order_by(table.entry.desc()).limit(1))
    return None if payload is None else int(_event_in(payload).body["number"])


def _event_in(payload: str) -> Event:
    """Read an entry of this own store; its signature was made here.

    Raises:
        OperatorError: FS-601 when it is none: the store was changed.
    """
    try:
        return stored(payload, Event).statement
    except PeerError as error:
        raise OperatorError("FS-601", "its last entry is not readable") from error


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
    session: Session, table: type[Any], federation: Federation | Federations
) -> Iterator[Event]:
    """Yield every event after checking it; run by an auditor.

    All are by one author: compare it with the party whose store this should be.

    Args:
        session: Of the store.
        table: Its table of events.
        federation: With whose keys; more versions of it if the ledger went over more.

    Raises:
        PeerError: FS-601, or FS-7xx of its signature, naming the first entry that is
            wrong; those before it hold.
    """
    known = (
        federation if isinstance(federation, Federations) else Federations([federation])
    )
    return (link.event for link in read_links(session, table, known))


def read_links(session: Session, table: type[Any], keys: Federations) -> Iterator[Link]:
    """Yield every link of a chain; as `read_chain`.

    The steps for each entry, in order:
        (1) it was signed by its author, under the version that it names;
        (2) it is of the version of the entry before, or says that it changes to a newer
            one;
        (3) it links to the entry before it, and the columns say what was signed.
    """
    # As the database has them: a column may hold what its type does not allow.
    names = ("entry", "kind", "at", "hash", "payload")
    columns: list[Any] = [literal_column(name) for name in names]
    query = select(*columns).select_from(table).order_by(table.entry)
    with session.execute(query.execution_options(yield_per=READ_AHEAD)) as rows:
        previous, before = GENESIS, None
        for number, row in enumerate(rows, start=1):
            event = _checked(row.payload, number, keys)  # (1)
            before = before or event
            _require_version(before, event, keys)  # (2)
            link = chain(previous, row.payload)
            found = (  # (3)
                *(row.entry, row.kind, row.at, row.hash),
                *(event.author, event.entry, event.previous),
            )
            expected = (
                number,
                event.kind,
                event.at,
                link,
                before.author,
                number,
                previous,
            )
            if found != expected:
                raise PeerError("FS-601", f"entry {number}, recorded as {row.kind!r}")
            previous, before = link, event
            yield Link(event, link, row.payload)


def _checked(payload: object, number: int, keys: Federations) -> Event:
    if not isinstance(payload, str):
        raise PeerError("FS-601", f"entry {number} has no payload")
    try:
        return keys.verify(payload, Event).statement
    except PeerError as error:
        raise PeerError(error.code, f"entry {number}: {error.detail}") from error


def _require_version(before: Event, event: Event, keys: Federations) -> None:
    """Check that a ledger changes versions in order, and says so.

    Raises:
        PeerError: FS-655.
    """
    stays = event.federation == before.federation
    if stays and event.kind != CHANGED:
        return
    old, new = keys.find(before.federation), keys.find(event.federation)
    expected = {"before": old.digest, "number": new.number}
    if event.kind != CHANGED or event.body != expected or not new.number > old.number:
        raise PeerError(
            "FS-655",
            f"entry {event.entry} ({event.kind}) is of version {new.number}, the one "
            f"before it of version {old.number}",
        )
