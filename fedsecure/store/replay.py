"""Project a ledger again and compare; run by an audit.

Guarantee: if no difference is found, every row of every table follows from events
that the model owner signed, in the order in which it signed them, and no row is
missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, Text, select, type_coerce
from sqlalchemy.orm import Session

from fedsecure import database
from fedsecure.errors import PeerError
from fedsecure.identity import Federation
from fedsecure.ledger import GENESIS, chain, read_chain
from fedsecure.store.models import Base, CanonicalJson, Event
from fedsecure.store.projection import project


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as its events say."""

    table: str
    key: tuple[Any, ...]
    finding: str  # changed, added or removed after it was written


def differences(source: Session, federation: Federation) -> list[Difference]:
    """Return every row of a round store that does not follow from its ledger.

    Raises:
        PeerError: FS-601 when the ledger itself was changed, FS-7xx when one of its
            entries is not the model owner's.
    """
    engine = database.open_for_writing(database.locate("sqlite://"))
    try:
        Base.metadata.create_all(engine)
        with Session(engine) as target:
            rebuild(source, target, federation)
            return [
                difference
                for table in Base.metadata.sorted_tables
                for difference in _compare(table, source, target)
            ]
    finally:
        engine.dispose()


def rebuild(source: Session, target: Session, federation: Federation) -> None:
    """Project the ledger of `source` into the empty tables of `target`.

    Raises:
        PeerError: FS-601 or FS-7xx as `read_chain`; FS-706 when the ledger is not the
            model owner's.
    """
    previous = GENESIS
    for event in read_chain(source, Event, federation):
        if event.author != federation.model_owner.name:
            raise PeerError(
                "FS-706", f"a round store with the ledger of {event.author}"
            )
        payload = source.get_one(Event, event.entry).payload
        previous = chain(previous, payload)
        target.add(
            Event(
                entry=event.entry,
                hash=previous,
                kind=event.kind,
                at=event.at,
                payload=payload,
            )
        )
        target.flush()
        project(target, event)


def _compare(table: Table, source: Session, target: Session) -> Iterator[Difference]:
    recorded, projected = _rows(table, source), _rows(table, target)
    for key in sorted(recorded.keys() | projected.keys()):
        if key not in projected:
            yield Difference(table.name, key, "added")
        elif key not in recorded:
            yield Difference(table.name, key, "removed")
        elif recorded[key] != projected[key]:
            yield Difference(table.name, key, "changed")


def _rows(table: Table, session: Session) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    # JSON is compared as the text that it is stored as.
    columns = [
        type_coerce(column, Text) if isinstance(column.type, CanonicalJson) else column
        for column in table.columns
    ]
    keys = [list(table.columns).index(column) for column in table.primary_key.columns]
    rows = (tuple(row) for row in session.execute(select(*columns)))
    return {tuple(row[index] for index in keys): row for row in rows}
