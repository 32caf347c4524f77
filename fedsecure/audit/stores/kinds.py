"""What an audit has to know about each kind of store.

The library knows the model owner's store. The aggregator's is described by the package
that owns it and found by the entry-point group `fedsecure.stores`, for the library
imports neither role (docs/adr/0015).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.orm import Session

from fedsecure.audit.stores.evidence import Evidence
from fedsecure.errors import PeerError
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.ledger import Projection
from fedsecure.protocol.statements import Event

GROUP: Final = "fedsecure.stores"
MISMATCH: Final = "FS-637"


Reader: TypeAlias = Callable[[Session, Event, Federations], Iterator[Evidence]]
"""Checks the statements inside an entry, and yields what they are evidence of.

The session is of tables that hold everything before the entry. Raises PeerError.
"""

Fault: TypeAlias = tuple[str, str]
"""Which row, and what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of store.

    Args:
        name: What people call it.
        metadata: Its tables.
        events: Its table of events.
        migrations: Folder of its Alembic scripts.
        project: What an entry does to its tables.
        read: What an entry is evidence of.
        opened: The deed by which a sum was opened, not only asked for.
        working: Tables that are no projection of its ledger.
        look: Checks those, once they stand beside the projected ones.
    """

    name: str
    metadata: MetaData
    events: type[Any]
    migrations: Path
    project: Projection
    read: Reader
    opened: str
    working: tuple[Table, ...] = ()
    look: Callable[[Connection, str, Federations], Iterator[Fault]] | None = None


def aggregator_kind() -> Kind:
    """Return what the package of the aggregators says about their store."""
    (point,) = entry_points(group=GROUP, name="aggregator")
    kind: Kind = point.load()
    return kind


def require(holds: bool, what: str) -> None:
    """Refuse an entry whose parts contradict each other.

    Raises:
        PeerError: FS-637.
    """
    if not holds:
        raise PeerError(MISMATCH, what)
