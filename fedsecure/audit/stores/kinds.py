"""What an audit has to know about each kind of store.

The library knows the model owner's store. The aggregator's is described by the package
that owns it and found by the entry-point group `fedsecure.stores`, for the library
imports neither role (docs/adr/0015).

While a ledger is walked, what it says is written down in two small tables, the same for
every kind, so that stores can be compared without knowing each other's schema:

    deeds  what the store's owner says that it did: proposed, granted, opening, member,
           share, opened, void, lost
    said   what others signed and the store's owner holds: grant, receipt, share, void,
           each with the ledger head of who said it
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.orm import Session

from fedsecure.audit.federations import Federations
from fedsecure.protocol.ledger import Projection
from fedsecure.protocol.statements import Event, LedgerHead, RoundSpec

GROUP: Final = "fedsecure.stores"

EVIDENCE: Final = MetaData()
SPECS: Final = Table(
    "audit_specs",
    EVIDENCE,
    Column("spec", Text, primary_key=True),
    *(Column(name, Text) for name in ("owner", "run", "purpose", "model")),
    *(Column(name, BigInteger) for name in ("round", "attempt", "least", "deadline")),
    Column("entry", Integer),
)
DEEDS: Final = Table(
    "audit_deeds",
    EVIDENCE,
    Column("entry", Integer),
    *(Column(name, Text) for name in ("kind", "spec", "reporter", "content")),
    Column("number", BigInteger),
    Index("ix_deeds", "kind", "spec", "reporter"),
)
SAID: Final = Table(
    "audit_said",
    EVIDENCE,
    Column("entry", Integer),
    *(Column(name, Text) for name in ("kind", "signer", "spec", "reporter", "content")),
    Column("number", BigInteger),
    Column("head_entries", BigInteger),
    Column("head_hash", Text),
    Index("ix_said", "kind", "spec", "signer", "reporter"),
    Index("ix_said_head", "signer", "head_entries"),
)
RESTORES: Final = Table(
    "audit_restores",
    EVIDENCE,
    Column("entry", Integer, primary_key=True),
    *(Column(name, BigInteger) for name in ("kept", "lost")),
    Column("hash", Text),
    Column("at", Float),
    Column("forgotten", Boolean),
)


@dataclass(frozen=True, slots=True)
class Spec:
    """A round that an entry tells of. `least`: fewest members of its set."""

    digest: str
    owner: str
    said: RoundSpec
    least: int


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that the store's owner says that it did."""

    kind: str
    spec: str
    reporter: str = ""
    content: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """Something that somebody signed and the store's owner holds."""

    kind: str
    signer: str
    spec: str
    reporter: str = ""
    content: str = ""
    number: int = 0
    head: LedgerHead | None = None


@dataclass(frozen=True, slots=True)
class Restore:
    """The store was put back to an earlier state.

    `kept` entries are left of those up to `lost`, which had this hash; `lost` is 0 if
    none was. `at`: seconds since 1970. `forgotten`: so were the sets opened before.
    """

    kept: int
    lost: int
    hash: str
    at: float
    forgotten: bool


Evidence: TypeAlias = Spec | Deed | Said | Restore
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
