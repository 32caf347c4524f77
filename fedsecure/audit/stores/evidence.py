"""What a walked store is evidence of: the same small tables for every kind of store.

While a ledger is walked, what it says is written down in them, so that stores can be
compared without knowing each other's schema:

    specs       the rounds that it knows, and how many data owners each needs
    deeds       what the store's owner says that it did: proposed, granted, opening,
                member, share, opened, void, lost
    statements  what others signed and its owner holds: grant, receipt, share, void,
                each with the ledger head of who signed it
    restores    when its operator put it back to an earlier state
    jobs, inputs, outputs, queries
                what was computed beside rounds: what was agreed, what went in, what
                came out, and what clients of services were answered
"""

from dataclasses import dataclass
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
    text,
)

from fedsecure.protocol.statements import LedgerHead, RoundSpec

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
STATEMENTS: Final = Table(
    "audit_statements",
    EVIDENCE,
    Column("entry", Integer),
    *(Column(name, Text) for name in ("kind", "signer", "spec", "reporter", "content")),
    Column("number", BigInteger),
    Column("head_entries", BigInteger),
    Column("head_hash", Text),
    Index("ix_statements", "kind", "spec", "signer", "reporter"),
    Index("ix_statements_head", "signer", "head_entries"),
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
JOBS: Final = Table(
    "audit_jobs",
    EVIDENCE,
    Column("spec", Text, primary_key=True),
    *(Column(name, Text) for name in ("name", "proposer", "kind")),
    *(Column(name, BigInteger) for name in ("rows", "deadline")),
    Column("entry", Integer),
)
INPUTS: Final = Table(
    "audit_inputs",
    EVIDENCE,
    *(Column(name, Text) for name in ("spec", "name", "owner", "input_id", "kind")),
    Column("plain", Text),
    Column("entry", Integer),
    Index("ix_audit_inputs", "spec", "name"),
)
OUTPUTS: Final = Table(
    "audit_outputs",
    EVIDENCE,
    *(Column(name, Text) for name in ("spec", "inputs")),
    Column("entry", Integer),
    Index("ix_audit_outputs", "spec"),
)
QUERIES: Final = Table(
    "audit_queries",
    EVIDENCE,
    *(Column(name, Text) for name in ("spec", "client", "query_id", "kind", "inputs")),
    *(Column(name, BigInteger) for name in ("query", "rows", "answered")),
    Column("entry", Integer),
    Index("ix_audit_queries", "spec", "client", "query"),
)


@dataclass(frozen=True, slots=True)
class Spec:
    """A round that an entry tells of. `least`: fewest members of its set."""

    digest: str
    owner: str
    statement: RoundSpec
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
class HeldStatement:
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


@dataclass(frozen=True, slots=True)
class Job:
    """A job that an entry tells of. `rows`: the most that one client is answered."""

    spec: str
    name: str
    proposer: str
    kind: str
    rows: int
    deadline: int


@dataclass(frozen=True, slots=True)
class JobInput:
    """An input that was stored. `plain`: SHA-256 of its words, if they are public."""

    spec: str
    name: str
    owner: str
    input_id: str
    kind: str
    plain: str | None


@dataclass(frozen=True, slots=True)
class JobOutput:
    """An output that was computed. `inputs`: SHA-256 of the list of what went in."""

    spec: str
    inputs: str


@dataclass(frozen=True, slots=True)
class JobQuery:
    """A query that was answered. `answered`: rows of its client, with these."""

    spec: str
    client: str
    query: int
    query_id: str
    kind: str
    rows: int
    answered: int
    inputs: str


OfJobs: TypeAlias = Job | JobInput | JobOutput | JobQuery
Evidence: TypeAlias = Spec | Deed | HeldStatement | Restore | OfJobs

PLACES: Final[dict[type[Any], Table]] = {
    Job: JOBS,
    JobInput: INPUTS,
    JobOutput: OUTPUTS,
    JobQuery: QUERIES,
    Restore: RESTORES,
}
"""Where evidence stands whose fields are its table's columns."""


def label(row: Any) -> str:
    """Say which attempt at a round a row of specs is."""
    attempt = "" if row.attempt == 1 else f", attempt {row.attempt}"
    return f"{row.run} {row.purpose} round {row.round}{attempt} ({row.spec[:12]})"


def named(connection: Connection, spec: object, *stores: str) -> str:
    """Name a round or a job by its spec's digest, as far as a walked store knows it.

    Args:
        connection: To tables of evidence.
        spec: The digest.
        stores: Under which names databases are attached; without any, the one itself.
    """
    for store in stores or ("main",):
        query = f"SELECT * FROM {store}.audit_specs WHERE spec = :spec"  # noqa: S608
        row = connection.execute(text(query), {"spec": str(spec)}).first()
        if row is not None:
            return label(row)
        query = f"SELECT name FROM {store}.audit_jobs WHERE spec = :spec"  # noqa: S608
        name = connection.execute(text(query), {"spec": str(spec)}).scalar()
        if name is not None:
            return f"job {name} ({str(spec)[:12]})"
    return f"round {str(spec)[:12]}"
