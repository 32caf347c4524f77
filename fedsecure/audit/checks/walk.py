"""One store from its first entry to its last: checks (1) to (6) of `fedsecure.audit`.

Every entry is verified and projected again into an empty database of the audit's own,
beside the tables of what it is evidence of (`kinds`). If one is wrong, the walk ends
there: the entries before it are sound, and nothing is said of those after it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fedsecure.audit.checks.table_comparison import look_at_tables
from fedsecure.audit.findings import Finding, Report, Store
from fedsecure.audit.stores.evidence import (
    DEEDS,
    EVIDENCE,
    PLACES,
    SPECS,
    STATEMENTS,
    Deed,
    Evidence,
    OfJobs,
    Restore,
    Spec,
)
from fedsecure.audit.stores.kinds import Kind
from fedsecure.audit.stores.sources import BATCH, Source, fast_engine
from fedsecure.errors import FedsecureError
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.ledger import Link, read_links
from fedsecure.storage import database, revisions, sql_failures

NOBODY: Final = "?"
# What an entry that was written by somebody else's program can lead to.
_WRONG: Final = (FedsecureError, SQLAlchemyError, ValueError, TypeError, LookupError)


@dataclass(frozen=True, slots=True)
class Walked:
    """A store that was walked, and what it gave. `sound`: it holds to its end."""

    party: str
    kind: Kind
    source: Source
    engine: Engine
    path: Path
    sound: bool


class _BrokenError(Exception):
    """The walk ends at this entry."""

    def __init__(self, entry: int, check: int, error: Exception) -> None:
        super().__init__(str(error))
        self.entry, self.check, self.error = entry, check, error


@contextmanager
def walk(
    source: Source,
    kind: Kind,
    keys: Federations,
    scratch: Path,
    report: Report,
    step: Callable[[int], None],
) -> Iterator[Walked]:
    """Check one store by itself.

    Args:
        source: The store.
        kind: What it is.
        keys: Of everybody.
        scratch: A file to be made.
        report: Takes what is found.
        step: Hears how many entries there were since it heard last.

    Raises:
        OperatorError: FS-604 when the database fails.
    """
    scratch.write_bytes(_empty(kind))
    engine = fast_engine(scratch)
    try:
        walked = _walked(source, kind, keys, engine, report, step)
        yield Walked(
            walked.party, kind, source, engine, scratch, walked.sound == walked.entries
        )
    finally:
        engine.dispose()


@cache
def _empty(kind: Kind) -> bytes:
    """Return an SQLite file with the tables of a store, and those of evidence."""
    engine = database.open_for_writing(database.locate("sqlite://"))
    try:
        revisions.upgrade(engine, kind.migrations)
        EVIDENCE.create_all(engine)
        with engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            return bytes(raw.serialize())
    finally:
        engine.dispose()


def _walked(
    source: Source,
    kind: Kind,
    keys: Federations,
    engine: Engine,
    report: Report,
    step: Callable[[int], None],
) -> Store:
    entries = count_entries(source.connection, kind)
    party, sound = NOBODY, 0
    try:
        for link in _followed(source, kind, keys, engine):
            party, sound = link.event.author, link.event.entry
            if sound % BATCH == 0:
                step(BATCH)
    except _BrokenError as broken:
        sound = broken.entry - 1
        report.add(_finding(broken, party, source))
    step(sound % BATCH)
    for check in (1, 2, 3):
        report.look(check, sound)
    store = Store(party, kind.name, source.place, entries, sound, source.whole)
    report.stores.append(store)
    if sound == entries:
        look_at_tables(source, kind, engine, party, keys, report)
    else:
        report.notes.append(
            f"{source.place}: not compared with others, for its ledger is broken at "
            f"entry {sound + 1}"
        )
    return store


def count_entries(connection: Connection, kind: Kind) -> int:
    """Return how long a store's ledger is."""
    events: Table = kind.events.__table__
    return connection.execute(select(func.count()).select_from(events)).scalar_one()


def _followed(
    source: Source, kind: Kind, keys: Federations, engine: Engine
) -> Iterator[Link]:
    """Yield every entry once it is verified and projected."""
    done = 0
    with Session(source.connection) as reading, Session(engine) as session:
        links = read_links(reading, kind.events, keys)
        while True:
            try:
                link = next(links, None)
            except _WRONG as error:
                raise _BrokenError(done + 1, 1, error) from error
            if link is None:
                break
            _follow(session, kind, keys, link)
            done = link.event.entry
            yield link
            if done % BATCH == 0:
                session.commit()
                session.expunge_all()
        session.commit()


def _follow(session: Session, kind: Kind, keys: Federations, link: Link) -> None:
    event = link.event
    try:
        evidence = list(kind.read(session, event, keys.at(event.federation)))  # (2)
    except _WRONG as error:
        raise _BrokenError(event.entry, 2, error) from error
    try:
        session.add(
            kind.events(
                entry=event.entry,
                hash=link.hash,
                kind=event.kind,
                at=event.at,
                payload=link.payload,
            )
        )
        session.flush()
        kind.project(session, event)  # (3)
        session.flush()
        for one in evidence:
            session.execute(*_row(one, event.entry))
    except _WRONG as error:
        raise _BrokenError(event.entry, 3, error) from error


def _row(one: Evidence, entry: int) -> tuple[Any, dict[str, Any]]:
    if isinstance(one, Spec):
        statement = one.statement
        return SPECS.insert(), {
            "spec": one.digest,
            "owner": one.owner,
            "run": statement.run,
            "purpose": statement.purpose.value,
            "model": statement.model,
            "round": statement.round,
            "attempt": statement.attempt,
            "least": one.least,
            "deadline": statement.deadline,
            "entry": entry,
        }
    if isinstance(one, OfJobs | Restore):
        return PLACES[type(one)].insert(), {**asdict(one), "entry": entry}
    common = {
        "entry": entry,
        "kind": one.kind,
        "spec": one.spec,
        "reporter": one.reporter,
        "content": one.content,
        "number": one.number,
    }
    if isinstance(one, Deed):
        return DEEDS.insert(), common
    return STATEMENTS.insert(), {
        **common,
        "signer": one.signer,
        "head_entries": one.head and one.head.entries,
        "head_hash": one.head and one.head.hash,
    }


def _finding(broken: _BrokenError, party: str, source: Source) -> Finding:
    error = broken.error
    code, what = "FS-621", f"{type(error).__name__}: {database_free(error)}"
    if isinstance(error, FedsecureError):
        code, what = error.code, error.detail
    sound = f"entries 1 to {broken.entry - 1} are sound" if broken.entry > 1 else ""
    return Finding(
        check=broken.check,
        code=code,
        party=party if party != NOBODY else source.place,
        where=f"entry {broken.entry}",
        what=f"{what}; {sound}" if sound else what,
        entry=broken.entry,
    )


def database_free(error: Exception) -> str:
    """Return an error's text without statement and values."""
    if isinstance(error, SQLAlchemyError):
        return sql_failures.cause(error)
    return str(error).partition("\n")[0]
